"""Tries constructions and calls until one runs forward, mending each that fails from its error. Says what was tried and why it failed.

What is mended from an error that is new is tried before what is mended from one that was seen: a new error is progress. The search is
bounded in tries and seconds.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch._guards import detect_fake_mode

from gradflow.capture.fake import TooManyParameters, stopped_at
from gradflow.capture.guess import inputs
from gradflow.capture.guess.attempt import Failure, TooSlow, attempt
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.construction import propose as constructions
from gradflow.capture.guess.construction.parts import PLACE
from gradflow.capture.guess.expressions import evaluate, namespace
from gradflow.capture.guess.extrapolated import extrapolated
from gradflow.capture.guess.made import Made, made_with
from gradflow.capture.guess.mend_call import mended as mended_calls
from gradflow.capture.guess.mend_init import made_otherwise
from gradflow.capture.guess.mend_init import mended as mended_constructions
from gradflow.capture.guess.sizes import sizes_of
from gradflow.capture.guess.subject import Construction, Subject
from gradflow.capture.guess.unfit import sizes_that_do_not_fit
from gradflow.capture.guess.waiting import Line, Place
from gradflow.capture.surrogate import floats_in

_TRIES_TO_BUILD, _TRIES_TO_CALL, _PROPOSALS = 60, 60, 8
_SECONDS_TO_BUILD, _SECONDS_TO_CALL, _SECONDS_TO_MEND = 12.0, 8.0, 15.0
_DEEPEST, _SHARE_OF_A_PART = 2, 0.3
"""Models that wait in each other, and what part of the time that is left one of their parts may take."""

_SHARE_OF_A_MODEL = 0.5
"""What part of the time that is left the calls of one model may take, where the class may be built otherwise."""

_MOST_PARAMETERS = 200_000_000
"""A larger model is made smaller, where its sizes have usual names: 800 MB of float32, and some seconds for each try."""

_MOST_ELEMENTS, _MOST_WHEN_MENDED = 20_000_000, 5_000_000
"""Numbers in the inputs of one call: more cannot be interrupted in time, and layers make many times as many of them."""
_MENDS = 24
"""Ways of mending one failure that are tried, the surest first."""

_STUBBORN = 8
"""Calls of one model that may fail furthest with the same two sizes of a layer: these are its own, and no input changes them."""

_PATIENCE = 3
"""Calls of one model that may be too slow, where no smaller model of the class can be made."""

_OTHERWISE = 6
"""Models of one class that may be built otherwise, because no call of them was found."""

_SLOW = Failure(TooSlow(), ())

_WANTS_GRADIENTS = re.compile(r"requires? grad|requires_grad|grad_fn|no_grad|grad mode")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """A model that runs: how it was built and what it was called with."""

    model: torch.nn.Module
    construction: Construction
    call: Call


@dataclass(frozen=True, slots=True)
class Missed:
    """A class that could not be built or called. `what`: "build" or "call"; `why`: the error of the most trusted try.

    `too_large`: a construction was stopped because it made more parameters than a machine holds.
    """

    name: str
    what: str
    why: str
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class Uncalled:
    """How a model failed that no call was found for: with the most trusted call, and with the one that got furthest through its layers."""

    first: Failure
    furthest: Failure


class Deadline:
    """The seconds that a search has left."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, 0 where there are none left."""
        return max(0.0, self._until - time.monotonic())

    def part(self, share: float) -> Deadline:
        """A deadline for a share of what is left."""
        return Deadline(self.left() * share)


def find(subject: Subject, deadline: Deadline, given: Call | None = None) -> Found | Missed:
    """A model of the class with a call that runs, `given` where it is given, or why there is none."""
    missed: Missed | None = None
    too_large = False
    again = deque[Construction]()
    tried: set[str] = set()
    for construction, model in _models(again, subject, deadline):
        if isinstance(model, Failure):
            too_large = too_large or isinstance(model.error, TooManyParameters)
            missed = Missed(subject.name, "build", model.sentence) if missed is None or model.is_final else missed
            continue
        tried.add(construction.text)
        shrunk = [other for other in mended_constructions(construction, _SLOW, subject) if other.text not in tried]
        within = deadline.part(_SHARE_OF_A_MODEL)
        call = _called(model, given, deadline) if given else find_call(model, construction, subject, within, 0 if shrunk else _PATIENCE)
        if isinstance(call, Call):
            return Found(model, construction, call)
        missed = Missed(subject.name, "call", call.first.sentence) if missed is None or missed.what == "build" else missed
        if isinstance(call.first.error, TooSlow):
            again.extend(shrunk)
        elif len(tried) <= _OTHERWISE:
            again.extend(_few(other for other in made_otherwise(construction, call.furthest, subject) if other.text not in tried))
        del call  # it holds the tensors of the failed tries
    missed = missed or Missed(subject.name, "build", "nothing in the file says how")
    return replace(missed, too_large=too_large)


def _models(again: deque[Construction], subject: Subject, deadline: Deadline) -> Iterator[tuple[Construction, torch.nn.Module | Failure]]:
    """The models that are proposed, and in turn with these the ones that wait in `again`."""
    proposed = build(subject, deadline)
    built: tuple[Construction, torch.nn.Module | Failure] | None = None
    while deadline.left() and (again or (built := next(proposed, None)) is not None):
        if again:
            yield _made_again(again, subject, deadline)
            built = next(proposed, None) if deadline.left() else None
        if built is not None:
            yield built


def _made_again(again: deque[Construction], subject: Subject, deadline: Deadline) -> tuple[Construction, torch.nn.Module | Failure]:
    """The next of the models in place of one that could not be called."""
    construction = again.popleft()
    whole, failure = _with_parts(construction, subject, {}, deadline, 0)
    if failure is not None:
        return construction, failure
    made, failure = _built(whole, subject, deadline)
    return made if failure is None else (construction, failure)


def _called(model: torch.nn.Module, given: Call, deadline: Deadline) -> Call | Uncalled:
    failure = try_call(model, given, deadline.left())
    return given if failure is None else Uncalled(failure, failure)


def build(subject: Subject, deadline: Deadline, depth: int = 0) -> Iterator[tuple[Construction, torch.nn.Module | Failure]]:
    """Every construction that works, each with its model, and the failures of those proposed that could not be mended.

    `depth`: how many models around it wait for this one.
    """
    seen: set[str] = set()
    parts: dict[str, str] = {}
    for proposed in constructions(subject):
        first: Failure | None = None
        todo, errors = deque([proposed]), set[Place]()
        tries = 0
        while todo and tries < _TRIES_TO_BUILD and deadline.left():
            construction = todo.popleft()
            if construction.text in seen:
                continue
            seen.add(construction.text)
            tries += 1
            whole, failure = _with_parts(construction, subject, parts, deadline, depth)
            if failure is None:
                model, failure = _built(whole, subject, deadline)
                if failure is None:
                    yield model
                    break
                # a configuration made up as it is read has told by now which fields it has
                construction = model[0] if "Made(" in whole.text else construction
            first = first or failure
            if failure.is_final:
                first = failure
                todo.clear()
                continue
            _queue(todo, mended_constructions(construction, failure, subject), failure, errors)
        else:
            if first is not None:
                yield proposed, first


def _with_parts(
    construction: Construction, subject: Subject, parts: dict[str, str], deadline: Deadline, depth: int
) -> tuple[Construction, Failure | None]:
    """The construction with the call that builds it in place of each `<Name>`; `parts` keeps those calls."""
    whole = construction
    for name, text in construction.arguments:
        for part in PLACE.findall(text):
            if part not in parts and depth < _DEEPEST:
                within = deadline.part(_SHARE_OF_A_PART)
                built = build(_part(part, subject), within, depth + 1)
                parts[part] = next((made.text for made, model in built if not isinstance(model, Failure)), "")
            if not parts.get(part):
                return construction, Failure(TypeError(f"`{name}` needs a model, and `{part}` could not be built"), ())
            text = text.replace(f"<{part}>", parts[part])
        whole = whole.with_argument(name, text) if name else whole
    return whole, None


def _part(name: str, subject: Subject) -> Subject:
    """What is known of a class of the same file, or of one that it imports."""
    own = next((other for other in subject.siblings if other.name == name), None)
    return own or Subject(name, namespace(subject.scope)[name], namespace(subject.scope))


def _built(construction: Construction, subject: Subject, deadline: Deadline) -> tuple[tuple[Construction, torch.nn.Module], Failure | None]:
    scope = {**namespace(subject.scope), **configuration_classes(subject.cls), "Made": made_with(subject.words)}
    values: dict[str, object] = {}

    def make() -> object:
        torch.manual_seed(0)
        values.update((name or f"*{index}", evaluate(text, scope)) for index, (name, text) in enumerate(construction.arguments))
        positional = [value for name, value in values.items() if name.startswith("*")]
        return evaluate(construction.callee, scope)(
            *positional, **{name: value for name, value in values.items() if not name.startswith("*")}
        )

    with _no_giant():
        made, failure = attempt(make, min(_SECONDS_TO_BUILD, deadline.left()))
    if failure is None and isinstance(made, (tuple, list)) and made and isinstance(made[0], torch.nn.Module):
        made = made[0]
    if failure is None and not isinstance(made, torch.nn.Module):
        failure = Failure(TypeError(f"{construction.callee} made a {type(made).__name__}, and no nn.Module"), ())
    if failure is None and construction.callee != subject.name and not isinstance(made, subject.cls):
        failure = Failure(TypeError(f"{construction.callee} made a {type(made).__name__}, and no {subject.name}"), ())
    written = tuple((name, value.text() if isinstance(value := values.get(name), Made) else text) for name, text in construction.arguments)
    done = replace(construction, arguments=written)
    return (done, made), failure


def _no_giant() -> contextlib.AbstractContextManager[None]:
    """Stops a construction that makes too much; under fake tensors nothing is held."""
    return contextlib.nullcontext() if detect_fake_mode() is not None else stopped_at(_MOST_PARAMETERS)


def _queue(todo: deque[T], mended: Iterable[T], failure: Failure, errors: set[Place]) -> None:
    """Puts what may do better in line: first, if nothing failed there before, else last."""
    fresh = _few(mended)
    if failure.place in errors:
        todo.extend(fresh)
    else:
        todo.extendleft(reversed(fresh))
    errors.add(failure.place)


def configuration_classes(made: Any) -> dict[str, type]:
    """The classes that `configs` may name for an argument of this class, and that its file itself does not."""
    found = getattr(made, "config_class", None)
    classes = {found.__name__: found} if isinstance(found, type) else {}
    for owner in getattr(made, "__mro__", ()):
        for hint in getattr(vars(owner).get("__init__"), "__annotations__", {}).values():
            if isinstance(hint, type):
                classes.setdefault(hint.__name__, hint)
    return classes


def find_call(
    model: torch.nn.Module, construction: Construction, subject: Subject | None, deadline: Deadline, patience: int = _PATIENCE
) -> Call | Uncalled:
    """A call of the model that gives floating tensors, or how it failed."""
    seen: set[tuple[tuple[str, ...], bool]] = set()
    sizes = sizes_of(model, construction)
    waiting = Line(itertools.islice(inputs.propose(model, construction, subject), _PROPOSALS))
    first = furthest = None
    tries = 0
    slow = 0
    unfit: Counter[object] = Counter()
    while tries < _TRIES_TO_CALL and deadline.left() and (waiter := waiting.pop()) is not None:
        call, origin = waiter
        if (call.options, call.evaluating) in seen or call.elements > (_MOST_WHEN_MENDED if origin else _MOST_ELEMENTS):
            continue
        seen.add((call.options, call.evaluating))
        tries += 1
        failure = try_call(model, call, min(_SECONDS_TO_CALL, deadline.left()))
        if failure is None:
            return call
        slow += isinstance(failure.error, TooSlow)
        mended = _few(mended_calls(call, failure, model, sizes))
        # a call that can be made smaller has a second chance before the model is
        if failure.is_final or slow > (patience or bool(mended)):
            return Uncalled(failure, failure)
        first = first or failure
        furthest = failure if furthest is None or failure.layers_done > furthest.layers_done else furthest
        if failure.layers_done == furthest.layers_done and (stuck := sizes_that_do_not_fit(failure)) is not None:
            unfit[stuck] += 1
            if unfit[stuck] > _STUBBORN:
                return Uncalled(first, failure)
        if origin is not None:
            waiting.put(_few(extrapolated(*origin, call, failure.past)), call, failure, solved=True)
        waiting.put(mended, call, failure)
    first = first or Failure(TypeError("its forward takes nothing that could be guessed"), ())
    return Uncalled(first, furthest or first)


def _few(mended: Iterable[T]) -> list[T]:
    """The first of them; where a rule stumbles over the user's own objects, those before."""
    found: list[T] = []

    def collect() -> None:
        for one in itertools.islice(mended, _MENDS):
            found.append(one)

    attempt(collect, _SECONDS_TO_MEND)
    return found


def try_call(model: torch.nn.Module, call: Call, seconds: float) -> Failure | None:
    """None where the call runs and gives at least one floating tensor.

    What fails is found out without gradients, which would keep the values of every layer; what runs has to run with them too.
    """
    with torch.no_grad():
        failure = _tried(model, call, seconds)
    if failure is None or _WANTS_GRADIENTS.search(failure.message):
        failure = _tried(model, call, seconds)
    return failure


def _tried(model: torch.nn.Module, call: Call, seconds: float) -> Failure | None:
    def run() -> object:
        torch.manual_seed(0)
        args, kwargs = call.build()
        model.train(not call.evaluating)
        return model(*args, **kwargs)

    output, failure = attempt(run, seconds)
    if failure is None and not floats_in(output):
        return Failure(TypeError(f"{type(model).__name__} returned no floating tensor"), ())
    return failure
