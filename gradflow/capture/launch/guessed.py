"""Models and inputs that nobody has given, made by `guess`: for a class of a file, for a file that only defines classes, for live models.

What was made is told in words that can be pasted back, and so is what could not be made.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import torch

from gradflow.capture.fake import FakeMode, fake_mode
from gradflow.capture.guess.attempt import attempt, needs_network
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.expressions import evaluate, namespace
from gradflow.capture.guess.made import Made
from gradflow.capture.guess.search import Deadline, Found, Missed, Uncalled, configuration_classes, find, find_call
from gradflow.capture.guess.sizes import sizes_of
from gradflow.capture.guess.subject import Construction, Subject, parameters_of
from gradflow.capture.guess.target import subjects_of
from gradflow.capture.guess.unfetched import left_out_of, note_left_out, without_weights
from gradflow.capture.guess.usual import annotation_of
from gradflow.capture.guess.variants import variants
from gradflow.capture.launch.inputs import InputSpec, text_of
from gradflow.capture.surrogate import floats_in
from gradflow.errors import NothingToAudit, UsageError

CLASSES_TRIED = 4
"""How many of a file's classes are tried, its main one first."""

NOTHING_TO_TRAIN = "has no parameter that could be trained"

_SECONDS_FOR_OTHERS = 20.0

_ASKS_FOR_A_LOSS = re.compile(r"(\w+_)?(labels?|targets?)|gt(_\w+)?|ground_truths?")
_HELD = re.compile(r"list|dict|Any", re.IGNORECASE)
"""Annotations of targets that hold several things, as boxes and classes."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A model and a call that it takes. `attribute`: what was called to build it, with `init` (None: nothing was guessed there).

    `missed`: the classes that were to be audited first, and why they were not. `mode`: of fake tensors, for a giant.
    """

    model: torch.nn.Module
    attribute: str
    init: str | None
    call: Call
    missed: tuple[Missed, ...] = ()
    mode: FakeMode | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the report has to say loudly: another class than the main one was audited, or another mode."""
        failed = "; ".join(f"could not {miss.what} `{miss.name}`: {miss.why}" for miss in self.missed if miss.what != "train")
        audited = f"audited `{type(self.model).__name__}`; {failed}" if failed else ""
        mode = "audited in eval mode: in training mode it does not run with these inputs" if self.call.evaluating else ""
        return (*(note for note in (audited, mode) if note), *weights_notes(self.model))

    def unasked(self, tried: Sequence[Call]) -> str:
        """The argument by which the model computes a loss of its own, as `labels`, where it is no tensor and neither this call nor one of
        those `tried` has it; empty where there is none."""
        given = {name for call in (self.call, *tried) for name in call.given()}
        left_out = {name: entry for name, entry in parameters_of(self.model.forward).items() if name not in given}
        asking = (
            name for name, entry in left_out.items() if _ASKS_FOR_A_LOSS.fullmatch(name) and _HELD.search(annotation_of(entry) or "Any")
        )
        return next(asking, "")

    def others(self) -> list[Call]:
        """Further calls that the model takes."""
        construction = Construction(self.attribute)
        return variants(self.model, self.call, sizes_of(self.model, construction), Deadline(_SECONDS_FOR_OTHERS))


def weights_notes(model: torch.nn.Module) -> tuple[str, ...]:
    """What the report says of weights that the model was made without."""
    without = ", ".join(left_out_of(model))
    return (f"weights were not loaded, it has those that it is initialised with: {without}",) if without else ()


def guess_file(module: ModuleType, seconds: float, stack: contextlib.ExitStack) -> Guess:
    """The first class of the file, the main one first, that can be built and called.

    Raises:
        NothingToAudit: there is none, with the reason of each.
    """
    missed: list[Missed] = []
    deadline = Deadline(seconds)
    subjects = subjects_of(module)[:CLASSES_TRIED]
    for number, subject in enumerate(subjects):
        found = _find(subject, deadline.part(1 / (len(subjects) - number) if number else 0.6), stack)
        if isinstance(found, Guess) and _learns(found):
            return replace(found, missed=tuple(missed))
        missed.append(found if isinstance(found, Missed) else Missed(subject.name, "train", NOTHING_TO_TRAIN))
    raise NothingToAudit(refusal(missed))


def _learns(guess: Guess) -> bool:
    """Whether the model has parameters, registered or not: without any, nothing in its output needs a gradient."""
    if any(True for _ in guess.model.parameters()):
        return True
    args, kwargs = guess.call.build()
    with torch.enable_grad():
        output, _ = attempt(lambda: guess.model(*args, **kwargs), _SECONDS_FOR_OTHERS)
    return any(tensor.requires_grad for tensor in floats_in(output))


def guess_subject(subject: Subject, seconds: float, stack: contextlib.ExitStack, inputs: Sequence[InputSpec] | None = None) -> Guess:
    """A model of one class, and a call of it: with `inputs` where they are given.

    Raises:
        NothingToAudit: it could not be built, or no call of it runs; with the error of the most trusted try.
    """
    given = None if inputs is None else Call(tuple((entry.name, text_of(entry)) for entry in inputs), "--input")
    found = _find(subject, Deadline(seconds), stack, given)
    if isinstance(found, Guess):
        return found
    raise NothingToAudit(refusal([found]))


def called_with(function: Callable[..., Any], init: str) -> Any:
    """What the user's class or function makes with the arguments of `--init`, written as in a call of it.

    Raises:
        UsageError: they are no arguments of a call.
    """
    try:
        call = ast.parse(f"_({init})", mode="eval").body
    except SyntaxError:
        call = None
    if not isinstance(call, ast.Call):
        raise UsageError(f"--init {init!r}: expected arguments of a call, as in 'dim=64, depth=2'")
    scope = {**namespace(vars(inspect.getmodule(function) or builtins)), **configuration_classes(function), "Made": Made}
    positional = [evaluate(ast.unparse(value), scope) for value in call.args]
    named = {entry.arg: evaluate(ast.unparse(entry.value), scope) for entry in call.keywords if entry.arg}
    try:
        return function(*positional, **named)
    except Exception as error:
        if not needs_network(error):
            raise
    with without_weights() as left_out:
        made = function(*positional, **named)
    note_left_out(made, left_out)
    return made


def guess_inputs(model: torch.nn.Module, attribute: str, init: str, subject: Subject | None, seconds: float) -> Guess:
    """A call of a model that is there.

    Raises:
        NothingToAudit: no call runs; with the error of the most trusted one.
    """
    call = find_call(model, Construction(attribute, (("", init),) if init else ()), subject, Deadline(seconds))
    if isinstance(call, Uncalled):
        raise NothingToAudit(refusal([Missed(attribute or type(model).__name__, "call", call.first.sentence)]))
    return Guess(model, attribute, None, call)


def refusal(missed: Sequence[Missed]) -> str:
    """Why nothing could be audited, and what to write to have it audited."""
    idle = [miss for miss in missed if miss.what == "train"]
    failed = [miss for miss in missed if miss.what != "train"]
    reasons = [f"could not {miss.what} `{miss.name}`: {miss.why}" for miss in failed]
    reasons += [f"`{miss.name}` {miss.why}" for miss in idle]
    if not failed:
        return f"{'; '.join(reasons)}, so there is nothing to judge"
    advice = {
        "build": "give its arguments, as in --init 'dim=64, depth=2'",
        "call": "give its inputs, as in --input 'x=float32[2,3,32,32]'",
    }[failed[0].what]
    return f"{'; '.join(reasons)}; {advice}, or write gradflow_model() and gradflow_inputs(model) in the file"


def _find(subject: Subject, deadline: Deadline, stack: contextlib.ExitStack, given: Call | None = None) -> Guess | Missed:
    """Really, where some size of it fits; where it has only larger ones, under fake tensors."""
    found = find(subject, deadline, given)
    if isinstance(found, Missed) and found.too_large:
        inner = contextlib.ExitStack()
        mode = inner.enter_context(fake_mode())
        with inner:
            found = find(subject, deadline, given)
            if isinstance(found, Found):
                stack.push(inner.pop_all())
                return _guess(found, mode)
    return found if isinstance(found, Missed) else _guess(found, None)


def _guess(found: Found, mode: FakeMode | None) -> Guess:
    return Guess(found.model, found.construction.callee, found.construction.init, found.call, (), mode)
