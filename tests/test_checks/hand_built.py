"""Recordings written by hand, in the words of a small program: no torch, milliseconds.

A source node is an input, a weight or an operation; an operation names its sources as `Via` where the edge is not live.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gradflow.checks import diagnose
from gradflow.graph.flow import CutReason, EdgeKind, FlowGraphBuilder, Node, NodeKind
from gradflow.graph.recording import (
    GradientCleared,
    GradientDropped,
    LossRebuilt,
    Membership,
    NumericOrigin,
    Operand,
    OptimizerFact,
    ParameterFact,
    Recording,
    RestlessStatistics,
    StaleOptimizer,
    StepFact,
    Target,
    TargetKind,
    Trouble,
)
from gradflow.graph.site import Site
from gradflow.report import Finding, Role, Severity
from gradflow.verdict import Verdict

SOURCE = {
    10: "h = self.enc(x)",
    14: "with torch.no_grad():",
    15: "x = self.lin1(x)",
    16: "x = self.lin2(x)",
    28: "out = self.head(feats.detach())",
    33: "@torch.no_grad()",
}


def site(line: int, source: str = "", column: int = 9) -> Site:
    """A place in `net.py`."""
    return Site("net.py", line, column=column, function="Net.forward", source=" " * 8 + (source or SOURCE.get(line, f"x = f{line}(x)")))


@dataclass(frozen=True)
class Via:
    """A source whose edge is not live: inert where `cut` is -1."""

    source: int
    cut: int = -1


class Program:
    """Builds one recording. Weights are held by the optimizer `opt`, which stepped twice, unless said otherwise."""

    def __init__(self, kind: TargetKind = TargetKind.SCRIPT) -> None:
        self.build = FlowGraphBuilder()
        self.target = Target(kind, "net.py", "gradflow audit net.py")
        self.facts: list[ParameterFact] = []
        self.rebuilt: list[LossRebuilt] = []
        self.dropped: list[GradientDropped] = []
        self.optimizers: list[OptimizerFact] = []
        self.cleared: list[GradientCleared] = []
        self.stale: list[StaleOptimizer] = []
        self.origins: list[NumericOrigin] = []
        self.restless: list[RestlessStatistics] = []
        self.crash = ""
        self.timed_out = False

    def optimizer(self, name: str = "opt", *, steps: int = 2, line: int = 70, kind: str = "Adam", **facts: Any) -> OptimizerFact:
        """An optimizer that was built on `line`."""
        source = f"{name} = torch.optim.{kind}(model.parameters())"
        self.optimizers.append(OptimizerFact(name, kind, site(line, source), steps, **facts))
        return self.optimizers[-1]

    def origin(
        self, node: int, *parameters: int, operand: Operand = Operand.PARAMETER, trouble: Trouble = Trouble.ZERO, **facts: bool
    ) -> None:
        """The operation `node` spoils the gradient of `parameters` (their nodes)."""
        graph = self.build.build()
        indices = tuple(graph.nodes[number].parameter for number in parameters)
        label = graph.nodes[node].label
        self.origins.append(
            NumericOrigin(trouble, label, f"{label.title()}Backward0", graph.site_of(node), node, indices, operand, **facts)
        )

    def weight(self, name: str, *, live: bool = False, held: bool = True, **facts: Any) -> int:
        """A parameter: the number of its node."""
        step = StepFact(1, reached=live, delivered=live, grad_norm=1.0 if live else None)
        defaults: dict[str, Any] = {
            "root": "model",
            "shape": (2, 2),
            "elements": 4,
            "dtype": "float32",
            "requires_grad": True,
            "owner": name.rpartition(".")[0],
            "owner_class": "Linear",
            "optimizers": ("opt",) if held else (),
            "stepped": held,
            "steps": (step, replace(step, step=2)),
            "definition": site(100 + len(self.facts), f"self.{name.partition('.')[0]} = nn.Linear(2, 2)"),
        }
        self.facts.append(ParameterFact(name=name, **{**defaults, **facts}))
        return self.build.node(Node(NodeKind.PARAMETER, name, parameter=len(self.facts) - 1))

    def layer(self, name: str, **facts: Any) -> tuple[int, int]:
        """`name.weight` and `name.bias`."""
        facts.setdefault("definition", site(100 + len(self.facts), f"self.{name} = nn.Linear(2, 2)"))
        return self.weight(f"{name}.weight", **facts), self.weight(f"{name}.bias", **facts)

    def region(self, line: int = 14, label: str = "torch.no_grad()", source: str = "") -> int:
        """A cut that switches gradients off."""
        return self.build.cut(CutReason.NO_GRAD, site(line, source), label, region=True)

    def cut(self, reason: CutReason = CutReason.DETACH, line: int = 28, label: str = ".detach()", source: str = "", column: int = 9) -> int:
        """A cut of one operation."""
        return self.build.cut(reason, site(line, source, column), label)

    def op(self, label: str, *sources: int | Via, line: int = 10, region: int = -1, kind: NodeKind = NodeKind.OPERATION) -> int:
        """An operation: the number of its node."""
        node = self.build.node(Node(kind, label, site=self.build.site(site(line)), region=region))
        for source in sources:
            if isinstance(source, Via):
                self.build.edge(source.source, node, EdgeKind.INERT if source.cut < 0 else EdgeKind.CUT, source.cut)
            else:
                self.build.edge(source, node, EdgeKind.LIVE)
        return node

    def loss(self, *sources: int | Via, line: int = 90) -> int:
        """A loss made from `sources`."""
        node = self.op("cross_entropy", *sources, line=line)
        self.build.losses.append(node)
        return node

    def recording(self) -> Recording:
        """All that was said, as a recording."""
        return Recording(
            self.target,
            self.build.build(),
            tuple(self.facts),
            backward_passes=2,
            optimizer_steps=2 if any(fact.stepped for fact in self.facts) else 0,
            rebuilt=tuple(self.rebuilt),
            dropped=tuple(self.dropped),
            optimizers=tuple(self.optimizers),
            cleared=tuple(self.cleared),
            stale=tuple(self.stale),
            origins=tuple(self.origins),
            restless=tuple(self.restless),
            crash=self.crash,
            timed_out=self.timed_out,
        )

    def findings(self) -> list[Finding]:
        """What the checks say of it."""
        return list(diagnose(self.recording())[2])

    def loud(self) -> list[str]:
        """The codes of its errors and warnings."""
        return [finding.code for finding in self.findings() if finding.severity is not Severity.INFO]

    def finding(self) -> Finding:
        """The one finding: there is no other."""
        found = self.findings()
        assert len(found) == 1, found
        return found[0]

    def verdicts(self) -> dict[str, Verdict]:
        """By name."""
        return dict(zip((fact.name for fact in self.facts), diagnose(self.recording())[0], strict=True))


def places(finding: Finding) -> list[tuple[str, int, str]]:
    """(role, line, note) of each site."""
    return [(entry.role.value, entry.site.line, entry.note) for entry in finding.sites]


def steps(*norms: float | None, **facts: Any) -> dict[str, Any]:
    """One step for each gradient norm; None: autograd did not reach it in that step."""
    return {
        "steps": tuple(
            StepFact(number, reached=norm is not None, delivered=norm is not None, grad_norm=norm, **facts)
            for number, norm in enumerate(norms, start=1)
        )
    }


def hidden(name: str) -> dict[str, Any]:
    """Facts of a leaf that is held by a plain attribute."""
    return {"membership": Membership.HIDDEN, "held": False, "definition": site(7, f"self.{name} = [nn.Linear(2, 2)]")}


CAUSE = Role.CAUSE.value
LEAK = Role.LEAK.value
