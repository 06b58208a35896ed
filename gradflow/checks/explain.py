"""The pages of the checks, from their docstrings. `python -m gradflow.checks.explain docs/checks` writes them; all else is pure."""

from __future__ import annotations

import pkgutil
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from gradflow.checks import source_only
from gradflow.checks.base import all_checks
from gradflow.errors import UsageError
from gradflow.report import Severity


class Described(Protocol):
    """What has a page: a check, or a code that only `lint` says."""

    __doc__: str | None
    CODE: str
    NAME: str
    SEVERITY: Severity


@cache
def all_described() -> tuple[Described, ...]:
    """Everything that has a page, by code."""
    names = sorted(module.name for module in pkgutil.iter_modules(source_only.__path__))
    pages_alone = [cast(Described, import_module(f"{source_only.__name__}.{name}")) for name in names]
    return tuple(sorted([*cast("tuple[Described, ...]", all_checks()), *pages_alone], key=lambda entry: entry.CODE))


def explain(code: str | None) -> str:
    """The markdown page of the check `code` (in any case), or the list of all checks.

    Raises:
        UsageError: if no check has that code.
    """
    if code is None:
        return listing()
    known = {check.CODE: check for check in all_described()}
    if code.strip().upper() not in known:
        raise UsageError(f"expected the code of a check, found {code!r}: the codes are {', '.join(known)}")
    return page(known[code.strip().upper()])


def page(check: Described) -> str:
    """The page of one check, in markdown."""
    summary, _, body = (check.__doc__ or "").strip().partition("\n\n")
    return f"# {check.CODE} {check.NAME}\n\n{summary}\n\nSeverity: {check.SEVERITY.value}, unless said otherwise below.\n\n{body}\n"


def listing() -> str:
    """One line for each check: code, name, severity, summary."""
    rows = [(check.CODE, check.NAME, check.SEVERITY.value, (check.__doc__ or "").strip().partition("\n")[0]) for check in all_described()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip() + "\n" for row in rows
    )


def pages() -> dict[str, str]:
    """Every page, by file name."""
    return {f"{check.CODE}.md": page(check) for check in all_described()}


def _write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/checks"))
