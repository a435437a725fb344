"""Writes worker/collect/openapi.json from docs/openapi.yaml: ``python -m docs.generate_openapi``.

The page is written by hand, in YAML, for who reads it; the server serves it as JSON from its own package,
since an installed worker has no ``docs``.
"""

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "openapi.yaml"
SERVED = ROOT / "worker" / "collect" / "openapi.json"


def document() -> dict[str, Any]:
    """The description of the HTTPS API."""
    described: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    return described


def served() -> str:
    """The same as the JSON that is served, on one line."""
    return json.dumps(document(), ensure_ascii=False, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    SERVED.parent.mkdir(exist_ok=True)
    SERVED.write_text(served(), encoding="utf-8")
