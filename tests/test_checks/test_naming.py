"""Modules and the user's own expressions for them."""

from __future__ import annotations

import pytest
from hand_built import Program

from gradflow.checks.naming import expression, freeze, topmost


@pytest.mark.parametrize(
    ("root", "path", "prefixed", "text"),
    [
        ("model", "lin1", False, "model.lin1"),
        ("model", "", False, "model"),
        ("netG", "netG.main.0", True, "netG.main[0]"),
        ("model", "model.lin", False, "model.model.lin"),
        ("model", "hidden[0]", False, "model.hidden[0]"),
        ("model", "heads.conv-1.lin", False, 'model.heads.get_submodule("conv-1.lin")'),
        ("", "image", False, "image"),
    ],
)
def test_an_expression_reaches_the_module_from_the_users_variable(root: str, path: str, prefixed: bool, text: str) -> None:
    assert expression(root, path, prefixed=prefixed) == text


def facts(*names: str, root: str = "model") -> list:  # type: ignore[type-arg]
    program = Program()
    for name in names:
        program.weight(name, root=root)
    return program.facts


@pytest.mark.parametrize(
    ("names", "chosen", "statement"),
    [
        (("a.weight", "a.bias", "b.weight"), [0, 1], "model.a.requires_grad_(False)"),
        (("a.weight", "a.bias", "b.weight"), [0], "model.a.weight.requires_grad_(False)"),
        (("a.weight", "b.weight", "c.weight"), [0, 2], "for m in (model.a, model.c): m.requires_grad_(False)"),
        (("a.weight", "b.weight"), [0, 1], "model.requires_grad_(False)"),
        (
            ("wte", "h.0.w", "h.1.w", "h.2.w", "h.3.w"),
            [0, 1, 2, 3],
            "for m in (model.wte, *model.h[0:3]): m.requires_grad_(False)",
        ),
        (("h.0.w", "h.1.w", "h.2.w", "h.3.w"), [1, 2, 3], "for m in model.h[1:4]: m.requires_grad_(False)"),
    ],
)
def test_freezing_names_just_the_chosen_modules(names: tuple[str, ...], chosen: list[int], statement: str) -> None:
    assert freeze(facts(*names), chosen) == statement


def test_leaves_of_the_script_itself_are_not_grouped() -> None:
    assert [group.path for group in topmost(facts("image", "mask", root=""), [0, 1])] == ["image", "mask"]
