"""Runs at the start of every Python process that an audited program starts, and waits for it to import torch. Imports nothing of gradflow.

It is loaded by a `sitecustomize` in a directory on PYTHONPATH, the one way into a process of `torchrun` or `torch.multiprocessing`. Most
such processes never import torch, and the others must start as they would without us: the user's own `sitecustomize` is run, and the
directory leaves `sys.path`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

TEXT = """
import importlib.util as util, sys
spec = util.spec_from_file_location("gradflow_injected", {file!r})
module = util.module_from_spec(spec)
spec.loader.exec_module(module)
module.begin({injector!r}, {root!r}, {job!r})
"""
"""The `sitecustomize` that loads this file: where it lies, its own directory, where gradflow lies, and the job."""


def sitecustomize(injector: str, job: str) -> str:
    """The text of `injector`/sitecustomize.py."""
    here = os.path.abspath(__file__)
    return TEXT.format(file=here, injector=injector, root=os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(here)))), job=job)


def begin(injector: str, root: str, job: str) -> None:
    """Waits for torch, and runs the user's own `sitecustomize` if there is one."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != injector]
    sys.modules.pop("gradflow_injected", None)
    sys.meta_path.insert(0, TorchWatch(root, job))
    own = PathFinder.find_spec("sitecustomize", sys.path)
    if own is not None and own.loader is not None:
        module = importlib.util.module_from_spec(own)
        sys.modules["sitecustomize"] = module
        own.loader.exec_module(module)


class TorchWatch:
    """Stands first among Python's finders until torch is imported; then, before anything uses torch, the hooks are put in."""

    def __init__(self, root: str, job: str) -> None:
        self.root = root
        self.job = job

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """torch's own spec, whose loader tells us when it has run; None for every other module."""
        if name != "torch" or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("torch")
        loader = spec.loader if spec is not None else None
        if loader is None:
            return spec
        original = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            original(module)
            loader.__dict__.pop("exec_module", None)
            self.put_hooks_in()

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def put_hooks_in(self) -> None:
        """Puts the hooks in. Where they cannot be, the program runs on without, and the report says so."""
        try:
            sys.path.insert(0, self.root)
            try:
                rank = importlib.import_module("gradflow.capture.launch.rank")
            finally:
                sys.path.remove(self.root)
            rank.begin(self.job)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the user's process
            place = os.path.join(os.path.dirname(self.job), "ranks", f"{os.getpid()}.failed")
            with open(place, "w", encoding="utf-8") as file:
                file.write("".join(traceback.format_exception(error)))
