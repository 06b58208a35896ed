"""What was audited or read, by kind and name. Stands apart from the recording, so that a report on source text needs none of its types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class TargetKind(str, Enum):
    """What was audited."""

    SCRIPT = "script"
    NOTEBOOK = "notebook"
    COMMAND = "command"
    CALL = "call"  # a forward call that the file makes itself
    MODULE = "module"  # an nn.Module named by `file.py:attr`
    CLASS = "class"
    API = "api"  # a live object in Python
    SOURCE = "source"  # read, not run


@dataclass(frozen=True, slots=True)
class Target:
    """What was audited, and the command line that audits it again."""

    kind: TargetKind
    file: str
    reproduce: str
