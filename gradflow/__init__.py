"""gradflow: which parameters of a PyTorch model do not reach the loss, which source line cut them, and what to write instead.

Importing this package does not import torch: the public names are resolved on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradflow.api import audit, watch
    from gradflow.errors import FindingsError, GradflowError
    from gradflow.freezing import compare_freezing
    from gradflow.linting import lint
    from gradflow.report import Finding, ParameterRow, Report, Severity
    from gradflow.verdict import Verdict

__version__ = "0.1.0"

_HOMES = {
    "audit": "gradflow.api",
    "watch": "gradflow.api",
    "lint": "gradflow.linting",
    "compare_freezing": "gradflow.freezing",
    "FindingsError": "gradflow.errors",
    "GradflowError": "gradflow.errors",
    "Finding": "gradflow.report",
    "ParameterRow": "gradflow.report",
    "Report": "gradflow.report",
    "Severity": "gradflow.report",
    "Verdict": "gradflow.verdict",
}

__all__ = [
    "Finding",
    "FindingsError",
    "GradflowError",
    "ParameterRow",
    "Report",
    "Severity",
    "Verdict",
    "__version__",
    "audit",
    "compare_freezing",
    "lint",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'gradflow' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
