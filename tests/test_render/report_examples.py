"""Hand-built reports for the tests of renderers and documents: no torch, no run."""

from __future__ import annotations

from gradflow.graph.flow import CutReason, EdgeKind, FlowGraphBuilder, Node, NodeKind
from gradflow.graph.recording import Target, TargetKind
from gradflow.graph.site import Site
from gradflow.report import Finding, FindingSite, Outcome, ParameterRow, Report, Role, Severity, StepRow
from gradflow.verdict import Verdict

NET_SOURCE = {
    11: "",
    12: "",
    13: "    def forward(self, x):",
    14: "        with torch.no_grad():",
    15: "            x = self.fc1(x).relu()",
    16: "            x = self.fc2(x).relu()",
    17: "            x = self.fc3(x).relu()",
    18: "        return self.head(x)",
    19: "",
}


def site_in(source: dict[int, str], line: int, span: str, *, file: str = "net.py", function: str = "Net.forward", module: str = "") -> Site:
    """The site of the text `span` in line `line`, with two lines around it."""
    column = source[line].index(span) + 1
    context = tuple((number, source[number]) for number in range(line - 2, line + 3) if number in source)
    return Site(file, line, column, line, column + len(span), function, module, source[line], context)


def row(
    name: str, verdict: Verdict = Verdict.LIVE, grad: float | None = None, kind: str = "Linear", shape: tuple[int, ...] = (8, 8)
) -> ParameterRow:
    """One parameter, seen in four steps."""
    elements = 1
    for size in shape:
        elements *= size
    live = 4 if verdict is Verdict.LIVE else 0
    trainable = verdict is not Verdict.FROZEN
    return ParameterRow(
        name=name,
        root="net",
        shape=shape,
        elements=elements,
        dtype="float32",
        requires_grad=trainable,
        verdict=verdict,
        live_in=(live, 4),
        grad_norm=grad,
        optimizers=("opt",) if trainable else (),
        moved=live > 0,
        weight_norm=1.5,
        owner=name.rpartition(".")[0],
        owner_class=kind,
    )


def linear(path: str, verdict: Verdict = Verdict.LIVE, grad: float | None = None) -> list[ParameterRow]:
    """Weight and bias of a layer of 8 features."""
    return [row(f"{path}.weight", verdict, grad), row(f"{path}.bias", verdict, grad, shape=(8,))]


def target(file: str = "net.py") -> Target:
    """A script of that name."""
    return Target(TargetKind.SCRIPT, file, f"gradflow audit {file}")


def chain_flow(builder: FlowGraphBuilder, layers: list[str], off: set[str], cut: int, *, detach_after: str = "") -> None:
    """A chain of layers into a loss. Those in `off` run in the region `cut`; after `detach_after` the value is detached by `cut`."""
    value, region, live = builder.node(Node(NodeKind.INPUT, "x")), -1, False
    for number, layer in enumerate(layers):
        weight = builder.node(Node(NodeKind.PARAMETER, f"{layer}.weight", parameter=2 * number))
        here = cut if layer in off else -1
        operation = builder.node(Node(NodeKind.OPERATION, "linear", layer, region=here))
        builder.edge(weight, operation, EdgeKind.CUT if here >= 0 else EdgeKind.LIVE, here)
        kind = EdgeKind.CUT if here >= 0 else EdgeKind.LIVE if live else EdgeKind.INERT
        builder.edge(value, operation, kind, here if kind is EdgeKind.CUT else -1)
        value, region, live = operation, here, here < 0
        if layer == detach_after:
            value, live = builder.node(Node(NodeKind.OPERATION, "detach")), False
            builder.edge(operation, value, EdgeKind.CUT, cut)
    loss = builder.node(Node(NodeKind.OPERATION, "mse_loss"))
    builder.edge(value, loss, EdgeKind.LIVE if live and region < 0 else EdgeKind.INERT)
    builder.losses.append(loss)


def no_grad_report() -> Report:
    """Three layers under `torch.no_grad()` before a head that learns."""
    cause, leak = site_in(NET_SOURCE, 14, "with torch.no_grad():"), site_in(NET_SOURCE, 17, "self.fc3(x).relu()")
    builder = FlowGraphBuilder()
    chain_flow(
        builder, ["fc1", "fc2", "fc3", "head"], {"fc1", "fc2", "fc3"}, builder.cut(CutReason.NO_GRAD, cause, "torch.no_grad()", region=True)
    )
    rows = [entry for layer in ("fc1", "fc2", "fc3") for entry in linear(layer, Verdict.SEVERED)] + linear("head", grad=0.5)
    finding = Finding(
        code="GF101",
        name="severed-parameter",
        severity=Severity.ERROR,
        reason="no-grad",
        message="6 parameters are cut off from the loss by torch.no_grad()",
        parameters=tuple(entry.name for entry in rows[:6]),
        sites=(
            FindingSite(Role.CAUSE, cause, "autograd records nothing in this block"),
            FindingSite(Role.LEAK, leak, "leaves the block without a grad_fn, then feeds head"),
        ),
        notes=("they require grad and are used in forward, but .grad stays None",),
        help=(
            "to train them, delete `with torch.no_grad():` on line 14",
            "to freeze them, say so: `for m in (net.fc1, net.fc2, net.fc3): m.requires_grad_(False)`",
        ),
    )
    return Report(Outcome.FINDINGS, target(), tuple(rows), (finding,), 3, 3, flow=builder.build())


GPT_SOURCE = {
    38: "    def forward(self, x):",
    39: "        a = self.attn(self.ln_1(x))",
    40: "        if self.bug:",
    41: "            a = a.detach()",
    42: "        x = x + a",
    43: "        return x + self.mlp(self.ln_2(x))",
}


def block(number: int, cut: bool) -> list[ParameterRow]:
    """One transformer block of 12 parameters, its attention severed if `cut`."""
    verdict = Verdict.SEVERED if cut else Verdict.LIVE
    grads = [None if cut else 0.02 / (number + 1)] * 6 + [0.02] * 2 + [0.3 / (number + 1)] * 4
    names = ("ln_1", "attn.qkv", "attn.proj", "ln_2", "mlp.up", "mlp.down")
    leaves = [f"h.{number}.{name}.{leaf}" for name in names for leaf in ("weight", "bias")]
    return [
        row(name, verdict if place < 6 else Verdict.LIVE, grads[place], "LayerNorm" if "ln_" in name else "Linear")
        for place, name in enumerate(leaves)
    ]


def gpt_report() -> Report:
    """A 16-block GPT: attention of block 5 detached, frozen positions, a head that nobody calls."""
    rows = [
        row("wte.weight", grad=0.087, kind="Embedding", shape=(400, 64)),
        row("wpe.weight", Verdict.FROZEN, kind="Embedding", shape=(1, 8)),
    ]
    for number in range(16):
        rows += block(number, number == 5)
    rows += [row("ln_f.weight", grad=0.18, kind="LayerNorm", shape=(8,)), row("ln_f.bias", grad=0.18, kind="LayerNorm", shape=(8,))]
    rows += [row("lm_head.weight", grad=1.1), *linear("aux_head", Verdict.UNUSED)]
    cause = site_in(GPT_SOURCE, 41, ".detach()", file="gpt_model.py", function="Block.forward", module="h.5")
    severed = Finding(
        code="GF101",
        name="severed-parameter",
        severity=Severity.ERROR,
        reason="detach",
        message="6 parameters are cut off from the loss by .detach()",
        parameters=tuple(entry.name for entry in rows if entry.verdict is Verdict.SEVERED),
        sites=(FindingSite(Role.CAUSE, cause, "returns a tensor without grad_fn"),),
        notes=("h.0 to h.4 still learn: the residual add on line 42 goes around the cut",),
        help=("remove `.detach()`, or freeze with `model.h[5].attn.requires_grad_(False)`",),
    )
    unused = Finding(
        code="GF102",
        name="unused-parameter",
        severity=Severity.WARNING,
        message="2 parameters are never used in forward",
        parameters=("aux_head.weight", "aux_head.bias"),
        help=("call aux_head, or remove it",),
    )
    info = Finding(
        code="GF902",
        name="redundant-parameter",
        severity=Severity.INFO,
        message="the key bias of attention has no effect",
        parameters=("h.0.attn.qkv.bias",),
        sites=(FindingSite(Role.CAUSE, site_in(GPT_SOURCE, 39, "self.attn(self.ln_1(x))", file="gpt_model.py")),),
    )
    notes = ("torch.save wrote to a temporary file: best.pt is as it was",)
    return Report(Outcome.FINDINGS, target("gpt_model.py"), tuple(rows), (info, unused, severed), 4, 4, notes=notes)


def clean_report() -> Report:
    """Three layers, the middle one frozen the right way."""
    builder = FlowGraphBuilder()
    chain_flow(builder, ["lin0", "lin1", "lin2"], set(), -1)
    rows = linear("lin0", grad=0.1) + linear("lin1", Verdict.FROZEN) + linear("lin2", grad=0.2)
    return Report(Outcome.CLEAN, target(), tuple(rows), (), 3, 3, flow=builder.build())


def crashed_report() -> Report:
    """A program that raised before its first backward."""
    crash = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\n    1 / 0\nZeroDivisionError: division by zero\n'
    return Report(Outcome.CRASHED, target("train.py"), message="ZeroDivisionError: division by zero", crash=crash)


def history_row() -> ParameterRow:
    """A parameter with a step history that holds a norm which is not finite."""
    steps = (StepRow(1, Verdict.LIVE, 0.25, 1e-3), StepRow(2, Verdict.NONFINITE, float("inf"), None))
    first = row("head.weight", grad=float("nan"))
    return ParameterRow(**{**{name: getattr(first, name) for name in first.__dataclass_fields__}, "history": steps})
