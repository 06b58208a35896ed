"""Warnings keep the place that they have without gradflow: of frames that are ours, the nearest one outside stands for them.

torch warns from C++ at the innermost Python frame, which is the recorder's where the recorder has called on; then all such warnings seem to
come from one line of ours, and Python, which shows a warning once for each place, would show the first alone.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from types import FrameType
from typing import Any

from gradflow.capture.flow.frames import PACKAGE
from gradflow.capture.flow.patches import Patches

_DETOUR = os.path.join("torch", "overrides.py")
"""A torch function written in Python that meets a function mode goes on through here, and is called a second time by the mode."""


def observe_warnings(patches: Patches) -> None:
    """Puts the watch in place, where every warning passes that is to be shown or recorded."""
    shown = getattr(warnings, "_showwarnmsg", None)
    if shown is None:
        return

    again = threading.local()

    def show(message: Any) -> None:
        if getattr(again, "said", False):
            shown(message)
            return
        frames = _outward(sys._getframe(1))
        level = next((number for number, frame in enumerate(frames) if _is_at(frame, message)), -1)
        theirs = _without_ours(frames)
        if level < 0 or level >= len(theirs) or theirs[level] is frames[level]:
            shown(message)
            return
        if _is_ours(frames[level]):
            frames[level].f_globals.get("__warningregistry__", {}).clear()  # so that it comes here the next time too
        again.said = True
        try:
            _say_again(message, theirs[level])
        finally:
            again.said = False

    patches.put(warnings, "_showwarnmsg", show)


def _say_again(message: Any, frame: FrameType) -> None:
    """The same warning at `frame`, so that the program's filters and its count of places hold."""
    warnings.warn_explicit(
        message.message,
        message.category,
        frame.f_code.co_filename,
        frame.f_lineno,
        frame.f_globals.get("__name__", "<unknown>"),
        frame.f_globals.setdefault("__warningregistry__", {}),
        source=message.source,
    )


def _outward(frame: FrameType | None) -> list[FrameType]:
    found = []
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return found


def _without_ours(frames: list[FrameType]) -> list[FrameType]:
    """The frames, innermost first, that would be there if gradflow were not."""
    kept: list[FrameType] = []
    index = 0
    while index < len(frames):
        frame = frames[index]
        index += 1
        if not _is_ours(frame):
            kept.append(frame)
        elif index + 1 < len(frames) and frames[index].f_code.co_filename.endswith(_DETOUR):
            index += 2  # the detour, and the torch function as it was called at first
    return kept


def _is_at(frame: FrameType, message: Any) -> bool:
    return bool(frame.f_code.co_filename == message.filename and frame.f_lineno == message.lineno)


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(PACKAGE)
