"""What README.md shows is what the program does: the picture, the table of checks, the commands, the links. GRADFLOW_UPDATE=1 refreshes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from gradflow.checks.base import all_checks

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PICTURE = ROOT / "tests" / "expected_samples" / "freeze_no_grad.txt"


def picture() -> str:
    """The report of the article's first program, as a block of text."""
    return f"```text\n$ gradflow audit freeze_no_grad.py\n{PICTURE.read_text('utf-8').strip()}\n```"


def table_of_checks() -> str:
    """One row a check, from the first lines of their docstrings."""
    rows = ["| code | name | severity | what it checks |", "| --- | --- | --- | --- |"]
    for check in all_checks():
        summary = (check.__doc__ or "").strip().splitlines()[0].replace("|", "\\|")
        rows.append(f"| [{check.CODE}](docs/checks/{check.CODE}.md) | {check.NAME} | {check.SEVERITY.value} | {summary} |")
    return "\n".join(rows)


def between(text: str, opening: str) -> str:
    """What stands between the marker `opening` and the next end marker."""
    found = re.search(rf"<!-- {re.escape(opening)} -->\n(.*?)\n?<!-- end -->", text, re.DOTALL)
    assert found, f"README.md has lost its marker <!-- {opening} -->"
    return found.group(1)


def command(name: str) -> str:
    """The code block after the marker of a command."""
    found = re.search(rf"<!-- command: {name} -->\n```sh\n(.*?)\n```", README.read_text("utf-8"), re.DOTALL)
    assert found, f"README.md has lost the command {name}"
    return found.group(1)


@pytest.mark.parametrize(("marker", "make"), [("output: freeze_no_grad", picture), ("checks", table_of_checks)])
def test_a_generated_part_is_fresh(marker: str, make: object) -> None:
    assert callable(make)
    text = README.read_text("utf-8")
    old = between(text, marker)
    if os.environ.get("GRADFLOW_UPDATE") == "1" and old != make():
        start = text.index(f"<!-- {marker} -->\n") + len(f"<!-- {marker} -->\n")
        text = text[:start] + make() + "\n" + text[start:][text[start:].index("<!-- end -->") :]
        README.write_text(text, "utf-8")
    assert between(text, marker) == make()


@pytest.mark.parametrize("name", ["audit", "tests"])
def test_each_set_up_is_one_line_that_needs_only_python(name: str) -> None:
    line = command(name)
    assert "\n" not in line
    assert line.startswith("python3 -m venv .venv && .venv/bin/python -m pip install -q -c constraints.txt ")


def test_the_command_that_audits_names_a_sample() -> None:
    assert (ROOT / command("audit").split()[-1]).is_file()


def test_every_link_in_the_documents_leads_to_a_file() -> None:
    dead = []
    for page in [README, *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                dead.append(f"{page.relative_to(ROOT).as_posix()}: {target}")
    assert dead == []
