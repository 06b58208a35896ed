"""Loads the model that `file.py:attr` or `pkg.mod:attr` names, with its inputs and loss, and audits it. Runs in the child process.

What nobody has given is guessed. The user's own exceptions pass through; what is wrong with the target or a hook is said in one sentence.
"""

from __future__ import annotations

import contextlib
import inspect
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import torch

from gradflow.capture.fake import FakeMode, build, fake_mode
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.expressions import is_model
from gradflow.capture.guess.target import model_classes, subject_of
from gradflow.capture.launch.guessed import Guess, called_with, guess_file, guess_inputs, guess_subject, weights_notes
from gradflow.capture.launch.inputs import InputSpec, build_inputs
from gradflow.capture.launch.job import Job
from gradflow.capture.launch.main_module import import_file, import_named
from gradflow.capture.launch.scale import resized
from gradflow.capture.launch.target import Form, TargetSpec, parse_function
from gradflow.capture.model import OtherCall, audit_model
from gradflow.errors import NothingToAudit, TargetError, UsageError
from gradflow.graph.recording import Recording, Target, TargetKind

_SECONDS = 120.0

Loss = Callable[..., torch.Tensor]

BUILT_BY_HOOK = "write `def gradflow_model(): return {name}(...)` in {file} and audit {file}:gradflow_model"


def audit_attribute(job: Job) -> Recording:
    """The recording of one forward and backward pass of the model that the job names.

    Raises:
        TargetError: the attribute is not there, or is no model and makes none.
        UsageError: a hook function or the loss does not have the form expected.
    """
    with contextlib.ExitStack() as stack:
        mode = stack.enter_context(fake_mode()) if job.scale.fake else None
        module = _import(job.spec)
        kind = TargetKind.CLASS if isinstance(_find(module, job.spec), type) else TargetKind.MODULE
        found = _named(module, job, stack, mode)
        target = replace(job.target, kind=kind)
        if isinstance(found, Guess):
            return audit_guess(found, module, job, target, mode)
        return _audit(found.model, module, job, target, mode or found.mode)


@dataclass(frozen=True, slots=True)
class _Given:
    """A model whose inputs the user gives. `mode`: of fake tensors, for a giant."""

    model: torch.nn.Module
    mode: FakeMode | None


def _named(module: ModuleType, job: Job, stack: contextlib.ExitStack, mode: FakeMode | None) -> Guess | _Given:
    """The model that the job names; where its arguments or its inputs are not given, a guess of both."""
    found = _find(module, job.spec)
    hooked = hasattr(module, "gradflow_inputs")
    subject = subject_of(module, job.spec.attribute)
    if isinstance(found, type) and subject is not None and not job.init and not hooked and (_needed(found) or not job.inputs):
        return guess_subject(subject, _seconds(job), stack, job.inputs or None)
    if mode is not None:
        model, its_mode = _build(found, job), None
    else:
        model, its_mode = build(lambda: _build(found, job), stack)
    if job.inputs or hooked:
        return _Given(model, its_mode)
    return replace(guess_inputs(model, job.spec.attribute, job.init, subject, _seconds(job)), mode=its_mode)


def audit_file(module: ModuleType, job: Job, target: Target) -> Recording:
    """The recording of what a file that trains nothing has: a model in one of its variables, else the main one of its classes.

    Raises:
        TargetError: nothing in it can be built and called, with the reasons.
    """
    with contextlib.ExitStack() as stack:
        mode = stack.enter_context(fake_mode()) if job.scale.fake else None
        for name, model in _live_models(module):
            guess = guess_inputs(model, name, "", subject_of(module, type(model).__name__), _seconds(job))
            return audit_guess(guess, module, job, replace(target, kind=TargetKind.MODULE), mode)
        guess = guess_file(module, _seconds(job), stack)
        return audit_guess(guess, module, job, replace(target, kind=TargetKind.CLASS), mode)


def audit_guess(guess: Guess, module: ModuleType, job: Job, target: Target, mode: FakeMode | None) -> Recording:
    """The recording of a guessed call, of further ones where it leaves a parameter without a gradient, with the words to repeat it."""
    args, kwargs = resized(*guess.call.build(), job.scale)
    guess.model.train(not (guess.call.evaluating or job.evaluates))
    tried: list[Call] = []

    def others() -> list[OtherCall]:
        tried.extend(guess.others())
        return [OtherCall(*resized(*call.build(), job.scale), not call.evaluating) for call in tried]

    recording = audit_model(
        guess.model,
        args,
        kwargs,
        loss=_loss(module, job.loss),
        target=replace(target, reproduce=_words(guess, job)),
        draws=job.draws,
        focus=job.focus,
        fake=mode or guess.mode,
        name=_variable(guess),
        others=others,
    )
    if not recording.parameters:
        raise NothingToAudit(f"`{type(guess.model).__name__}` has no parameter that could be trained, so there is nothing to judge")
    return replace(
        recording, guessed=guess.call.text, unasked="" if job.loss else guess.unasked(tried), notes=(*guess.notes, *recording.notes)
    )


def has_models(module: ModuleType) -> bool:
    """Whether the file holds a model, or a class of its own to build one from."""
    return bool(model_classes(module) or _live_models(module))


def _live_models(module: ModuleType) -> list[tuple[str, torch.nn.Module]]:
    """The models that the file's own variables hold, the largest first; none that is a part of another."""
    held = {name: value for name, value in vars(module).items() if isinstance(value, torch.nn.Module) and list(value.parameters())}
    parts = {id(part) for value in held.values() for part in list(value.modules())[1:]}
    whole = [(name, value) for name, value in held.items() if id(value) not in parts]
    return sorted(whole, key=lambda entry: -len(list(entry[1].parameters())))


def _variable(guess: Guess) -> str:
    """What the model is called: by the file's own variable, where it holds it."""
    return guess.attribute if guess.init is None and guess.attribute.isidentifier() else "model"


def _words(guess: Guess, job: Job) -> str:
    """The command line that audits just this again."""
    place = job.spec.place
    words = ["gradflow", "audit"]
    if guess.init:
        words += ["--init", guess.init]
    for option in guess.call.options:
        words += ["--input", option]
    if guess.call.evaluating or job.evaluates:
        words.append("--eval")
    if job.loss:
        words += ["--loss", job.loss]
    return shlex.join([*words, *job.scale.words, f"{place}:{guess.attribute}"])


def _seconds(job: Job) -> float:
    """How long may be searched: half of the time that is given."""
    return (job.seconds or _SECONDS) / 2


def load_model(job: Job, stack: contextlib.ExitStack) -> tuple[torch.nn.Module, tuple[Any, ...], dict[str, Any], Loss | None]:
    """The model that the job names, its positional and keyword inputs, and its loss function. Raises as `audit_attribute` does."""
    module = _import(job.spec)
    found = _named(module, job, stack, None)
    args, kwargs = found.call.build() if isinstance(found, Guess) else _inputs(found.model, module, job.inputs)
    return found.model, args, kwargs, _loss(module, job.loss)


def _import(spec: TargetSpec) -> ModuleType:
    return import_file(spec.place) if spec.form is Form.FILE_ATTRIBUTE else import_named(spec.place)


def audit_hooks(module: ModuleType, job: Job, target: Target) -> Recording:
    """The recording of the model that the program's own `gradflow_model()` makes."""
    spec = replace(job.spec, attribute="gradflow_model")
    model = _made(module.gradflow_model, spec)
    if hasattr(module, "gradflow_inputs") or job.inputs:
        return _audit(model, module, job, target)
    guess = guess_inputs(model, "gradflow_model", "", None, _seconds(job))
    return audit_guess(guess, module, job, target, None)


def _find(module: ModuleType, spec: TargetSpec) -> Any:
    found: Any = module
    for part in spec.attribute.split("."):
        if not hasattr(found, part):
            models = sorted(name for name, value in vars(module).items() if is_model(value) and value.__module__ == module.__name__)
            there = f"; it has {', '.join(models)}" if models else ""
            raise TargetError(f"`{spec.place}` has no `{spec.attribute}`{there}")
        found = getattr(found, part)
    return found


def _build(found: Any, job: Job) -> torch.nn.Module:
    """The model that `found` is, or makes when it is called with the arguments of `--init`."""
    if not job.init:
        return _made(found, job.spec)
    if not callable(found) or isinstance(found, torch.nn.Module):
        raise UsageError(f"--init goes with a class or a function, and `{job.spec.attribute}` is a {type(found).__name__}")
    made = called_with(found, job.init)
    if not isinstance(made, torch.nn.Module):
        raise TargetError(f"`{job.spec.attribute}({job.init})` returned a {type(made).__name__}: expected an nn.Module")
    return made


def _made(found: Any, spec: TargetSpec) -> torch.nn.Module:
    """The model that `found` is or makes when called without arguments."""
    if isinstance(found, torch.nn.Module):
        return found
    name = f"{spec.place}:{spec.attribute}"
    if not callable(found):
        raise TargetError(f"`{name}` is a {type(found).__name__}: expected an nn.Module class, a model or a function that makes one")
    needed = _needed(found)
    if needed:
        hook = BUILT_BY_HOOK.format(name=spec.attribute, file=spec.place)
        raise TargetError(f"`{name}` needs arguments ({', '.join(needed)}) to be built: give them by --init 'name=value', or {hook}")
    made = found()
    if not isinstance(made, torch.nn.Module):
        raise TargetError(f"`{name}()` returned a {type(made).__name__}: expected an nn.Module")
    return made


def _audit(model: torch.nn.Module, module: ModuleType, job: Job, target: Target, mode: FakeMode | None = None) -> Recording:
    args, kwargs = resized(*_inputs(model, module, job.inputs), job.scale)
    if job.evaluates:
        model.eval()
    recording = audit_model(
        model, args, kwargs, loss=_loss(module, job.loss), target=target, draws=job.draws, focus=job.focus, fake=mode, name="model"
    )
    return replace(recording, notes=(*weights_notes(model), *recording.notes))


def _inputs(model: torch.nn.Module, module: ModuleType, inputs: tuple[InputSpec, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    hook = getattr(module, "gradflow_inputs", None)
    if inputs:
        args: tuple[Any, ...]
        kwargs: dict[str, Any]
        args, kwargs = build_inputs(inputs)
    elif hook is not None:
        args, kwargs = _split_inputs(hook(model) if _needed(hook) else hook())
    else:
        args, kwargs = (), {}
    _check_inputs(model, args, kwargs)
    return args, kwargs


def _split_inputs(given: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """(args, kwargs) from what `gradflow_inputs` returned: a tuple, a dict, (tuple, dict), or one tensor."""
    if isinstance(given, torch.Tensor):
        return (given,), {}
    if isinstance(given, Mapping):
        return (), dict(given)
    if isinstance(given, tuple):
        if len(given) == 2 and isinstance(given[0], tuple) and isinstance(given[1], Mapping):
            return given[0], dict(given[1])
        return given, {}
    raise UsageError(f"gradflow_inputs returned a {type(given).__name__}: expected a tuple, a dict, (tuple, dict) or a tensor")


def _check_inputs(model: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    name = f"{type(model).__name__}.forward"
    try:
        inspect.signature(model.forward).bind(*args, **kwargs)
    except TypeError as error:
        given = [*("one positional" for _ in args), *kwargs]
        needed = _needed(model.forward)
        example = " ".join(f"--input '{argument}=float32[2,3,32,32]'" for argument in needed)
        advice = f"; say their dtype and sizes, as in {example}" if needed else ""
        found = f"found {', '.join(given)}" if given else "found none"
        raise UsageError(f"{name}{inspect.signature(model.forward)} does not take these inputs ({error}); {found}{advice}") from None
    except ValueError:
        return  # no signature to be had (a compiled forward): the call itself will tell


def _loss(module: ModuleType, option: str) -> Loss | None:
    """The loss function, None where nobody gave one."""
    if not option:
        found: Loss | None = getattr(module, "gradflow_loss", None)
        return found
    place, name = parse_function(option, "--loss")
    function = getattr(import_file(place), name, None)
    if not callable(function):
        raise TargetError(f"--loss: `{place}` has no function `{name}`")
    return function


def _needed(function: Any, skip: int = 0) -> list[str]:
    """The names of the arguments that a call has to give; `skip` leaves out the first ones (`self`)."""
    try:
        parameters = list(inspect.signature(function).parameters.values())[skip:]
    except (TypeError, ValueError):
        return []
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [entry.name for entry in parameters if entry.default is inspect.Parameter.empty and entry.kind not in free]
