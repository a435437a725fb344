"""The documents agree with each other and with the code: links, headings, paths, defaults, fields."""

import json
import re
import tomllib
from pathlib import Path
from typing import get_args

import aiokafka.errors
import pytest
from msgspec import structs

from tests.house import MAY_IMPORT
from worker.core.decode import Decoder
from worker.model.events import Reason
from worker.model.outputs import (
    CloseReason,
    DeadLetter,
    EnrichedEvent,
    Flag,
    IdentityRecord,
    SessionCause,
    SessionRecord,
    SessionStatus,
)
from worker.model.rules import IdentityRules, InputRules
from worker.model.topics import OUTPUTS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
HISTORY = {"CHANGELOG.md", "docs/decisions.md"}
"""Pages that may name what is no more."""
CODE = [
    file
    for folder in ("worker", "tests", "testing", "bench", "config", "deploy")
    for file in sorted((ROOT / folder).rglob("*"))
    if file.suffix in {".py", ".toml"} and not file.name.startswith(("test_house", "test_words"))
]
MADE_LATER = {"bench/results", "testing/kafka/libs"}
"""Paths that a page may name and no checkout has."""

UNITS = {"ms": 1, "s": 1000, "minutes": 60_000, "hours": 3_600_000, "KiB": 2**10, "MiB": 2**20}


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def without_code(text: str) -> str:
    """The page without its blocks of code, in which nothing is a link or a heading."""
    return re.sub(r"^(```).*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Its headings as the addresses that GitHub gives them."""
    found: set[str] = set()
    for heading in headings(page):
        plain = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = sum(re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", other) is not None for other in found)
        found.add(f"{anchor}-{number}" if anchor in found else anchor)
    return found


def section(page: str, heading: str) -> str:
    """The text below a heading, down to the next one of the same depth."""
    (depth, text), *_ = re.findall(
        rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,2}} |\Z)",
        (DOCS / page).read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert depth == "##"
    return str(text)


def in_code_marks(text: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", text))


def test_every_name_in_where_a_change_belongs_is_in_the_code() -> None:
    code = "\n".join(file.read_text() for file in CODE)
    names = {
        part
        for mark in in_code_marks(section("architecture.md", "Where a change belongs"))
        if re.fullmatch(r"[A-Za-z_]\w*(\.[a-z_]\w*)*", mark) and not mark.endswith((".py", ".sql", ".toml"))
        for part in mark.split(".")
    }
    assert len(names) > 40
    assert not [
        name for name in names if not re.search(rf"\b{name}\b", code) and not hasattr(aiokafka.errors, name)
    ]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def test_the_code_names_pages_and_headings_that_exist() -> None:
    broken = []
    for file in CODE:
        text = re.sub(r'[\s#"]+', " ", file.read_text())
        for page, after in re.findall(r"docs/([\w-]+\.md)(, [A-Z][^.;)]*)?", text):
            if not (DOCS / page).exists():
                broken.append(f"{name_of(file)}: docs/{page}")
            elif after and not any(
                after[2:].startswith(heading) or heading.startswith(after[2:].partition(",")[0])
                for heading in headings(DOCS / page)
            ):
                broken.append(f"{name_of(file)}: docs/{page}{after}")
    assert not broken


@pytest.mark.parametrize("page", [page for page in PAGES if name_of(page) not in HISTORY], ids=name_of)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    """Paths in code marks: from the root, from ``worker/``, or from the page."""
    folders = "worker|core|task|adapters|config|model|telemetry|cli|processes|demo|tests|testing|bench|docs"
    paths = re.findall(rf"`((?:{folders})/[\w/.-]+?)/?`", without_code(page.read_text()))
    missing = [
        path
        for path in paths
        if not any(
            (base / spelt).exists()
            for base in (ROOT, ROOT / "worker", page.parent)
            for spelt in (path, f"{path}.py")
        )
    ]
    assert set(missing) <= MADE_LATER


@pytest.mark.parametrize("page", [page for page in PAGES if name_of(page) not in HISTORY], ids=name_of)
def test_every_class_and_method_that_a_page_names_exists(page: Path) -> None:
    code = "\n".join(file.read_text() for file in CODE)
    missing = [
        f"{owner}.{name}"
        for owner, name in re.findall(r"`([A-Z][a-z]\w+)\.([a-z_]\w+)`", without_code(page.read_text()))
        if not re.search(rf"class {owner}\b", code) or not re.search(rf"(?:def {name}\b|\b{name}:)", code)
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_default_that_a_page_states_is_that_of_the_configuration(page: Path) -> None:
    """A default is stated as ``option`` (value): with a unit, in words, or as it is in the file."""
    options = tomllib.loads((ROOT / "config" / "worker.toml").read_text())
    value = rf"[\d,]+(?: (?:{'|'.join(UNITS)}))?|none|true|false|\"[^\"]*\""
    wrong = []
    for group, key, stated in re.findall(rf"`([a-z]+)\.([a-z_]+)` \(({value})[;)]", page.read_text()):
        default = options[group][key]
        number, _, unit = stated.replace(",", "").partition(" ")
        if number.isdigit():
            same = int(number) * UNITS.get(unit, 1) == default
        else:
            same = stated == ("none" if default in ({}, "") else json.dumps(default))
        if not same:
            wrong.append(f"{group}.{key} is {default}, not {stated}")
    assert not wrong


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("Enriched events", EnrichedEvent),
        ("Sessions", SessionRecord),
        ("Identities", IdentityRecord),
        ("Dead letters", DeadLetter),
    ],
)
def test_outputs_names_every_field(heading: str, kind: type) -> None:
    missing = {field.name for field in structs.fields(kind)} - in_code_marks(section("outputs.md", heading))
    assert not missing


@pytest.mark.parametrize(
    ("page", "heading", "values"),
    [
        ("input.md", "Refusals", Reason),
        ("outputs.md", "Enriched events", Flag),
        ("outputs.md", "Sessions", SessionStatus),
        ("outputs.md", "Sessions", CloseReason),
        ("sessions.md", "Closing", CloseReason),
        ("sessions.md", "Causes", SessionCause),
    ],
)
def test_a_closed_list_is_whole_in_its_document(page: str, heading: str, values: object) -> None:
    missing = set(get_args(values)) - in_code_marks(section(page, heading))
    assert not missing


def test_outputs_says_of_each_topic_what_the_table_of_topics_says() -> None:
    rows = re.findall(
        r"^\| `topics\.(\w+)` \(.*?\) \| (.*?) \|.*\| (.*?) \|$", (DOCS / "outputs.md").read_text(), re.M
    )
    keys = {"device": "device id", "session": "session id", "raw record": "the raw record's key"}
    kept = {"compact": "compacted", "delete": "kept by time"}
    assert {role for role, *_ in rows} == set(OUTPUTS)
    for role, key, cleanup in rows:
        spec = OUTPUTS[role]
        assert key.endswith(keys[spec.key])
        assert cleanup == kept[spec.cleanup]


def test_the_example_of_input_is_accepted() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", (DOCS / "input.md").read_text(), re.DOTALL)
    decoded = Decoder(InputRules(), IdentityRules()).decode(example.strip().encode())
    assert len(decoded.events) == 1
    assert not decoded.rejections


def test_architecture_names_every_package_and_module_below_worker() -> None:
    named = in_code_marks(section("architecture.md", "The packages"))
    modules = {
        name_of(path)
        for path in (ROOT / "worker").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert modules - named <= {"worker/__init__.py", "worker/__main__.py"}


def test_architecture_says_what_each_package_may_import() -> None:
    rows = re.findall(
        r"^\| (`worker/.*?) \|.*\|(.*)\|$", section("architecture.md", "The packages"), re.MULTILINE
    )
    assert rows
    for packages, imports in rows:
        names = [
            name.removeprefix("worker/").removesuffix(".py") for name in re.findall(r"`(.*?)`", packages)
        ]
        allowed = set().union(*(MAY_IMPORT[name] for name in names))
        assert set(re.findall(r"\w+", imports)) == allowed, packages
