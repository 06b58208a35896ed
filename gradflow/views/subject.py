"""A report with what all module views ask of it, found once: the state of its flow, the tree of its modules, their classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from gradflow.report import ParameterRow, Report
from gradflow.views.contraction import Contracted, Unit
from gradflow.views.flow_state import FlowState, Place, flow_state
from gradflow.views.module_tree import ModuleTree, ancestors


class Subject:
    """What is drawn. `classes` has the class of each module that runs code of its own, by path."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.state = flow_state(report)
        self.classes = classes_of(report)
        self._marked = list(_marked_modules(report, self.state))
        self.tree = ModuleTree(report.parameters, self.classes, self._marked)
        self.members = self.tree.members()

    @property
    def stops(self) -> dict[int, Place]:
        """By node, the place of the finding at which a gradient stops there: the operation that cuts, or the one that leaves a region."""
        flow, state = self.report.flow, self.state
        found: dict[int, Place] = {}
        for edge, cut in enumerate(flow.edge_cuts):
            if cut in state.cut_marks and not flow.cuts[cut].region:
                found[flow.targets[edge]] = state.cut_marks[cut]
        return {**found, **state.node_marks}

    def cut_modules(self) -> list[str]:
        """The modules in whose own code a finding stands."""
        return list(dict.fromkeys(path for path, _ in self._marked))

    def rows_of(self, unit: Unit, whole: Contracted) -> list[ParameterRow]:
        """The parameters that the card of `unit` stands for."""
        numbers = self.members.get(unit[1], []) if unit[0] == "module" else whole.parameters.get(unit, [])
        return [self.report.parameters[number] for number in numbers]


def classes_of(report: Report) -> dict[str, str]:
    """The class of a module that runs code of its own, read off the function in which it runs: `Block.forward`.

    What runs in a layer of torch has the place from which the layer is called, so a class equal to that of the module around says nothing.
    """
    votes: dict[str, Counter[str]] = {}
    for node in report.flow.nodes:
        if node.site >= 0:
            name, dot, function = report.flow.sites[node.site].function.rpartition(".")
            if dot and function == "forward":
                votes.setdefault(node.module, Counter())[name] += 1
    found: dict[str, str] = {}
    callers: dict[str, str] = {}
    for path in sorted(votes, key=lambda path: (path.count("."), path)):
        name = votes[path].most_common(1)[0][0].rpartition(".")[2]
        around = next((callers[other] for other in reversed(ancestors(path)[:-1]) if other in callers), "")
        callers[path] = name
        if path and name != around:
            found[path] = name
    return found


def _marked_modules(report: Report, state: FlowState) -> Iterator[tuple[str, object]]:
    """(module, place) of every finding in the flow: the module whose code has the line."""
    flow = report.flow
    for cut, place in sorted(state.cut_marks.items()):
        yield flow.sites[flow.cuts[cut].site].module, place
    for node, place in sorted(state.node_marks.items()):
        yield flow.nodes[node].module, place
