"""The class is built as somebody has written it down: in the file, a docstring, a README or a test beside it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from gradflow.capture.guess.construction.defaults import fetches
from gradflow.capture.guess.examples import Example
from gradflow.capture.guess.expressions import inlined, is_plain
from gradflow.capture.guess.subject import Construction, Subject, parameters_of

_MOST = 6


def propose(subject: Subject) -> Iterator[Construction]:
    """The examples whose arguments can be evaluated; those that also call the model come first."""
    yield from _proposed(subject.examples, subject)


def propose_further(subject: Subject) -> Iterator[Construction]:
    """The same for what lies beside the file."""
    yield from _proposed(subject.further(), subject)


def _proposed(found: Iterable[Example], subject: Subject) -> Iterator[Construction]:
    for example in sorted(found, key=lambda example: not example.calls)[:_MOST]:
        construction = _written(example, subject)
        if construction is not None:
            yield construction


def _written(example: Example, subject: Subject) -> Construction | None:
    owner, _, method = example.callee.partition(".")
    function = getattr(subject.scope.get(owner), method, None) if method else subject.scope.get(owner)
    if not callable(function):
        return None
    given: list[tuple[str, str]] = []
    positional = list(parameters_of(function))
    for index, node in enumerate(example.built.args):
        if isinstance(node, ast.Starred):
            return None
        value = inlined(node, example.assigned)
        if not is_plain(value, subject.scope):
            return None
        name = (
            positional[index]
            if index < len(positional) and parameters_of(function)[positional[index]].kind.name.startswith("POSITIONAL_OR")
            else ""
        )
        given.append((name, _unfetched(name, value)))
    for keyword in example.built.keywords:
        value = inlined(keyword.value, example.assigned)
        if keyword.arg is None or not is_plain(value, subject.scope):
            return None
        given.append((keyword.arg, _unfetched(keyword.arg, value)))
    return Construction(example.callee, tuple(given), f"a call in {example.place}", example)


def _unfetched(name: str, value: ast.expr) -> str:
    """The argument as it is written, switched off where it asks for weights."""
    switched = isinstance(value, ast.Constant) and value.value is True
    named = isinstance(value, ast.Attribute) or (isinstance(value, ast.Constant) and isinstance(value.value, str))
    if not (switched or named) or not fetches(name, switched=switched):
        return ast.unparse(value)
    return "False" if switched else "None"
