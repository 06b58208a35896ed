"""What a process of the audited program is given besides the hooks: seeds, saves that destroy nothing, compilation that is noticed."""

from __future__ import annotations

import functools
import importlib.util
import os
import random
from collections.abc import Callable
from typing import Any

import torch

from gradflow.capture.fake import FakeMode, enter_fake_mode
from gradflow.capture.flow.compiled_calls import compiled_name, parameters_behind
from gradflow.capture.flow.opaque_calls import opaque
from gradflow.capture.flow.patches import Patches
from gradflow.capture.launch.job import Job
from gradflow.capture.launch.save_guard import SaveGuard

EAGER = "the program calls torch.compile, which was switched off: it ran eagerly, so that each line can be seen; --compile keeps it on"
COMPILED = "the program calls torch.compile: what ran compiled was judged by autograd alone, and its call is named, not a line in it"


class Surroundings:
    """Put round one process of the program. `notes` says what the report has to tell of it."""

    def __init__(self, job: Job) -> None:
        spare = os.path.join(job.spare, str(os.getpid()))
        self._guard = SaveGuard(spare)
        self._spare = spare
        self._seed = job.seed
        self._compiled = False
        self._is_fake = job.scale.fake and not job.spec.is_attribute
        self.fake: FakeMode | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the report, in the order in which things were seen."""
        off = os.environ.get("TORCHDYNAMO_DISABLE", "0") not in ("", "0")
        fake = () if self.fake is None else self.fake.notes
        return (*fake, *((EAGER if off else COMPILED,) if self._compiled else ()), *self._guard.notes)

    def install(self) -> None:
        """Puts everything in place, for the rest of the process."""
        os.makedirs(self._spare, exist_ok=True)
        self._guard.install()
        self._notice_compilation()
        if self._seed is not None:
            sow(self._seed)
        if self._is_fake:
            self.fake = enter_fake_mode(Patches())

    def explain(self, error: BaseException) -> BaseException:
        """The error that the program raised, or a sentence where fake tensors could not answer it."""
        refusal = None if self.fake is None else self.fake.explain(error)
        return error if refusal is None else refusal

    def _notice_compilation(self) -> None:
        # One name is enough: `nn.Module.compile` and the decorator's form look it up there.
        original: Callable[..., Any] = torch.compile

        @functools.wraps(original)
        def compiled(*args: Any, **kwargs: Any) -> Any:
            self._compiled = True
            return outside(original(*args, **kwargs))

        torch.compile = compiled


def outside(made: Any) -> Any:
    """What `torch.compile` made of a function, called outside of our mode, which Dynamo would try to compile: each call is one operation.

    A compiled module stays what it is: `module_hooks` takes care of its calls.
    """
    off = os.environ.get("TORCHDYNAMO_DISABLE", "0") not in ("", "0")
    if off or not callable(made) or isinstance(made, torch.nn.Module) or isinstance(getattr(made, "__self__", None), torch.nn.Module):
        return made
    original: Callable[..., Any] = made
    inner = getattr(made, "_torchdynamo_orig_callable", made)

    @functools.wraps(original)
    def called(*args: Any, **kwargs: Any) -> Any:
        return opaque(compiled_name(original), lambda: original(*args, **kwargs), (args, kwargs), parameters_behind(inner))

    return called


def sow(seed: int) -> None:
    """Seeds the random numbers of Python, numpy (where it is installed; it takes 32 bits) and torch."""
    random.seed(seed)
    torch.manual_seed(seed)
    if importlib.util.find_spec("numpy") is not None:
        importlib.import_module("numpy").random.seed(seed % 2**32)
