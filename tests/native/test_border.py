"""The border to Python: whatever panics there becomes ``EngineFailed``, and nothing tells who built it."""

import re
from pathlib import Path

from worker.native.library import native_library

TOP = Path(__file__).parents[2]
BORDER = TOP / "native" / "python" / "src"
_BLOCKS = re.compile(r"^#\[pymethods\]\n(.*?)^}\n", re.DOTALL | re.MULTILINE)
_METHODS = re.compile(r"^    fn (\w+).*?\{\n(.*?)^    }\n", re.DOTALL | re.MULTILINE)


def test_all_of_a_method_lies_within_what_catches_panics() -> None:
    bodies = {
        f"{file.name} {name}": body.strip()
        for file in sorted(BORDER.glob("*.rs"))
        for block in _BLOCKS.findall(file.read_text())
        for name, body in _METHODS.findall(block)
    }
    assert len(bodies) > 20
    for place, body in bodies.items():
        assert body.startswith("caught(|| "), place
        assert body.endswith(")"), place
        assert len(re.findall(r"^        \S", f"        {body}", re.MULTILINE)) <= 2, place


def test_the_library_names_no_directory_of_who_built_it() -> None:
    library = native_library().module
    assert library is not None
    assert library.__file__ is not None
    (file,) = Path(library.__file__).parent.glob("*.so")
    built = file.read_bytes()
    for directory in (Path.home(), TOP):
        assert f"{directory}/".encode() not in built
    assert b"src/decode.rs" in built  # the places of panics are named
