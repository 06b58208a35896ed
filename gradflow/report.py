"""The report: findings with their sites, and one line per parameter. Plain frozen data; every renderer starts from it.

`to_json`, `save` and the notebook display are views, which stand in layers above this one and read it. They are looked up by name, in one
table, when they are called: so the report depends on none of them, and each costs its imports only when it is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradflow.errors import FindingsError, UsageError
from gradflow.graph.flow import CutReason, FlowGraph
from gradflow.graph.site import Site
from gradflow.graph.target import Target
from gradflow.verdict import Verdict

if TYPE_CHECKING:
    import networkx


class Severity(str, Enum):
    """How bad a finding is. ERROR fails a run by default."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


class Outcome(str, Enum):
    """How an audit ended. FINDINGS exactly when the exit code is 1."""

    CLEAN = "clean"
    FINDINGS = "findings"
    PARTIAL = "partial"
    CRASHED = "crashed"
    NOTHING = "nothing"
    USAGE = "usage"
    TIMEOUT = "timeout"


class Evidence(str, Enum):
    """Whether a finding was seen in a run or read in the source."""

    RUN = "run"
    SOURCE = "source"


class Role(str, Enum):
    """What a site of a finding is: the line to blame, where dead values leave, or where the parameter is defined."""

    CAUSE = "cause"
    LEAK = "leak"
    DEFINITION = "definition"


@dataclass(frozen=True, slots=True)
class FindingSite:
    """A site, what it is to the finding, and a few words for the code frame ("autograd records nothing in this block")."""

    role: Role
    site: Site
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause, with all the parameters it kills. `message` says what is, `help` what to write instead."""

    code: str
    name: str
    severity: Severity
    message: str
    parameters: tuple[str, ...]
    sites: tuple[FindingSite, ...] = ()
    reason: str | None = None
    help: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    evidence: Evidence = Evidence.RUN
    verified: bool | None = None

    @property
    def cause(self) -> Site | None:
        """The line to blame: the first site with role CAUSE, else the first site."""
        for entry in self.sites:
            if entry.role is Role.CAUSE:
                return entry.site
        return self.sites[0].site if self.sites else None

    @property
    def fingerprint(self) -> str:
        """16 hex digits that survive moved lines: from code, reason, file, function, source text and parameters."""
        cause = self.cause
        place = (cause.file, cause.function, cause.source.strip()) if cause else ("", "", "")
        text = "\0".join((self.code, self.reason or "", *place, *self.parameters))
        return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of one parameter. `update_ratio` is |dw|/|w|, unitless, None where it was not measured; `lr` the learning rate, likewise."""

    step: int
    verdict: Verdict
    grad_norm: float | None = None
    update_ratio: float | None = None
    lr: float | None = None


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """One parameter and its verdict. `live_in` is (k, n): live in k of n steps. Norms are L2 over all elements, unitless.

    `zero_share`: of exact zeros in what its module gave, None where nobody asked.
    """

    name: str
    root: str
    shape: tuple[int, ...]
    elements: int
    dtype: str
    requires_grad: bool
    verdict: Verdict
    live_in: tuple[int, int]
    grad_norm: float | None
    optimizers: tuple[str, ...]
    moved: bool | None
    weight_norm: float | None
    owner: str = ""
    owner_class: str = ""
    because: str = ""
    history: tuple[StepRow, ...] = ()
    zero_share: float | None = None


@dataclass(frozen=True, slots=True)
class FocusCut:
    """A cut on the way of one parameter to the loss; `site` is None where its place is not known.

    `beside`: a gradient comes to the parameter another way, so this cut takes a part of it only.
    """

    reason: CutReason
    label: str
    site: Site | None
    beside: bool = False


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A module with parameters, next to a layer in the flow. `grad_norm` is the L2 norm over all its parameters, None: none arrives."""

    module: str
    before: bool
    verdict: Verdict
    grad_norm: float | None = None


@dataclass(frozen=True, slots=True)
class Focus:
    """Why one parameter learns or does not. `parameter` indexes `Report.parameters`, where its norms and steps stand.

    `why` is one sentence. `path`: the modules on its way to the loss, in the order of the flow, by the fewest cuts; `reaches_loss` is False
    where its value has no part in it. `zero_share`: the share of exact zeros in the layer's output, None where it was not measured.
    `findings`: codes of those that name it.
    """

    parameter: int
    why: str
    reaches_loss: bool = False
    path: tuple[str, ...] = ()
    cuts: tuple[FocusCut, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    zero_share: float | None = None
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit found. `notes` are facts about the audit itself; `crash` is the user's own traceback, if the program raised.

    `suppressed` are findings that a comment in the source asks to ignore, `known` those that the baseline has: neither is in `findings`.
    `focus` says more of the parameters that were asked for.
    """

    outcome: Outcome
    target: Target
    parameters: tuple[ParameterRow, ...] = ()
    findings: tuple[Finding, ...] = ()
    backward_passes: int = 0
    optimizer_steps: int = 0
    notes: tuple[str, ...] = ()
    message: str = ""
    crash: str = ""
    suppressed: tuple[Finding, ...] = ()
    known: tuple[Finding, ...] = ()
    focus: tuple[Focus, ...] = ()
    flow: FlowGraph = field(default_factory=FlowGraph, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """True where the audit is complete and nothing at or above the fail level was found."""
        return self.outcome is Outcome.CLEAN

    @property
    def graph(self) -> networkx.DiGraph:
        """The flow graph as a `networkx.DiGraph`; its attributes are documented in `gradflow.graph.networkx_form`."""
        # Imported here: networkx costs 60 ms, and most reports are never asked for it.
        from gradflow.graph.networkx_form import to_networkx

        return to_networkx(self.flow, [row.name for row in self.parameters], [row.verdict.value for row in self.parameters])

    def raise_for_findings(self) -> None:
        """Raises FindingsError, listing the errors, unless `ok`."""
        if not self.ok:
            lines = [f"{finding.code} {finding.message}" for finding in self.findings if finding.severity is Severity.ERROR]
            raise FindingsError("\n".join([f"gradflow: {self.outcome.value}" + (f", {self.message}" if self.message else ""), *lines]))

    def to_json(self, *, graph: bool = False) -> str:
        """The report as one JSON document of schema `gradflow/1`; the flow graph, in node-link form, is in it if asked."""
        return str(_view("to_json")(self, graph=graph))

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The report that `to_json` wrote; its flow graph is empty unless the document holds one.

        Raises:
            UsageError: naming the first place in `text` that is not as the schema has it.
        """
        report: Report = _view("from_json")(text)
        return report

    def to_dot(self, view: str = "modules") -> str:
        """One view of the flow graph as DOT text: `modules`, `module:NAME`, `operations`, `autograd` or `heatmap`."""
        return bytes(_view("picture")(self, "dot", view=view)).decode()

    def to_html(self) -> str:
        """The report as one page that needs no other file and no network."""
        return bytes(_view("picture")(self, "html")).decode()

    def save(self, path: str | Path) -> None:
        """Writes the report to `path`, in the format that its suffix names: `.json`, `.txt` as in a terminal of 100 columns, `.md`,
        `.sarif`, `.html`, or a picture: `.svg`, `.png`, `.pdf`, `.dot`.

        Raises:
            UsageError: for another suffix; nothing is written then.
            DrawingFailed: for a picture, where no engine draws it.
            OSError: where the file cannot be written.
        """
        path = Path(path)
        if path.suffix in _PICTURES:
            path.write_bytes(_view("picture")(self, path.suffix[1:]))
            return
        if path.suffix not in _FORMAT_OF_SUFFIX:
            known = ", ".join([*_FORMAT_OF_SUFFIX, *_PICTURES])
            raise UsageError(f"expected a file name that ends in one of {known}, found {str(path)!r}: the suffix chooses the format")
        text = _view("render")(self, _FORMAT_OF_SUFFIX[path.suffix])
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)

    def to_records(self) -> list[dict[str, Any]]:
        """One plain dict a parameter, in order, as `pandas.DataFrame` and `polars.DataFrame` take them; norms are L2, unitless."""
        return [
            {
                "name": row.name,
                "root": row.root,
                "module": row.owner,
                "module_class": row.owner_class,
                "shape": list(row.shape),
                "elements": row.elements,
                "dtype": row.dtype,
                "requires_grad": row.requires_grad,
                "verdict": row.verdict.value,
                "live_in": row.live_in[0],
                "steps": row.live_in[1],
                "grad_norm": row.grad_norm,
                "weight_norm": row.weight_norm,
                "optimizers": list(row.optimizers),
                "moved": row.moved,
            }
            for row in self.parameters
        ]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows of the report: the picture with the text under it, the picture alone, or the text."""
        bundle: dict[str, str] = _view("notebook_bundle")(self)
        return bundle


_FORMAT_OF_SUFFIX = {".json": "json", ".txt": "text", ".md": "markdown", ".sarif": "sarif"}
_PICTURES = (".html", ".svg", ".png", ".pdf", ".dot")
_VIEWS = {
    "to_json": "gradflow.document",
    "from_json": "gradflow.document",
    "render": "gradflow.render",
    "picture": "gradflow.pictures",
    "notebook_bundle": "gradflow.pictures",
}


def _view(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(import_module(_VIEWS[name]), name)
    return function
