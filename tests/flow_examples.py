"""Programs as flow graphs, built by hand: what a run of them would record. No torch, milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gradflow.graph.flow import CutReason, EdgeKind, FlowGraphBuilder, Node, NodeKind
from gradflow.graph.recording import Target, TargetKind
from gradflow.graph.site import Site
from gradflow.report import Evidence, Finding, FindingSite, Outcome, ParameterRow, Report, Role, Severity, StepRow
from gradflow.verdict import Verdict


@dataclass(slots=True)
class Program:
    """Records calls as the tracer does: parameters first, then calls in order. `off` is the region that calls run in (-1: none)."""

    file: str = "net.py"
    builder: FlowGraphBuilder = field(default_factory=FlowGraphBuilder)
    rows: list[ParameterRow] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    parameters: dict[str, int] = field(default_factory=dict)
    off: int = -1
    step: int = 0
    live: set[int] = field(default_factory=set)

    def site(self, line: int, source: str = "", function: str = "Net.forward", module: str = "") -> Site:
        """A place in the program's file, with two made-up lines around it."""
        text = source or f"    x = call_{line}(x)"
        return Site(
            self.file,
            line,
            5,
            line,
            5 + len(text.strip()),
            function,
            module,
            text,
            ((line - 1, "    y = x"), (line, text), (line + 1, "    z = x")),
        )

    def parameter(
        self, name: str, verdict: Verdict = Verdict.LIVE, kind: str = "Linear", shape: tuple[int, ...] = (8, 8), owner: str | None = None
    ) -> None:
        """One parameter, live in each of two steps or in none."""
        norm = 0.1 if verdict is Verdict.LIVE else None
        history = tuple(StepRow(step, verdict, norm) for step in (1, 2))
        elements = 1
        for size in shape:
            elements *= size
        owner = name.rpartition(".")[0] if owner is None else owner
        live = 2 if verdict is Verdict.LIVE else 0
        trains = verdict is not Verdict.FROZEN
        number = len(self.rows)
        row = ParameterRow(
            name=name,
            root="net",
            shape=shape,
            elements=elements,
            dtype="float32",
            requires_grad=trains,
            verdict=verdict,
            live_in=(live, 2),
            grad_norm=norm,
            optimizers=("opt",),
            moved=bool(live),
            weight_norm=1.0,
            owner=owner,
            owner_class=kind,
            history=history,
        )
        self.rows.append(row)
        self.parameters[name] = self.builder.node(Node(NodeKind.PARAMETER, name, parameter=number))
        if trains:
            self.live.add(self.parameters[name])

    def layer(self, path: str, verdict: Verdict = Verdict.LIVE, kind: str = "Linear") -> None:
        """Weight and bias."""
        self.parameter(f"{path}.weight", verdict, kind)
        self.parameter(f"{path}.bias", verdict, kind, (8,))

    def call(
        self,
        label: str,
        module: str,
        inputs: Sequence[int],
        line: int = 10,
        *,
        cut: int = -1,
        uses: Sequence[str] = (),
        function: str = "Net.forward",
    ) -> int:
        """One operation. `uses` names the parameters it takes; `cut` is a cut that this very call makes."""
        site = self.builder.site(self.site(line, function=function, module=module))
        node = self.builder.node(
            Node(NodeKind.OPERATION, label, module, site, region=self.off, step=self.step, autograd=f"{label.title()}Backward0")
        )
        taken = [*inputs, *(self.parameters[name] for name in uses)]
        stop = cut if cut >= 0 else self.off
        for source in taken:
            tracked = source in self.live
            kind = EdgeKind.CUT if stop >= 0 and tracked else EdgeKind.LIVE if tracked else EdgeKind.INERT
            self.builder.edge(source, node, kind, stop if kind is EdgeKind.CUT else -1)
        if stop < 0 and any(source in self.live for source in taken):
            self.live.add(node)
        return node

    def linear(self, path: str, inputs: Sequence[int], line: int = 10) -> int:
        """A call of the layer at `path`."""
        return self.call("linear", path, inputs, line, uses=(f"{path}.weight", f"{path}.bias"))

    def loss(self, inputs: Sequence[int], line: int = 90, label: str = "mse_loss") -> int:
        """A loss, from which a backward pass begins."""
        node = self.call(label, "", inputs, line, function="<module>")
        self.builder.losses.append(node)
        self.step += 1
        return node

    def cut(self, reason: CutReason, line: int, label: str, *, module: str = "", region: bool = False, source: str = "") -> int:
        """A cut, and the finding that blames it for all severed parameters."""
        site = self.site(line, source or f"    x = x{label}", module=module)
        severed = tuple(row.name for row in self.rows if row.verdict is Verdict.SEVERED)
        self.find("GF101", "severed-parameter", f"{len(severed)} parameters are cut off from the loss by `{label}`", severed, site)
        return self.builder.cut(reason, site, label, region=region)

    def find(self, code: str, name: str, message: str, parameters: Sequence[str], site: Site, severity: Severity = Severity.ERROR) -> None:
        """A finding at `site`."""
        entry = FindingSite(Role.CAUSE, site, "as it is")
        self.findings.append(Finding(code, name, severity, message, tuple(parameters), (entry,), help=("mend it",), evidence=Evidence.RUN))

    def report(self) -> Report:
        """The report of the run."""
        outcome = Outcome.FINDINGS if self.findings else Outcome.CLEAN
        target = Target(TargetKind.SCRIPT, self.file, f"gradflow audit {self.file}")
        return Report(outcome, target, tuple(self.rows), tuple(self.findings), self.step, self.step, flow=self.builder.build())


def frozen_by_no_grad() -> Report:
    """The article's case: lin0 -> lin1 under no_grad -> lin2."""
    program = Program()
    for path, verdict in (("lin0", Verdict.SEVERED), ("lin1", Verdict.SEVERED), ("lin2", Verdict.LIVE)):
        program.layer(path, verdict)
    cut = program.cut(CutReason.NO_GRAD, 20, "torch.no_grad()", region=True, source="    with torch.no_grad():")
    x = program.linear("lin0", [], 19)
    program.off = cut
    x = program.linear("lin1", [x], 21)
    program.off = -1
    program.loss([program.linear("lin2", [x], 22)])
    return program.report()


def gpt(depth: int = 50, cut_in: Sequence[int] = (5,), steps: int = 2) -> Report:
    """A GPT whose attention is detached in the blocks `cut_in`; frozen positions, a tied head, a head that nobody calls."""
    program = Program("gpt.py")
    program.parameter("wte.weight", kind="Embedding", shape=(50, 32))
    program.parameter("wpe.weight", Verdict.FROZEN, "Embedding", (16, 32))
    for block in range(depth):
        dead = Verdict.SEVERED if block in cut_in else Verdict.LIVE
        for name, verdict in (("ln_1", dead), ("attn.qkv", dead), ("attn.proj", dead), ("ln_2", Verdict.LIVE), ("mlp", Verdict.LIVE)):
            program.layer(f"h.{block}.{name}", verdict, "LayerNorm" if "ln" in name else "Linear")
    program.layer("ln_f", kind="LayerNorm")
    program.layer("aux_head", Verdict.UNUSED)
    cuts = {block: program.cut(CutReason.DETACH, 41, ".detach()", module=f"h.{block}") for block in cut_in}
    for _ in range(steps):
        x = program.call("embedding", "wte", [], 57, uses=("wte.weight",), function="GPT.forward")
        places = program.call("embedding", "wpe", [], 57, uses=("wpe.weight",), function="GPT.forward")
        x = program.call("add", "", [x, places], 57, function="GPT.forward")
        for block in range(depth):
            path = f"h.{block}"
            a = program.linear(f"{path}.attn.qkv", [program.linear(f"{path}.ln_1", [x], 39)], 22)
            a = program.linear(f"{path}.attn.proj", [program.call("softmax", f"{path}.attn", [a], 23, function="Attention.forward")], 24)
            if block in cuts:
                a = program.call("detach", path, [a], 41, cut=cuts[block], function="Block.forward")
            x = program.call("add", path, [x, a], 42, function="Block.forward")
            y = program.linear(f"{path}.mlp", [program.linear(f"{path}.ln_2", [x], 43)], 43)
            x = program.call("add", path, [x, y], 43, function="Block.forward")
        x = program.call("linear", "lm_head", [program.linear("ln_f", [x], 60)], 60, uses=("wte.weight",), function="GPT.forward")
        program.loss([program.call("flatten", "", [x], 72, function="<module>")], 72, "cross_entropy")
    return program.report()


def recurrent(length: int = 200) -> Report:
    """A cell that runs `length` times, its gate detached at every step."""
    program = Program("rnn.py")
    program.layer("cell")
    program.layer("gate", Verdict.SEVERED)
    program.layer("head")
    cut = program.cut(CutReason.DETACH, 13, ".detach()")
    x = program.linear("cell", [], 12)
    for _ in range(length):
        gate = program.call("detach", "", [program.linear("gate", [x], 13)], 13, cut=cut)
        x = program.linear("cell", [program.call("add", "", [x, gate], 13)], 12)
    program.loss([program.linear("head", [x], 14)])
    return program.report()


def wide(count: int) -> Report:
    """`count` layers that differ in shape, one after the other: nothing can be folded."""
    program = Program("wide.py")
    x: list[int] = []
    for number in range(count):
        program.parameter(f"layer_{number}.weight", shape=(number + 1, number + 2))
    for number in range(count):
        x = [program.call("linear", f"layer_{number}", x, 10, uses=(f"layer_{number}.weight",))]
    program.loss(x)
    return program.report()
