"""Scores `gradflow audit` on a folder of training scripts whose truth is known: `python tests/score.py FOLDER [NAME ...]`.

FOLDER holds the scripts and a `truth.json`: {"cases": [{"file", "verdict": "faulty" or "healthy", "dead_params", "cut_line",
"also_acceptable_lines", ...}]}. One row a script, then the totals. A NAME restricts the run to the files that contain it. Exits with 0
whatever the score is; 2 where the folder cannot be read.

Columns: `hit`, a faulty script has an error or a warning; `set`, the parameters of its errors and warnings are exactly the dead ones;
`line`, a cause or definition of an error or warning stands on a true line; `false`, a healthy script has an error or a warning.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIME_LIMIT = 300  # seconds for one script


@dataclass(frozen=True)
class Case:
    """One script and the truth about it."""

    file: str
    faulty: bool
    dead: frozenset[str]
    lines: frozenset[int]


@dataclass(frozen=True)
class Score:
    """What the audit of one script was worth; `hit`, `exact` and `line` say nothing of a healthy one, `alarm` nothing of a faulty one."""

    case: Case
    outcome: str
    codes: tuple[str, ...]
    hit: bool
    exact: bool
    line: bool
    alarm: bool
    seconds: float


def read_cases(folder: Path) -> list[Case]:
    """The cases of `truth.json`, in its order."""
    truth = json.loads((folder / "truth.json").read_text("utf-8"))
    return [
        Case(
            file=entry["file"],
            faulty=entry["verdict"] == "faulty",
            dead=frozenset(entry["dead_params"] or ()),
            lines=frozenset({entry["cut_line"], *(entry["also_acceptable_lines"] or ())} - {None}),
        )
        for entry in truth["cases"]
    ]


def audit(folder: Path, case: Case) -> tuple[dict[str, Any], float]:
    """The audit's JSON document, and the seconds that it took; an audit without a document counts as outcome `broken`."""
    command = [sys.executable, "-m", "gradflow", "audit", "--format", "json", case.file]
    started = time.monotonic()
    try:
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIME_LIMIT, stdin=subprocess.DEVNULL)
        document = json.loads(run.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError) as error:
        document = {"outcome": f"broken: {type(error).__name__}", "findings": []}
    return document, time.monotonic() - started


def score(case: Case, document: dict[str, Any], seconds: float) -> Score:
    """Compares one document with the truth."""
    loud = [finding for finding in document["findings"] if finding["severity"] in ("error", "warning")]
    named = {name for finding in loud for name in finding["parameters"]}
    blamed = {site["line"] for finding in loud for site in finding["sites"] if site["role"] in ("cause", "definition")}
    return Score(
        case=case,
        outcome=document["outcome"],
        codes=tuple(sorted({finding["code"] for finding in loud})),
        hit=case.faulty and bool(loud),
        exact=case.faulty and bool(loud) and named == case.dead,
        line=case.faulty and bool(blamed & case.lines),
        alarm=not case.faulty and bool(loud),
        seconds=seconds,
    )


def row(result: Score) -> str:
    """One line of the table."""
    if result.case.faulty:
        marks = "  ".join("yes " if mark else "no  " for mark in (result.hit, result.exact, result.line)) + "  -    "
    else:
        marks = "-     -     -     " + ("ALARM" if result.alarm else "no   ")
    return f"{result.case.file:<50}{marks}  {result.seconds:6.1f}  {result.outcome:<10} {' '.join(result.codes)}"


def totals(results: list[Score]) -> str:
    """The closing lines."""
    faulty = [result for result in results if result.case.faulty]
    healthy = [result for result in results if not result.case.faulty]
    return (
        f"faulty: {sum(r.hit for r in faulty)} of {len(faulty)} hit, {sum(r.exact for r in faulty)} exact sets, "
        f"{sum(r.line for r in faulty)} lines\n"
        f"healthy: {sum(r.alarm for r in healthy)} of {len(healthy)} with a false alarm\n"
        f"seconds: {sum(r.seconds for r in results):.0f} in all"
    )


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="audit only the files that contain one of these")
    options = parser.parse_args()
    try:
        cases = read_cases(options.folder)
    except (OSError, json.JSONDecodeError, KeyError) as error:
        print(f"score.py: {options.folder}/truth.json cannot be read: {error!r}", file=sys.stderr)
        return 2
    chosen = [case for case in cases if not options.names or any(name in case.file for name in options.names)]
    print(f"{'file':<50}hit   set   line  false  seconds  outcome    codes")
    results = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for case, (document, seconds) in zip(chosen, pool.map(lambda case: audit(options.folder, case), chosen), strict=True):
            results.append(score(case, document, seconds))
            print(row(results[-1]), flush=True)
    print(totals(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
