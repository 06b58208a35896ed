"""The module views: what runs inside which module, opened where a gradient is cut, folded where siblings are equal."""

from __future__ import annotations

from gradflow.errors import UsageError
from gradflow.report import Report
from gradflow.verdict import Verdict
from gradflow.views.assembly import MOST_BOXES, assemble
from gradflow.views.contraction import contract
from gradflow.views.drawing import Drawing
from gradflow.views.module_tree import ancestors
from gradflow.views.subject import Subject
from gradflow.views.words import counts_of, headline, tally


class ModuleViews:
    """All the module views of one report."""

    def __init__(self, report: Report) -> None:
        self.subject = Subject(report)

    def whole(self, depth: int | None = None) -> Drawing:
        """The whole model. `depth` opens all modules that far down; by default those are opened in which a gradient is cut."""
        tree, report = self.subject.tree, self.subject.report
        opened = tree.focus(self.subject.cut_modules()) if depth is None else tree.open_to_depth(max(depth, 1))
        return self._drawing(opened, "", headline(report), tally(report))

    def module(self, name: str) -> Drawing:
        """One module, opened, with what comes into it and where its values go.

        Raises:
            UsageError: where no parameter lies in a module `name`.
        """
        tree, report = self.subject.tree, self.subject.report
        path = tree.canonical(name)
        branch = tree.branch(path)
        if not name or branch is None:
            known = ", ".join(tree.shown("")[:8])
            raise UsageError(f"expected the path of a module that holds parameters, found {name!r}; the outermost are {known or 'none'}")
        inside = [cut for cut in self.subject.cut_modules() if path in ancestors(tree.canonical(cut))]
        opened = {other for module in [path, *inside] for other in ancestors(tree.canonical(module))}
        counts = ", ".join(f"{count:,} {verdict.value}" for verdict, count in counts_of(report.parameters[number] for number in branch.all))
        kind = f"{branch.kind}: " if branch.kind else ""
        return self._drawing(opened, path, name, f"{kind}{counts}; {headline(report)}")

    def operations(self) -> Drawing:
        """Every call of the program that has a part in a loss, in the modules that make it; layers without children are one card each."""
        tree, report = self.subject.tree, self.subject.report
        return self._drawing({"", *tree.openable()}, "", headline(report), tally(report), every=True)

    def modules_to_open(self) -> list[str]:
        """The modules that hold others: those with faults first, then the outermost."""
        rows = self.subject.report.parameters
        fine = (Verdict.LIVE, Verdict.FROZEN)
        faults = {path for path, inside in self.subject.members.items() if any(rows[number].verdict not in fine for number in inside)}
        return sorted(self.subject.tree.openable(), key=lambda path: path not in faults)

    def _drawing(self, opened: set[str], within: str, title: str, subtitle: str, *, every: bool = False) -> Drawing:
        """The drawing with so many modules open as the limit on boxes allows, of what lies in module `within`."""
        subject, tree = self.subject, self.subject.tree
        whole = contract(subject.report.flow, subject.state, tree, opened, every=every)
        deepest = max(map(tree.depth_of, opened))
        while len(whole.units) > MOST_BOXES and deepest > tree.depth_of(within):
            opened = {path for path in opened if tree.depth_of(path) < deepest}
            deepest -= 1
            whole = contract(subject.report.flow, subject.state, tree, opened, every=every and deepest > 0)
        return assemble(subject, whole, opened, within, title, subtitle)
