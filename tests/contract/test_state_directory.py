"""What a worker's directory is: one process's alone, and the home of its name."""

from pathlib import Path

import pytest

from worker.adapters.state_directory import StateDirectory
from worker.errors import Fatal

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


def test_a_member_id_cut_short_by_a_crash_is_made_anew(tmp_path: Path) -> None:
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
