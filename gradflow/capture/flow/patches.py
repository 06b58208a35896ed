"""Attributes that are replaced while a session runs, and put back afterwards in reverse order."""

from __future__ import annotations

import threading
from typing import Any

from gradflow.capture.flow.recorder import Recorder


class Patches:
    """Attributes that were replaced. `restore()` puts them back in reverse order."""

    def __init__(self) -> None:
        self._saved: list[tuple[Any, str, Any, bool]] = []
        self._handles: list[Any] = []

    def put(self, owner: Any, name: str, value: Any) -> None:
        """Sets `owner.name = value`, remembering what was there."""
        own = vars(owner)
        self._saved.append((owner, name, own.get(name), name in own))
        setattr(owner, name, value)

    def handle(self, handle: Any) -> None:
        """Keeps the handle of a hook, which goes with the rest."""
        self._handles.append(handle)

    def restore(self) -> None:
        """Puts everything back."""
        while self._handles:
            self._handles.pop().remove()
        while self._saved:
            owner, name, value, had = self._saved.pop()
            if had:
                setattr(owner, name, value)
            else:
                delattr(owner, name)


class Recorders(threading.local):
    """The recorder of the running thread, None where nothing is recorded."""

    current: Recorder | None = None


RECORDERS = Recorders()
