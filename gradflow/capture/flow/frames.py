"""Whose code is running: finds the user's frame under torch's, gradflow's and the standard library's own, and the running modules.

Costs 50 ns a frame: the answer is kept by file name, since hashing a code object is slow and hashing its file name is free.
"""

from __future__ import annotations

import os
import sysconfig
import threading
from types import FrameType

from gradflow.capture.flow.trace import Place

PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
_STDLIB = sysconfig.get_path("stdlib") + os.sep
_SITE_PACKAGES = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)
_BOUNDARY = os.path.join(PACKAGE, "capture", "model.py")
"""Where gradflow itself calls a live model: whoever stands above has called gradflow, and none of the model's lines."""
_USERS, _LIBRARYS, _END = 0, 1, 2
_WHOSE: dict[str, int] = {}


def is_library(file: str) -> bool:
    """True for code that is nobody's model: torch, gradflow, the standard library, and code without a file."""
    return _whose(file) != _USERS


def _whose(file: str) -> int:
    known = _WHOSE.get(file)
    if known is None:
        known = _WHOSE[file] = _END if file == _BOUNDARY else _LIBRARYS if _is_library(file) else _USERS
    return known


def _is_library(file: str) -> bool:
    if file.startswith("<ipython") or "[cell " in file:
        return False
    if file.startswith("<"):
        return True
    if file.startswith(PACKAGE):
        return True
    for marker in _SITE_PACKAGES:
        if marker in file:
            top = file.split(marker, 1)[1]
            return top.startswith(("torch" + os.sep, "functorch" + os.sep, "numpy" + os.sep))
    return file.startswith(_STDLIB)


def user_frame(start: FrameType | None) -> FrameType | None:
    """The innermost frame from `start` outwards that runs the user's code, None if there is none."""
    whose = _WHOSE
    frame = start
    while frame is not None:
        file = frame.f_code.co_filename
        known = whose.get(file)
        if known is None:
            known = _whose(file)
        if known == _USERS:
            return frame
        if known == _END:
            return None
        frame = frame.f_back
    return None


def user_place(start: FrameType | None) -> Place | None:
    """Where the user's code stands in the innermost of its frames from `start` outwards, None if there is none."""
    frame = user_frame(start)
    return None if frame is None else Place(frame.f_code, frame.f_lasti)


class RunningModules(threading.local):
    """The serials of the `nn.Module`s whose forward runs in this thread, outermost first."""

    def __init__(self) -> None:
        self.serials: list[int] = []


RUNNING = RunningModules()
