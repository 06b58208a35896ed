"""Comments that say a finding is meant."""

from __future__ import annotations

import pytest

from gradflow.suppression import Ignore, find_ignores, ignored_codes, read_ignore


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("with torch.no_grad():  # gradflow: ignore[GF101]", ("GF101",)),
        ("z = h.detach()  # gradflow: ignore[GF101, GF106, GF101] a target", ("GF101", "GF106")),
        ("z = h.detach()  #gradflow:ignore[GF101]", ("GF101",)),
        ("z = h.detach()  # noqa: E501  # gradflow: ignore[GF101]", ("GF101",)),
        ("z = h.detach()  # gradflow: ignore", ()),
        ("z = h.detach()  # gradflow: ignore[GF1]", ()),
        ("z = h.detach()  # GF101 is meant", ()),
        ("gradflow: ignore[GF101]", ()),
        ("", ()),
    ],
)
def test_the_codes_of_a_line(line: str, codes: tuple[str, ...]) -> None:
    assert ignored_codes(line) == codes


def test_a_reason_may_follow_and_what_is_no_code_is_told_apart() -> None:
    assert read_ignore("# gradflow: ignore[GF101, 101] frozen on purpose  # noqa") == Ignore(("GF101",), "frozen on purpose", ("101",))
    assert read_ignore("# gradflow: ignore") == Ignore(())


def test_the_comments_of_a_file_come_by_line_and_strings_are_none() -> None:
    source = 'text = "# gradflow: ignore[GF101]"\nx = (\n    y.detach()  # gradflow: ignore[GF101]\n)\n'
    assert find_ignores(source) == {3: Ignore(("GF101",))}


def test_a_file_that_is_no_python_gives_the_comments_before_the_error() -> None:
    assert find_ignores("x = 1  # gradflow: ignore[GF101]\ny = '''\n") == {1: Ignore(("GF101",))}
