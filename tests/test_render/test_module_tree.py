"""The folded module tree: what is folded, what is opened, and that shares and heights are told truly."""

from __future__ import annotations

import itertools

import report_examples as examples
from hypothesis import given, settings
from hypothesis import strategies as st

from gradflow.render.page import Page
from gradflow.render.summary import share
from gradflow.render.tree import MOST_LINES, add_tree
from gradflow.report import ParameterRow
from gradflow.verdict import Verdict


def tree(rows: list[ParameterRow], width: int = 100, *, full: bool = False) -> str:
    page = Page(width, color=False, unicode=True)
    add_tree(page, tuple(rows), full=full)
    return page.render()


def test_equal_blocks_fold_and_the_one_that_differs_is_open() -> None:
    text = tree([entry for number in range(8) for entry in examples.block(number, number == 3)])
    assert "├─ 0 to 2 ×3" in text
    assert "│  ├─ attn" in text
    assert "└─ 4 to 7 ×4" in text
    assert "qkv" not in text  # attention is severed as a whole, so it stays closed


def test_blocks_that_are_mixed_in_the_same_way_fold_and_are_opened_once() -> None:
    rows = [
        entry for n in range(12) for entry in (*examples.linear(f"h.{n}.base", Verdict.FROZEN), *examples.linear(f"h.{n}.lora", grad=0.1))
    ]
    text = tree(rows)
    assert text.count("base") == text.count("lora") == 1
    assert "0 to 11 ×12" in text
    assert "■ 24" in text


def test_parameters_of_one_layer_with_different_verdicts_are_listed() -> None:
    text = tree([examples.row("fc.weight", Verdict.SEVERED), examples.row("fc.bias", grad=0.1)])
    assert "├─ weight parameter" in text
    assert "└─ bias parameter" in text


def test_a_verdict_of_few_parameters_still_has_a_cell_in_the_bar() -> None:
    rows = [examples.row(f"h.{number}", grad=0.1) for number in range(500)] + [examples.row("h.last", Verdict.SEVERED)]
    line = tree(rows).splitlines()[1]
    assert line.count("━") == 13
    assert line.count("╍") == 1


def test_heights_are_on_a_fixed_scale() -> None:
    rows = [examples.row(f"h.{number}.weight", grad=10.0**-number) for number in range(8)] + [examples.row("a.weight", Verdict.SEVERED)]
    rows += [examples.row("h.8.weight", Verdict.SEVERED)]
    assert "█▇▆▅▄▃▂▁" in tree(rows)


def test_long_tree_is_cut_and_says_how_much_is_left() -> None:
    rows = [entry for number in range(100) for entry in examples.linear(f"layer_{number}")]
    text = tree(rows)
    assert len(text.splitlines()) == MOST_LINES + 2
    assert text.endswith("... and 60 more lines\n")
    assert "layer_99" in tree(rows, full=True)


def test_names_of_2000_levels_are_drawn_without_recursion() -> None:
    deep = ".".join(["m"] * 2000)
    rows = [examples.row(f"{deep}.weight"), examples.row(f"{deep}.bias", Verdict.SEVERED)]
    assert len(tree(rows, full=True).splitlines()) == 2003


def test_a_share_is_zero_only_for_nothing_and_all_only_for_all() -> None:
    assert [share(part, 100_000) for part in (0, 1, 499, 50_000, 99_999, 100_000)] == ["0%", "<1%", "<1%", "50%", ">99%", "100%"]


RAILS = {"│": "│├└", "├": "│├└"}
"""What may stand under a rail: it goes on, or it ends in the last child."""


def loose_rails(text: str) -> list[str]:
    """The lines with a rail that goes on to nothing, and those under a last child that go on with one."""
    lines = text.splitlines()[1:]
    found = []
    for above, below in itertools.pairwise([*lines, ""]):
        cells = [(mark, below[place : place + 1]) for place, mark in enumerate(above)]
        if any((mark in RAILS and under not in RAILS[mark]) or (mark == "└" and under in tuple("│├└")) for mark, under in cells):
            found.append(above)
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(["a", "b", "0", "1", "2"]), min_size=1, max_size=4), st.sampled_from([Verdict.LIVE, Verdict.SEVERED])
        ),
        min_size=1,
        max_size=14,
        unique_by=lambda pair: tuple(pair[0]),
    )
)
def test_every_rail_leads_to_a_child_and_none_passes_a_last_one(leaves: list[tuple[list[str], Verdict]]) -> None:
    rows = [examples.row(".".join([*path, "weight"]), verdict, grad=0.1 if verdict is Verdict.LIVE else None) for path, verdict in leaves]
    assert loose_rails(tree(rows, full=True)) == []


def test_a_rail_under_a_folded_last_child_is_seen() -> None:
    assert loose_rails("module\na\n└─ b\n│  └─ c\n") == ["└─ b"]
    assert loose_rails("module\na\n├─ b\nc\n") == ["├─ b"]


def test_a_module_without_parameters_of_its_own_is_named_with_its_class() -> None:
    rows = [entry for number in range(8) for entry in examples.block(number, number == 3)]
    page = Page(100, color=False, unicode=True)
    add_tree(page, tuple(rows), {"h.0": "Block", "h.3": "Block", "h.3.attn": "Attention"})
    assert "├─ 0 to 2 Block ×3" in page.render() and "│  ├─ attn Attention" in page.render()
