"""What a program is told that asks for a value under fake tensors, and the notes on it.

The rules: a number is 1, and what is expected of a truth value is in `expected.py`. An `assert` holds, and a branch that raises is not
taken. A `while` that has asked twenty times is told the opposite once, so that it ends.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from gradflow.capture.facts.source import shown_path, site_of
from gradflow.capture.fake.branches import branch_at
from gradflow.capture.fake.expected import expected
from gradflow.capture.flow.frames import is_library, user_frame
from gradflow.capture.flow.trace import Place

FAKE = (
    "fake tensors: shapes and gradient paths are real, values were not computed. `live` means reached; zero, NaN, norms and updates "
    "are not known"
)
PATIENCE = 20
_NOTES_AT_MOST = 6
_FILLS = "/torch/nn/init.py"
_MACHINERY = (
    "/gradflow/capture/", "/torch/_subclasses/", "/torch/utils/_", "/torch/_compile.py", "/torch/_dynamo/", "/torch/_ops.py",
    "/torch/_tensor.py", "/torch/overrides.py",
)  # fmt: skip
_OWN_BUSINESS = ("/torch/optim/", "/torch/amp/")


class Answers:
    """The answers given, by the line that asked."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, int], str] = {}
        self._waited: dict[tuple[int, int], int] = {}

    def notes(self) -> tuple[str, ...]:
        """Sentences for the report."""
        said = list(self._said.values())
        more = len(said) - _NOTES_AT_MOST
        return (FAKE, *said[:_NOTES_AT_MOST], *((f"{more} more lines asked for values under fake tensors",) if more > 0 else ()))

    def last(self) -> str:
        """The last answer, empty where nobody asked."""
        return next(reversed(self._said.values()), "")

    def number(self, tensor: torch.Tensor) -> bool | int | float | complex:
        """For `.item()` and its like."""
        if tensor.dtype is torch.bool:
            return self.truth(expected(tensor))
        if _is_business_of_torch():
            # A GradScaler counts overflows, an optimizer its steps: none were found, and the first is taken.
            return 0.0 if "/amp/" in _caller() else 1.0
        value = expected(tensor)
        self._say("a number", f"it was taken as {1 if value is None else value:g}")
        # Parsed anew each time: a number is followed by its identity.
        if tensor.dtype.is_floating_point:
            return float(str(1.0 if value is None else float(value)))
        return complex("1") if tensor.dtype.is_complex else int(1 if value is None else value)

    def truth(self, likely: bool | int | float | None) -> bool:
        """For `bool(t)` and `if t:`."""
        answer = bool(likely)
        if _caller().endswith(_FILLS):
            # `trunc_normal_` draws again while any number lies out of bounds: none does.
            return not answer
        if _is_business_of_torch():
            return answer
        frame = _asking()
        if frame is not None:
            place = Place(frame.f_code, frame.f_lasti)
            branch = branch_at(place)
            answer = answer if branch.healthy is None else branch.healthy
            if branch.waits:
                key = (id(place.code), place.instruction)
                self._waited[key] = self._waited.get(key, 0) + 1
                if self._waited[key] >= PATIENCE:
                    self._waited[key] = 0
                    answer = not answer
        self._say("a truth value", f"it was taken as {answer}")
        return answer

    def size(self) -> None:
        """For an output whose size depends on values."""
        self._say("a size that depends on values", "all elements were taken as selected")

    def array(self) -> None:
        """For `.numpy()`."""
        self._say("an array", "it was filled with ones")

    def saved(self) -> None:
        """For `torch.save`."""
        self._say("to save tensors", "nothing was written")

    def refusal(self, what: str, error: BaseException | None = None) -> str:
        """Why the audit ends here, with the line that runs, or at which `error` was raised."""
        where = _where() if error is None else _raised_at(error)
        place = f"{where[0]}:{where[1]}: " if where else ""
        return f"{place}{what}, and fake tensors hold no values; audit a smaller model of the same class without --fake"

    def _say(self, what: str, answer: str) -> None:
        where = _where()
        if where is not None and where not in self._said:
            self._said[where] = f"{where[0]}:{where[1]} asked for {what}: {answer}"


def _place() -> Place | None:
    frame = user_frame(sys._getframe(1))
    return None if frame is None else Place(frame.f_code, frame.f_lasti)


def _where() -> tuple[str, int] | None:
    site = site_of(_place())
    return None if site is None else (site.file, site.line)


def _raised_at(error: BaseException) -> tuple[str, int] | None:
    trace = error.__traceback__
    found = None
    while trace is not None:
        if not is_library(trace.tb_frame.f_code.co_filename):
            found = (shown_path(trace.tb_frame.f_code.co_filename), trace.tb_lineno)
        trace = trace.tb_next
    return found


def _asking() -> Any:
    """The innermost frame that is not gradflow's and not in torch's machinery of modes: torch's own code, or the user's."""
    frame: Any = sys._getframe(1)
    while frame is not None and any(part in frame.f_code.co_filename for part in _MACHINERY):
        frame = frame.f_back
    return frame


def _caller() -> str:
    frame = _asking()
    return "" if frame is None else frame.f_code.co_filename


def _is_business_of_torch() -> bool:
    return any(part in _caller() for part in _OWN_BUSINESS)
