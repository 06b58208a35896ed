"""The line that says that an audit is under way: on a terminal alone, and gone in the end."""

from __future__ import annotations

import io

import pytest

from gradflow.cli_progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_target_is_named_while_it_runs_and_the_line_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress("auditing net.py:Net", wanted=True):
        pass
    text = terminal.getvalue()
    assert "auditing net.py:Net" in text
    assert text.rstrip().endswith("\x1b[2K")  # the last that is written clears the line


ELSEWHERE = [(io.StringIO(), True, "xterm"), (Terminal(), False, "xterm"), (Terminal(), True, "dumb")]


@pytest.mark.parametrize(("stream", "wanted", "term"), ELSEWHERE)
def test_elsewhere_nothing_is_shown(stream: io.StringIO, wanted: bool, term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", term)
    with progress("auditing net.py", wanted=wanted):
        pass
    assert stream.getvalue() == ""
