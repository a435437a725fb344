"""The border to Python: whatever panics there becomes ``EngineFailed``."""

import re
from pathlib import Path

BORDER = Path(__file__).parents[2] / "native" / "python" / "src"
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
