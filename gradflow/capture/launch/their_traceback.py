"""The traceback of the audited program, as plain Python would have printed it: without the frames of gradflow. Prints nothing."""

from __future__ import annotations

import itertools
import os
import re
import traceback
from types import TracebackType

from gradflow.errors import FakeBreak, FindingsError

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
_CALLS_THEIRS = re.compile(r"\b(func|original|forward|exec|exec_module|import_module|find_spec|get_code|compile)\(")
"""How gradflow's own lines call on to the user's program or to torch; whatever is raised there is not gradflow's doing."""


def format_theirs(error: BaseException) -> str:
    """The text of the traceback, causes and contexts included, without our frames. Ends with a line feed."""
    whole = traceback.TracebackException.from_exception(error)
    _trim(whole)
    return "".join(whole.format())


def is_ours(error: BaseException) -> bool:
    """True if the error was raised by gradflow's own code: a sentence of ours, or a bug in gradflow and not in the program."""
    if isinstance(error, FindingsError):
        return False  # a program that audits itself and raises what it found
    if isinstance(error, FakeBreak):
        return True
    frame = _innermost(error.__traceback__)
    if frame is None or not frame.filename.startswith(_PACKAGE):
        return False
    return _CALLS_THEIRS.search(frame.line or "") is None


def _trim(error: traceback.TracebackException) -> None:
    stack, seen = [error], {id(error)}
    while stack:
        current = stack.pop()
        frames = [frame for frame in current.stack if not _is_machinery(frame)]
        current.stack[:] = itertools.dropwhile(_is_import, frames)
        for other in (current.__cause__, current.__context__, *(getattr(current, "exceptions", None) or ())):
            if other is not None and id(other) not in seen:
                seen.add(id(other))
                stack.append(other)


def _is_machinery(frame: traceback.FrameSummary) -> bool:
    """Our own frames, Python's import machinery, and torch's detour through a function mode, which is there because of ours."""
    if frame.filename.startswith((_PACKAGE, "<frozen importlib")):
        return True
    in_torch = f"{os.sep}torch{os.sep}" in frame.filename
    return in_torch and (frame.name == "handle_torch_function" or "handle_torch_function(" in (frame.line or ""))


def _is_import(frame: traceback.FrameSummary) -> bool:
    """Python's own import function, which stands between our frames and theirs where we import a file of theirs."""
    return frame.name == "import_module" and frame.filename.endswith(f"importlib{os.sep}__init__.py")


def _innermost(trace: TracebackType | None) -> traceback.FrameSummary | None:
    frames = traceback.extract_tb(trace)
    return frames[-1] if frames else None
