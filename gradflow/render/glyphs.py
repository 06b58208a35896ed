"""The signs and colours of a status, for terminals that show Unicode and for those that do not. Styles are rich's ANSI colour names."""

from __future__ import annotations

from dataclasses import dataclass

from gradflow.report import Severity
from gradflow.verdict import Verdict

VERDICT_STYLE = {
    Verdict.LIVE: "green",
    Verdict.ZERO: "yellow",
    Verdict.NONFINITE: "magenta",
    Verdict.UNDEFINED: "red",
    Verdict.SEVERED: "red",
    Verdict.ESCAPED: "yellow",
    Verdict.UNUSED: "bright_black",
    Verdict.FROZEN: "blue",
    Verdict.UNKNOWN: "cyan",
}

SEVERITY_STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold cyan"}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One set of signs. `bar` draws status bars; `levels` are the eight heights of a sparkline."""

    verdict: dict[Verdict, str]
    bar: dict[Verdict, str]
    live_arrow: str
    value_arrow: str
    cut_arrow: str
    branch: str
    last_branch: str
    stem: str
    levels: str
    times: str
    ellipsis: str


UNICODE = Glyphs(
    verdict={verdict: verdict.glyph for verdict in Verdict},
    bar={
        Verdict.LIVE: "━",
        Verdict.ZERO: "┅",
        Verdict.NONFINITE: "!",
        Verdict.UNDEFINED: "┄",
        Verdict.SEVERED: "╍",
        Verdict.ESCAPED: "╌",
        Verdict.UNUSED: "·",
        Verdict.FROZEN: "─",
        Verdict.UNKNOWN: "–",
    },
    live_arrow="━━>",
    value_arrow="╌╌>",
    cut_arrow="╌╌×",
    branch="├─ ",
    last_branch="└─ ",
    stem="│  ",
    levels="▁▂▃▄▅▆▇█",
    times="×",
    ellipsis="…",
)

_ASCII_VERDICT = {
    Verdict.LIVE: "*",
    Verdict.ZERO: "0",
    Verdict.NONFINITE: "!",
    Verdict.UNDEFINED: "~",
    Verdict.SEVERED: "x",
    Verdict.ESCAPED: "?",
    Verdict.UNUSED: "o",
    Verdict.FROZEN: "#",
    Verdict.UNKNOWN: "-",
}

ASCII = Glyphs(
    verdict=_ASCII_VERDICT,
    bar={**_ASCII_VERDICT, Verdict.LIVE: "=", Verdict.UNUSED: "."},
    live_arrow="==>",
    value_arrow="-->",
    cut_arrow="--x",
    branch="|- ",
    last_branch="`- ",
    stem="|  ",
    levels="_.,-=+*#",
    times="x",
    ellipsis="...",
)
