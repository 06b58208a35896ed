"""One file per check, found by folder: no list to edit. A check reads facts and says findings; it prints nothing and touches no file."""

from gradflow.checks.diagnose import diagnose

__all__ = ["diagnose"]
