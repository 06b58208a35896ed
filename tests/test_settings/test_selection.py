"""Codes and files that are wanted, and those that are not."""

from __future__ import annotations

import pytest

from gradflow.errors import UsageError
from gradflow.selection import Selection, read_selectors, require_known


def test_everything_is_kept_where_nothing_is_said() -> None:
    assert Selection().keeps("GF101", "a.py") and Selection().keeps("GF903")


@pytest.mark.parametrize(
    ("select", "ignore", "kept"),
    [
        (("GF1",), (), {"GF101", "GF102"}),
        (("GF",), ("GF101",), {"GF102", "GF301"}),
        (("GF",), ("GF1",), {"GF301"}),
        (("GF", "GF101"), ("GF1",), {"GF101", "GF301"}),
        (("GF101",), ("GF101",), set()),
        (("GF3",), ("GF",), {"GF301"}),
    ],
)
def test_the_longer_selector_wins_and_ignore_wins_a_draw(select: tuple[str, ...], ignore: tuple[str, ...], kept: set[str]) -> None:
    selection = Selection(select, ignore)
    assert {code for code in ("GF101", "GF102", "GF301") if selection.keeps(code, "a.py")} == kept


@pytest.mark.parametrize(
    ("pattern", "file", "kept"),
    [
        ("tests/*", "tests/deep/train.py", False),
        ("tests/*", "src/tests/train.py", True),
        ("train.py", "src/train.py", False),
        ("*_old.py", "src/net_old.py", False),
        ("src/train.py", "src/train.py", False),
        ("train", "train.py", True),
    ],
)
def test_a_pattern_without_a_slash_is_matched_with_the_name_alone(pattern: str, file: str, kept: bool) -> None:
    assert Selection(per_file=((pattern, ("GF101",)),)).keeps("GF101", file) is kept
    assert Selection(per_file=((pattern, ("GF101",)),)).keeps("GF102", file)


def test_patterns_are_relative_to_the_folder_of_the_settings_wherever_the_audit_is_run() -> None:
    inside = Selection(per_file=(("src/*", ("GF1",)),), root="/home/me/project", working="/home/me/project/src")
    assert not inside.keeps("GF101", "train.py")
    assert not inside.keeps("GF101", "/home/me/project/src/train.py")
    assert inside.keeps("GF101", "../train.py")
    assert inside.keeps("GF101", "/elsewhere/src/train.py")
    assert inside.keeps("GF101", "")


def test_the_command_line_replaces_only_what_it_names() -> None:
    settings = Selection(("GF1",), ("GF102",), (("a.py", ("GF101",)),))
    assert settings.overridden((), ("GF101",)) == Selection(("GF1",), ("GF101",), settings.per_file)
    assert settings.overridden(("GF3",), ()) == Selection(("GF3",), ("GF102",), settings.per_file)


def test_selectors_may_stand_with_commas_between() -> None:
    assert read_selectors(["GF101, GF3", "GF", ""], "--select") == ("GF101", "GF3", "GF")


@pytest.mark.parametrize("wrong", ["E501", "gf101", "GF1011", "severed-parameter", "101"])
def test_what_is_no_code_is_refused_in_one_sentence(wrong: str) -> None:
    with pytest.raises(UsageError) as error:
        read_selectors([wrong], "--ignore")
    assert str(error.value) == f"--ignore: expected a code or the beginning of one, as GF101 or GF1, found '{wrong}'"


@pytest.mark.parametrize(
    ("wrong", "near"), [("GF999", "GF904"), ("GF108", "GF107"), ("GF5", "GF403"), ("GF100", "GF101"), ("GF308", "GF307")]
)
def test_a_code_that_no_check_has_is_refused_with_the_nearest(wrong: str, near: str) -> None:
    codes = ["GF101", "GF102", "GF107", "GF301", "GF307", "GF401", "GF403", "GF901", "GF904"]
    with pytest.raises(UsageError) as error:
        require_known(["GF1", wrong], codes, "--ignore")
    assert str(error.value) == f"--ignore: there is no check {wrong}; the nearest is {near}, and `gradflow explain` lists all of them"


def test_a_code_or_the_beginning_of_one_is_known() -> None:
    require_known(["GF", "GF1", "GF10", "GF101"], ["GF101"], "--select")
