"""Keeps an audit from destroying a checkpoint: a save onto a file that was there before goes to a spare file.

Covers `torch.save` and `safetensors.torch.save_file` given a path. A file that the program opened for writing itself is already empty when
it reaches `torch.save`, so that cannot be undone here. `torch.load` of the same path reads the spare file, as the program expects.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


class SaveGuard:
    """Redirects saves from `install()` to `uninstall()`; `notes` says which, one sentence a file, in the order they came."""

    def __init__(self, spare: str) -> None:
        self._spare_folder = Path(spare)
        self._spare_files: dict[str, str] = {}
        self._own: set[str] = set()
        self._names: list[str] = []
        self._undo: list[tuple[Any, str, Any]] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """What the report has to say of redirected saves."""
        return tuple(f"a save onto `{name}` went to a temporary file, which is gone: `{name}` is unchanged" for name in self._names)

    def install(self) -> None:
        """Wraps the functions that save and load."""
        import torch

        for holder in (torch, torch.serialization):
            self._wrap(holder, "save", 1, "f", self._place_to_write)
            self._wrap(holder, "load", 0, "f", self._place_to_read)
        if importlib.util.find_spec("safetensors") is not None:
            library = importlib.import_module("safetensors.torch")
            self._wrap(library, "save_file", 1, "filename", self._place_to_write)
            self._wrap(library, "load_file", 0, "filename", self._place_to_read)

    def uninstall(self) -> None:
        """Puts the functions back."""
        while self._undo:
            holder, name, original = self._undo.pop()
            setattr(holder, name, original)

    def _wrap(self, holder: Any, name: str, position: int, keyword: str, place: Callable[[Any], Any]) -> None:
        original = getattr(holder, name)

        @functools.wraps(original)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if keyword in kwargs:
                kwargs[keyword] = place(kwargs[keyword])
            elif len(args) > position:
                args = (*args[:position], place(args[position]), *args[position + 1 :])
            return original(*args, **kwargs)

        self._undo.append((holder, name, original))
        setattr(holder, name, guarded)

    def _place_to_write(self, place: Any) -> Any:
        """Where a save to `place` may go. A file that this run made is the program's own to overwrite."""
        key = _key(place)
        if key is None or key in self._own:
            return place
        if key in self._spare_files:
            return self._spare_files[key]
        if not os.path.exists(key):
            self._own.add(key)
            return place
        self._spare_files[key] = str(self._spare_folder / f"{len(self._spare_files)}-{Path(key).name}")
        self._names.append(os.fspath(place))
        return self._spare_files[key]

    def _place_to_read(self, place: Any) -> Any:
        key = _key(place)
        return place if key is None else self._spare_files.get(key, place)


def _key(place: Any) -> str | None:
    """The file behind a path, None for what is no path (an open file)."""
    if not isinstance(place, (str, os.PathLike)):
        return None
    path = os.fspath(place)
    return os.path.realpath(path) if isinstance(path, str) else None
