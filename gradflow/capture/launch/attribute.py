"""Loads the model that `file.py:attr` or `pkg.mod:attr` names, with its inputs and loss, and audits it. Runs in the child process.

The user's own exceptions pass through; what is wrong with the target or a hook is said in one sentence.
"""

from __future__ import annotations

import contextlib
import inspect
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

import torch

from gradflow.capture.fake import FakeMode, build, fake_mode
from gradflow.capture.launch.inputs import InputSpec, build_inputs
from gradflow.capture.launch.job import Job
from gradflow.capture.launch.main_module import import_file, import_named
from gradflow.capture.launch.scale import resized
from gradflow.capture.launch.target import Form, TargetSpec, parse_function
from gradflow.capture.model import audit_model
from gradflow.errors import TargetError, UsageError
from gradflow.graph.recording import Recording, Target, TargetKind

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
        found = _find(module, job.spec)
        kind = TargetKind.CLASS if isinstance(found, type) else TargetKind.MODULE
        if mode is not None:
            model = _build(found, job.spec)
        else:
            model, mode = build(lambda: _build(found, job.spec), stack)
        return _audit(model, module, job, replace(job.target, kind=kind), mode)


def load_model(
    spec: TargetSpec, inputs: tuple[InputSpec, ...], loss: str
) -> tuple[torch.nn.Module, tuple[Any, ...], dict[str, Any], Loss | None]:
    """The model that `spec` names, its positional and keyword inputs, and its loss function. Raises as `audit_attribute` does."""
    module = _import(spec)
    model = _build(_find(module, spec), spec)
    args, kwargs = _inputs(model, module, inputs)
    return model, args, kwargs, _loss(module, loss)


def _import(spec: TargetSpec) -> ModuleType:
    return import_file(spec.place) if spec.form is Form.FILE_ATTRIBUTE else import_named(spec.place)


def audit_hooks(module: ModuleType, job: Job, target: Target) -> Recording:
    """The recording of the model that the program's own `gradflow_model()` makes."""
    spec = replace(job.spec, attribute="gradflow_model")
    return _audit(_build(module.gradflow_model, spec), module, job, target)


def command_for_class(main: ModuleType, name: str, spec: TargetSpec) -> str:
    """The command line that audits class `name` of the program, with a place for each input that its `forward` needs."""
    found = getattr(main, name, None)
    names = _needed(found.forward, skip=1) if isinstance(found, type) and hasattr(found, "forward") else []
    words = ["gradflow", "audit"]
    for argument in names:
        words += ["--input", f"{argument}=float32[2,...]"]
    return shlex.join([*words, f"{spec.place}:{name}"])


def _find(module: ModuleType, spec: TargetSpec) -> Any:
    found: Any = module
    for part in spec.attribute.split("."):
        if not hasattr(found, part):
            models = sorted(name for name, value in vars(module).items() if _is_model(value) and value.__module__ == module.__name__)
            there = f"; it has {', '.join(models)}" if models else ""
            raise TargetError(f"`{spec.place}` has no `{spec.attribute}`{there}")
        found = getattr(found, part)
    return found


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, torch.nn.Module)


def _build(found: Any, spec: TargetSpec) -> torch.nn.Module:
    """The model that `found` is or makes when called without arguments."""
    if isinstance(found, torch.nn.Module):
        return found
    name = f"{spec.place}:{spec.attribute}"
    if not callable(found):
        raise TargetError(f"`{name}` is a {type(found).__name__}: expected an nn.Module class, a model or a function that makes one")
    needed = _needed(found)
    if needed:
        hook = BUILT_BY_HOOK.format(name=spec.attribute, file=spec.place)
        raise TargetError(f"`{name}` needs arguments ({', '.join(needed)}) to be built: {hook}")
    made = found()
    if not isinstance(made, torch.nn.Module):
        raise TargetError(f"`{name}()` returned a {type(made).__name__}: expected an nn.Module")
    return made


def _audit(model: torch.nn.Module, module: ModuleType, job: Job, target: Target, mode: FakeMode | None = None) -> Recording:
    args, kwargs = resized(*_inputs(model, module, job.inputs), job.scale)
    return audit_model(model, args, kwargs, loss=_loss(module, job.loss), target=target, draws=job.draws, focus=job.focus, fake=mode)


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
