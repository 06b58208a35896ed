"""The errors that gradflow raises itself, each with a slug and one whole sentence.

A sentence says what was expected, what was found and what to do. A crash of the audited program is not an error of ours: it travels as
`TargetCrashed` and keeps the program's own traceback.
"""

from __future__ import annotations

REMARK = "gradflow: "
"""With this begins a line that gradflow adds to the program's own traceback."""


class GradflowError(Exception):
    """Base of every error that gradflow raises on purpose; `str(error)` is the sentence for the user."""

    slug = "error"


class UsageError(GradflowError):
    """An argument, option or hook has a form that gradflow cannot read."""

    slug = "usage"


class TargetError(GradflowError):
    """The target cannot be found, read or built."""

    slug = "target"


class NothingToAudit(GradflowError):
    """The target ran to its end, and nothing in it could be judged."""

    slug = "nothing"


class FakeBreak(NothingToAudit):
    """Under fake tensors the program needs values where none can be made up."""

    slug = "fake"


class TargetCrashed(GradflowError):
    """The user's program raised before a step could be judged; `traceback` is theirs, without our frames."""

    slug = "crashed"

    def __init__(self, sentence: str, traceback: str) -> None:
        super().__init__(sentence)
        self.traceback = traceback


class TargetTimeout(GradflowError):
    """The time given ran out before a step could be judged."""

    slug = "timeout"


class FindingsError(GradflowError):
    """Raised by `Report.raise_for_findings()` where the report holds errors."""

    slug = "findings"


class InvariantError(GradflowError):
    """A structure of gradflow breaks its own invariant: a bug in gradflow, to be reported."""

    slug = "internal"
