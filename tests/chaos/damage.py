"""What may happen to a worker's local state while the worker is down.

Knows files; nothing of workers. Each function damages one state directory as chance has it and says what it
did, or that there was nothing to damage. The locks and the member id are left alone: they are not state.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path


def _stores(root: Path) -> list[Path]:
    return sorted(path for path in root.glob("*/partition-*") if path.is_dir())


def delete_one(root: Path, rng: random.Random) -> str:
    """One partition's store is gone."""
    if not (stores := _stores(root)):
        return "no store"
    gone = rng.choice(stores)
    shutil.rmtree(gone)
    return f"deleted {gone.name}"


def delete_all(root: Path, rng: random.Random) -> str:
    """The disk is gone, the member id with it."""
    shutil.rmtree(root, ignore_errors=True)
    return "deleted everything"


def delete_half(root: Path, rng: random.Random) -> str:
    """Half of the files of one store are gone."""
    if not (stores := _stores(root)):
        return "no store"
    store = rng.choice(stores)
    files = sorted(path for path in store.iterdir() if path.is_file())
    gone = rng.sample(files, len(files) // 2)
    for path in gone:
        path.unlink()
    return f"deleted {len(gone)} of {len(files)} files of {store.name}"


def flip_bits(root: Path, rng: random.Random) -> str:
    """Some bits of one table, manifest or pointer file are wrong."""
    names = ("*.sst", "MANIFEST-*", "CURRENT")
    files = sorted(path for store in _stores(root) for name in names for path in store.glob(name))
    files = [path for path in files if path.stat().st_size]
    if not files:
        return "no file"
    path = rng.choice(files)
    data = bytearray(path.read_bytes())
    for _ in range(8):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return f"flipped 8 bits of {path.parent.name}/{path.name}"


def swap(root: Path, rng: random.Random) -> str:
    """Two stores have changed places."""
    stores = _stores(root)
    if len(stores) < 2:
        return "no two stores"
    one, other = rng.sample(stores, 2)
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
    return f"swapped {one.name} and {other.name}"


DAMAGES: dict[str, Callable[[Path, random.Random], str]] = {
    "deleted": delete_one,
    "all deleted": delete_all,
    "half deleted": delete_half,
    "bits flipped": flip_bits,
    "swapped": swap,
}
