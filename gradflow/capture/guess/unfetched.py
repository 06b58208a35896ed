"""A constructor that fetches weights, or loads them from a file that is not there, goes on without them: its parameters stay as they are
initialised. For where a gradient flows that makes no difference, and nothing is ever fetched for a guess.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch

_LEFT_OUT: WeakKeyDictionary[torch.nn.Module, tuple[str, ...]] = WeakKeyDictionary()


class _Unfetched(dict[str, Any]):
    """The weights that are not there: whatever part of them is asked for is not there either."""

    def __missing__(self, key: str) -> _Unfetched:
        return self

    def __delitem__(self, key: str) -> None:
        """Nothing: what is not there needs not be removed."""

    def pop(self, key: str, default: Any = None) -> Any:
        return default


@contextmanager
def without_weights() -> Iterator[list[str]]:
    """Leaves out, while it lasts, what `torch.hub` would download and `torch.load` would not find. Gives the list that fills with it."""
    left_out: list[str] = []
    download, load, load_into = torch.hub.download_url_to_file, torch.load, torch.nn.Module.load_state_dict

    def no_download(url: str, dst: str, *args: Any, **kwargs: Any) -> None:
        if dst.endswith(".zip"):
            download(url, dst, *args, **kwargs)  # the code of a repository, without which nothing goes on
        else:
            left_out.append(url)

    def loaded(file: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(file, (str, os.PathLike)) and not os.path.exists(file):
            left_out.extend([] if left_out else [os.fspath(file)])
            return _Unfetched()
        return load(file, *args, **kwargs)

    def loaded_into(model: torch.nn.Module, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        if left_out and not state_dict:
            return torch.nn.modules.module._IncompatibleKeys([], [])
        return load_into(model, state_dict, *args, **kwargs)

    torch.hub.download_url_to_file, torch.load = no_download, loaded  # type: ignore[assignment]
    torch.nn.Module.load_state_dict = loaded_into  # type: ignore[method-assign,assignment]
    try:
        yield left_out
    finally:
        torch.hub.download_url_to_file, torch.load = download, load
        torch.nn.Module.load_state_dict = load_into  # type: ignore[method-assign]


def note_left_out(model: Any, left_out: list[str]) -> None:
    """Remembers what `model` was made without."""
    if isinstance(model, torch.nn.Module) and left_out:
        _LEFT_OUT[model] = tuple(left_out)


def left_out_of(model: torch.nn.Module) -> tuple[str, ...]:
    """The addresses and files of the weights that the model was made without."""
    return _LEFT_OUT.get(model, ())
