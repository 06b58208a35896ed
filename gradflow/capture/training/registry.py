"""The modules and parameters that a program made: who they are, where they were built, which forward was running then."""

from __future__ import annotations

import itertools
import weakref
from types import FrameType
from typing import Any

import torch

from gradflow.capture.flow.frames import RUNNING, user_place
from gradflow.capture.flow.trace import Place
from gradflow.capture.training.replacements import Replacements


class BuiltModule:
    """One module: a weak reference, its class, where the user's code built it, and in whose forward (serial, 0: in none)."""

    __slots__ = ("called", "cls", "made_in", "place", "ref")

    def __init__(self, module: torch.nn.Module, place: Place | None, made_in: int) -> None:
        self.ref = weakref.ref(module)
        self.cls = type(module)
        self.place = place
        self.made_in = made_in
        self.called = False


class Registry:
    """Serial numbers of modules, by identity under weak references. `last_call` is the last outermost call: (module, output)."""

    def __init__(self) -> None:
        self._counter = itertools.count(1)
        self.modules: dict[int, BuiltModule] = {}
        self._serial_of: dict[int, int] = {}
        self.keep_calls = True
        self.replacements = Replacements()
        self.last_call: tuple[torch.nn.Module, Any] | None = None

    def add(self, module: torch.nn.Module, frame: FrameType | None) -> int:
        """The serial of `module`, given to it now if it is new."""
        serial = self._serial_of.get(id(module))
        if serial is not None and self.modules[serial].ref() is module:
            return serial
        place = user_place(frame)
        serial = next(self._counter)
        self.modules[serial] = BuiltModule(module, place, RUNNING.serials[-1] if RUNNING.serials else 0)
        self._serial_of[id(module)] = serial
        return serial

    def serial(self, module: torch.nn.Module) -> int:
        """The serial of a module that is being called."""
        serial = self._serial_of.get(id(module))
        if serial is None or self.modules[serial].ref() is not module:
            serial = self.add(module, None)
        self.modules[serial].called = True
        return serial

    def was_called(self, module: torch.nn.Module) -> bool:
        """Whether the module's forward ran while the registry watched."""
        serial = self._serial_of.get(id(module))
        return serial is not None and self.modules[serial].called and self.modules[serial].ref() is module

    def live(self) -> list[tuple[int, torch.nn.Module]]:
        """(serial, module) of every module that is still alive, in the order built."""
        return [(serial, module) for serial, built in self.modules.items() if (module := built.ref()) is not None]
