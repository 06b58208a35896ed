"""Random training programs: `generate(seed)` gives the text of a Python file with a model, its inputs and its loss, the same for a seed.

Every statement that cuts the graph has an uncut twin of the same shape, so a blame can be put to the proof: replace the blamed lines by
their twins, run again, and a gradient must arrive.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from program_cuts import CUTS, CUTTING_REGIONS, LOSS_CUTS
from program_parts import HEADER, OPERATIONS, SHAPES, STRUCTURES, TERMS, Part

STYLES = ("loss", "tensor", "tuple", "dict")


@dataclass(frozen=True)
class Line:
    """One line of a program, and its uncut twin if it cuts. Lines of one `group` (0: none) are repaired together."""

    text: str
    twin: str | None = None
    group: int = 0


@dataclass(frozen=True)
class Program:
    """One program. `twins`: line number to uncut text; `together`: line number to all the lines whose twins go with its own."""

    seed: int
    source: str
    twins: dict[int, str]
    together: dict[int, tuple[int, ...]]
    operations: tuple[str, ...]
    cuts: tuple[str, ...]

    def repaired(self, lines: set[int]) -> str | None:
        """The source with `lines` replaced by their uncut twins; None where one of them has none."""
        if not lines <= self.twins.keys():
            return None
        wanted = {partner for line in lines for partner in self.together.get(line, (line,))}
        texts = self.source.split("\n")
        return "\n".join(self.twins[number] if number in wanted else text for number, text in enumerate(texts, start=1))


def generate(seed: int) -> Program:
    """The program of `seed`."""
    writer = _Writer(random.Random(seed))
    net = _Scope(writer, "Net", [])
    net.say("v0 = self.m0(x)")
    net.init.append(Line("self.m0 = nn.Linear(6, 6)"))
    net.pool.append(("v0", "flat"))
    if writer.chance(0.4):
        net.say("v1 = self.n0(seq)")
        net.init.append(Line("self.n0 = nn.Linear(6, 6)"))
        net.pool.append(("v1", "seq"))
    _fill(net)
    _add_idle_parameters(net)
    return _wrapped(seed, net, _finish(net))


def alone(part: Part) -> Program:
    """The shortest program around one part: a layer, the part, a loss."""
    writer = _Writer(random.Random(0))
    net = _Scope(writer, "Net", [("v0", "seq" if part.takes == "seq" else "flat")])
    net.init.append(Line("self.m0 = nn.Linear(6, 6)"))
    net.say("v0 = self.m0(seq)" if part.takes == "seq" else "v0 = self.m0(x)")
    net.place(part, replaces=True)
    return _wrapped(0, net, _finish(net))


def _wrapped(seed: int, net: _Scope, tail: list[Line]) -> Program:
    writer = net.writer
    header = [Line(text) for text in HEADER.strip().replace("{seed}", str(seed)).split("\n")]
    prelude = [line for text in writer.prelude for line in [Line(""), *writer.lines(text)]]
    classes = [line for scope in (*writer.blocks, net) for line in [Line(""), Line(""), *scope.text()]]
    return _assemble(seed, [*header, *prelude, *classes, Line(""), Line(""), *tail, Line("")], writer)


def _assemble(seed: int, lines: list[Line], writer: _Writer) -> Program:
    twins = {number: line.twin for number, line in enumerate(lines, start=1) if line.twin is not None}
    groups: dict[int, list[int]] = {}
    for number, line in enumerate(lines, start=1):
        if line.group:
            groups.setdefault(line.group, []).append(number)
    together = {number: tuple(members) for members in groups.values() for number in members}
    source = "\n".join(line.text for line in lines)
    return Program(seed, source, twins, together, tuple(writer.operations), tuple(writer.cuts))


class _Writer:
    """What all the classes of one program share: the random source, the numbering, the helpers written once, and what was used."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.number = 9  # v0 and v1 are taken
        self.prelude: list[str] = []
        self.blocks: list[_Scope] = []
        self.operations: list[str] = []
        self.cuts: list[str] = []

    def chance(self, share: float) -> bool:
        return self.source.random() < share

    def next(self) -> int:
        self.number += 1
        return self.number

    def lines(self, template: str, **names: object) -> list[Line]:
        """The lines of a template; with `names`, its placeholders are filled."""
        group = self.next()
        found = []
        for raw in template.strip("\n").split("\n"):
            text, mark, twin = raw.partition(" ~>")
            together = twin.startswith("+")
            indent = text[: len(text) - len(text.lstrip())]
            twin = indent + twin.lstrip("+ ")
            if names:
                text, twin = text.format(**names), twin.format(**names)
            found.append(Line(text, twin if mark else None, group if together else 0))
        return found


@dataclass
class _Scope:
    """One module class while it is written. `pool` holds the values that still have to reach the loss, as (name, shape kind)."""

    writer: _Writer
    name: str
    pool: list[tuple[str, str]]
    init: list[Line] = field(default_factory=list)
    methods: list[Line] = field(default_factory=list)
    body: list[Line] = field(default_factory=list)
    depth: int = 0

    def say(self, text: str) -> None:
        self.body.append(Line("    " * self.depth + text))

    def place(self, part: Part, replaces: bool = False) -> None:
        """Writes one part on a value of the pool that it can take. Its result replaces that value in a loop or region, or where asked."""
        source = self.writer.source
        name, kind = source.choice([entry for entry in self.pool if part.takes in ("any", entry[1])])
        second = self._second(name, kind, leaves=part in OPERATIONS) if "{g}" in part.body else ""
        gives = kind if part.gives == "same" else part.gives
        rebinds = replaces or self.depth > 0 or self.writer.chance(0.75)
        result = name if rebinds else f"v{self.writer.next()}"
        if rebinds:
            self.pool.remove((name, kind))
        self.pool.append((result, gives))
        names = {"h": name, "o": result, "g": second, "k": self.writer.next(), "shape": SHAPES[kind]}
        self.body += [_indented(line, self.depth) for line in self.writer.lines(part.body, **names)]
        self.init += self.writer.lines(part.init, **names) if part.init else []
        self.methods += [Line(""), *self.writer.lines(part.methods, **names)] if part.methods else []
        if part.prelude and part.prelude not in self.writer.prelude:
            self.writer.prelude.append(part.prelude)

    def _second(self, name: str, kind: str, leaves: bool) -> str:
        """Another value of the same shape, else an input. Half the time it leaves the pool: its way to the loss is then the result's."""
        others = [entry for entry in self.pool if entry[0] != name and entry[1] == kind]
        if not others:
            return {"flat": "x", "seq": "seq"}[kind]
        chosen = self.writer.source.choice(others)
        if leaves and self.writer.chance(0.5):
            self.pool.remove(chosen)
        return chosen[0]

    def operation(self) -> None:
        part = self._pick(OPERATIONS)
        self.writer.operations.append(part.name)
        self.place(part)

    def cut(self) -> None:
        part = self._pick(CUTS)
        self.writer.cuts.append(part.name)
        self.place(part)

    def _pick(self, parts: tuple[Part, ...]) -> Part:
        kinds = {"any", *(kind for _, kind in self.pool)}
        stays = self.depth > 0 or self.name != "Net"
        fitting = [part for part in parts if part.takes in kinds and not (stays and (part.gives != "same" or not part.nests))]
        return self.writer.source.choice(fitting)

    def nested(self, head: str, cutting: bool) -> None:
        """A loop, branch or region around one to three parts."""
        self.body += [_indented(line, self.depth) for line in self.writer.lines(head, k=self.writer.next())]
        (self.writer.cuts if cutting else self.writer.operations).append(head.split(" ~>")[0])
        self.depth += 1
        for _ in range(self.writer.source.randint(1, 3)):
            choices = [self.operation, self.operation, self.cut] + [self.block] * (self.name == "Net")
            self.writer.source.choice(choices)()
        self.depth -= 1

    def block(self) -> None:
        """A submodule with a forward of its own, sometimes called twice."""
        writer = self.writer
        name, kind = writer.source.choice(self.pool)
        inner = _Scope(writer, f"Block{writer.next()}", [("value", kind)])
        writer.operations.append("submodule")
        for _ in range(writer.source.randint(1, 3)):
            inner.operation()
        if writer.chance(0.5):
            inner.cut()
        if writer.chance(0.5):
            inner.operation()
        inner.say("return " + " + ".join(name for name, _ in inner.pool))
        writer.blocks.append(inner)
        number = writer.next()
        self.init.append(Line(f"self.s{number} = {inner.name}()"))
        for _ in range(2 if writer.chance(0.25) else 1):
            self.say(f"{name} = self.s{number}({name}, x, seq, ids)")

    def text(self) -> list[Line]:
        """The class, with the lines of `__init__`, `forward` and the helper methods."""
        first = "x" if self.name == "Net" else "value, x"
        lines = [Line(f"class {self.name}(nn.Module):"), Line("    def __init__(self):"), Line("        super().__init__()")]
        lines += [_indented(line, 2) for line in self.init]
        lines += [_indented(line, 1) for line in self.methods]
        lines += [Line(""), Line(f"    def forward(self, {first}, seq, ids):")]
        return lines + [_indented(line, 2) for line in self.body]


def _indented(line: Line, depth: int) -> Line:
    indent = "    " * depth
    twin = None if line.twin is None else indent + line.twin
    return Line(indent + line.text if line.text else "", twin, line.group)


def _fill(net: _Scope) -> None:
    source = net.writer.source
    plan = [net.operation] * source.randint(3, 9) + [net.cut] * source.choice((0, 1, 1, 1, 2, 2, 3))
    plan += [net.block] * source.choice((0, 0, 1, 1, 2))
    if net.writer.chance(0.3):
        plan.append(lambda: net.nested(source.choice(STRUCTURES), False))
    if net.writer.chance(0.3):
        plan.append(lambda: net.nested(source.choice(CUTTING_REGIONS), True))
    source.shuffle(plan)
    for write in plan:
        write()


def _add_idle_parameters(net: _Scope) -> None:
    """Parameters that no gradient is meant for: never called, or frozen."""
    if net.writer.chance(0.15):
        net.init.append(Line(f"self.u{net.writer.next()} = nn.Linear(6, 6)"))
    if net.writer.chance(0.1):
        net.init.append(Line("self.m0.requires_grad_(False)"))


def _finish(net: _Scope) -> list[Line]:
    """Ends `forward` in one of four styles and gives the lines of the file's `loss_of(output)`."""
    writer = net.writer
    if writer.chance(0.95):
        name, _ = writer.source.choice(net.pool)
        net.init.append(Line("self.anchor = nn.Parameter(torch.ones(1))"))
        net.say(f"{name} = {name} * self.anchor")
    style = writer.source.choice(STYLES)
    lines = [Line("def loss_of(output):")]
    if style == "loss":
        net.body += _total(writer, net.pool)
        net.say("return total")
        lines.append(Line("    total = output"))
    else:
        names = [name for name, _ in net.pool]
        if style == "tensor":
            net.say(f"return torch.cat([{', '.join(f'{name}.flatten()' for name in names)}])")
            lines.append(Line("    total = output.tanh().pow(2).mean() + output.mean()"))
        elif style == "tuple":
            net.say(f"return ({', '.join(names)},)")
            values = [(f"output[{index}]", kind) for index, (_, kind) in enumerate(net.pool)]
            lines += [_indented(line, 1) for line in _total(writer, values)]
        else:
            net.say(f"return {{{', '.join(f'{name!r}: {name}' for name in names)}}}".replace("'", '"'))
            values = [(f'output["{name}"]', kind) for name, kind in net.pool]
            lines += [_indented(line, 1) for line in _total(writer, values)]
        first = {"tensor": "output", "tuple": "output[0]", "dict": f'output["{names[0]}"]'}[style]
        lines += [_indented(line, 1) for line in _loss_cut(writer, first)]
    return [*lines, Line("    return total")]


def _total(writer: _Writer, values: list[tuple[str, str]]) -> list[Line]:
    lines = []
    for index, (value, kind) in enumerate(values):
        term = writer.source.choice(TERMS[kind]).format(v=value)
        lines.append(Line(f"total = total + 0.5 * {term}" if index else f"total = {term}"))
    return lines


def _loss_cut(writer: _Writer, value: str) -> list[Line]:
    if not writer.chance(0.15):
        return []
    name, template = writer.source.choice(LOSS_CUTS)
    writer.cuts.append(name)
    return writer.lines(template, value=value, extra=f"{value}.mean()")
