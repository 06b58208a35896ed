"""What a check is, what it may read, and how the checks are found: each file `gf*.py` of this folder is one."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from gradflow.graph.blame import Blame
from gradflow.graph.flow import FlowGraph
from gradflow.graph.recording import ParameterFact, Recording
from gradflow.graph.site import Site
from gradflow.report import Finding, FindingSite, Role, Severity
from gradflow.verdict import Influence, Verdict

PRECEDENCE = ("GF103", "GF104", "GF105", "GF106", "GF101", "GF102", "GF302", "GF301")
"""Where several codes fit one parameter, the first of these says it; other codes come after them, in order."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a check may read. `verdicts`, `influences` and `severities` are aligned with `recording.parameters`.

    `blames`: by parameter index, for those that autograd did not reach and whose value has a part in a loss. `severities`: what the rule
    for reachability findings says (see `gradflow.checks.severity`). `taken`: names of parameters that a check of higher precedence has
    said already; `free` leaves them out.
    """

    recording: Recording
    verdicts: tuple[Verdict, ...]
    influences: tuple[Influence, ...]
    blames: dict[int, Blame]
    severities: tuple[Severity | None, ...]
    taken: frozenset[str] = frozenset()

    @property
    def graph(self) -> FlowGraph:
        """The flow graph of the recording."""
        return self.recording.graph

    @property
    def facts(self) -> tuple[ParameterFact, ...]:
        """The parameters of the recording."""
        return self.recording.parameters

    def taking(self, names: Iterable[str]) -> Case:
        """The same case after a finding has said the parameters `names`."""
        return replace(self, taken=self.taken.union(names))

    def free(self, *verdicts: Verdict) -> list[int]:
        """Indices of parameters that have one of `verdicts` and that no finding has said yet."""
        return [i for i, fact in enumerate(self.facts) if self.verdicts[i] in verdicts and fact.name not in self.taken]

    def names(self, indices: Iterable[int]) -> tuple[str, ...]:
        """Their names in the order of the recording, each once: a leaf made anew may bear the name of the one that it replaces."""
        return tuple(dict.fromkeys(self.facts[i].name for i in sorted(indices)))

    def cut_on(self, site: Site | None) -> list[int]:
        """Indices of severed parameters, not said yet, whose way to the loss is cut on the line of `site`."""
        return [i for i in self.free(Verdict.SEVERED) if site is not None and any(same_line(cut, site) for cut in self.cut_sites(i))]

    def cut_sites(self, index: int) -> list[Site]:
        """Where the way of parameter `index` to the loss is cut, nearest the loss first, as far as the places are known."""
        crossings = self.blames[index].crossings if index in self.blames else ()
        places = (self.graph.cuts[crossing.cut].site for crossing in crossings)
        return [self.graph.sites[place] for place in places if place >= 0]


class Check(Protocol):
    """One file of this folder: its docstring is the page of the check."""

    __doc__: str | None
    CODE: str
    NAME: str
    SEVERITY: Severity

    def find(self, case: Case) -> Iterable[Finding]:
        """The findings of this check, in no set order."""


@cache
def all_checks() -> tuple[Check, ...]:
    """Every check of this folder, by code."""
    folder = [str(Path(__file__).parent)]
    names = sorted(module.name for module in pkgutil.iter_modules(folder) if module.name.startswith("gf"))
    return tuple(cast(Check, import_module(f"gradflow.checks.{name}")) for name in names)


def in_precedence(checks: Iterable[Check]) -> list[Check]:
    """`checks` in the order in which they may say a parameter."""
    return sorted(checks, key=lambda check: (PRECEDENCE.index(check.CODE) if check.CODE in PRECEDENCE else len(PRECEDENCE), check.CODE))


def same_line(one: Site, other: Site) -> bool:
    """Whether both are on one line of one file."""
    return (one.file, one.line) == (other.file, other.line)


def count(number: int, word: str = "parameter") -> str:
    """`1 parameter`, `2 parameters`.

    >>> count(1), count(2, "value")
    ('1 parameter', '2 values')
    """
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def cause_site(site: Site | None, note: str = "") -> tuple[FindingSite, ...]:
    """The site to blame, or nothing where the place is not known."""
    return () if site is None else (FindingSite(Role.CAUSE, site, note),)


def definition_site(site: Site | None, note: str = "") -> tuple[FindingSite, ...]:
    """The place of the definition, or nothing where it is not known."""
    return () if site is None else (FindingSite(Role.DEFINITION, site, note),)
