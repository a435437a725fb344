"""What a worker's directory is: one process's alone, and the home of its name."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from worker.adapters.state_directory import StateDirectory
from worker.adapters.stores import Stores
from worker.config import State
from worker.errors import Fatal
from worker.model.state import Checkpoint

GROUP = "clicks"


def test_it_is_one_process_s_at_a_time(tmp_path: Path) -> None:
    first, second = (StateDirectory(str(tmp_path), GROUP) for _ in range(2))
    first.lock()
    with pytest.raises(Fatal, match="in use by another worker"):
        second.lock()
    first.unlock()
    second.lock()
    second.unlock()


def test_two_groups_may_share_a_root(tmp_path: Path) -> None:
    first, second = (StateDirectory(str(tmp_path), group) for group in ("one", "two"))
    first.lock()
    second.lock()
    assert first.partition(0) != second.partition(0)
    first.unlock()
    second.unlock()


def test_no_other_user_can_look_into_it_nor_into_that_of_an_earlier_release(tmp_path: Path) -> None:
    earlier = tmp_path / GROUP
    earlier.mkdir(mode=0o755)
    for group in (GROUP, "new"):
        directory = StateDirectory(str(tmp_path), group)
        directory.lock()
        directory.unlock()
        assert directory.path.stat().st_mode & 0o777 == 0o700


def test_a_root_that_cannot_be_used_is_fatal_by_its_name(tmp_path: Path) -> None:
    root = tmp_path / "a file"
    root.touch()
    with pytest.raises(Fatal, match=r"state\.directory: .*a file"):
        StateDirectory(str(root), GROUP).lock()


def test_an_automatic_member_id_is_made_once_and_kept(tmp_path: Path) -> None:
    directory = StateDirectory(str(tmp_path), GROUP)
    directory.lock()
    made = directory.instance_id("auto", GROUP)
    directory.unlock()
    assert made is not None
    assert made.startswith(f"{GROUP}-")
    again = StateDirectory(str(tmp_path), GROUP)
    again.lock()
    assert again.instance_id("auto", GROUP) == made
    again.unlock()


def test_two_directories_have_two_member_ids(tmp_path: Path) -> None:
    made = set()
    for root in ("one", "two"):
        directory = StateDirectory(str(tmp_path / root), GROUP)
        directory.lock()
        made.add(directory.instance_id("auto", GROUP))
        directory.unlock()
    assert len(made) == 2


def test_a_member_id_is_as_configured_and_an_empty_one_is_none(tmp_path: Path) -> None:
    directory = StateDirectory(str(tmp_path), GROUP)
    directory.lock()
    assert directory.instance_id("pod-7", GROUP) == "pod-7"
    assert directory.instance_id("", GROUP) is None
    directory.unlock()


def test_a_member_id_cut_short_by_a_crash_is_made_again(tmp_path: Path) -> None:
    directory = StateDirectory(str(tmp_path), GROUP)
    directory.lock()
    (directory.path / "instance-id").write_text("")
    assert directory.instance_id("auto", GROUP)
    directory.unlock()


def test_a_member_id_that_cannot_be_kept_is_fatal(tmp_path: Path) -> None:
    directory = StateDirectory(str(tmp_path), GROUP)
    directory.lock()
    (directory.path / "instance-id").mkdir()
    with pytest.raises(Fatal, match=r"state\.directory: .*instance-id"):
        directory.instance_id("auto", GROUP)
    directory.unlock()


def written_store(directory: StateDirectory, partition: int, changelog_offset: int) -> Path:
    """The store of a partition, closed after a write up to this offset."""
    path = directory.partition(partition)

    async def write() -> None:
        store = Stores(State(memory_mb=16)).of_partition(directory, partition)
        await store.open()
        checkpoint = Checkpoint(
            schema=1, incarnation="life", changelog_offset=changelog_offset, written_at_ms=0
        )
        store.write([(b"k", b"v")], checkpoint)
        await store.close()

    asyncio.run(write())
    return path


def test_it_knows_how_far_the_stores_in_it_have_come(tmp_path: Path) -> None:
    directory = StateDirectory(str(tmp_path), GROUP)
    written_store(directory, 3, changelog_offset=120)
    written_store(directory, 11, changelog_offset=7)
    (directory.path / "partition-x").mkdir()
    assert Stores(State()).offsets_on_disk(directory) == {3: 120, 11: 7}


def test_a_store_that_went_elsewhere_is_removed_when_it_is_too_old_to_come_back(tmp_path: Path) -> None:
    directory = StateDirectory(str(tmp_path), GROUP)
    old, young, in_use = (written_store(directory, partition, 1) for partition in (1, 2, 3))
    for path in (old, in_use):
        for file in (*path.iterdir(), path):
            os.utime(file, (time.time() - 1_000, time.time() - 1_000))
    removed = directory.remove_old({3}, max_age_s=900)
    assert list(removed) == [1]
    assert 990 < removed[1] < 1_100
    assert not old.exists()
    assert young.exists()
    assert in_use.exists()
