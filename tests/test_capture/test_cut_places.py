"""Cuts in places where a recorder is easily blind: transforms, scripted code, threads, copies; and one cut with several victims."""

from __future__ import annotations

from pathlib import Path

from programs import INNER, assert_cut, faults, net, program, verdicts

from gradflow import Severity, Verdict


def test_a_detached_weight_in_functional_call_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            weights = {name: value.detach() for name, value in self.inner.named_parameters()}  # cut
            h = torch.func.functional_call(self.inner, weights, (x,))
            return self.outer(h)
        """,
    )
    assert_cut(subject, "detach")


def test_a_detach_in_a_thread_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def work(self, x, box):
            box.append(self.inner(x).detach())  # cut

        def forward(self, x):
            box = []
            worker = threading.Thread(target=self.work, args=(x, box))
            worker.start()
            worker.join()
            return self.outer(box[0])
        """,
        before="import threading",
    )
    assert_cut(subject, "detach")


def test_a_deep_copied_layer_severs_the_original(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            layer = copy.deepcopy(self.inner)  # cut
            return self.outer(layer(x))
        """,
        before="import copy",
    )
    assert subject.unreached() == INNER
    report = subject.watched()
    assert {name for name, verdict in verdicts(report).items() if verdict is Verdict.SEVERED} == INNER
    assert {finding.cause.line for finding in faults(report) if finding.cause} == {subject.line()}
    assert {finding.code for finding in faults(report)} <= {"GF101", "GF104"}
    assert {finding.severity for finding in faults(report)} == {Severity.ERROR}


def test_a_cut_in_a_helper_function_names_the_module_that_called_it(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            return self.outer(standardise(self.inner(x)))
        """,
        before="""
        def standardise(h):
            h = h - h.mean(-1, keepdim=True)
            return h.detach()  # cut
        """,
    )
    assert_cut(subject, "detach")
    cause = faults(subject.watched())[0].cause
    assert cause is not None
    assert cause.function == "standardise"
    assert cause.source.strip() == "return h.detach()  # cut"


def test_one_cut_that_kills_many_parameters_is_one_finding(tmp_path: Path) -> None:
    subject = program(
        tmp_path,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        model = nn.ModuleDict({"body": nn.Sequential(*[nn.Linear(4, 4) for _ in range(5)]), "head": nn.Linear(4, 1)})
        optimizer = torch.optim.Adam(model.parameters())
        x = torch.randn(8, 4)


        def train():
            for _ in range(3):
                optimizer.zero_grad()
                features = model["body"](x).detach()  # cut
                model["head"](features).pow(2).mean().backward()
                optimizer.step()
        """,
    )
    dead = frozenset(f"body.{i}.{kind}" for i in range(5) for kind in ("weight", "bias"))
    assert_cut(subject, "detach", dead, audit=False)


def test_two_cuts_on_two_branches_are_two_findings(tmp_path: Path) -> None:
    subject = program(
        tmp_path,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        model = nn.ModuleDict({name: nn.Linear(4, 4) for name in ("left", "right", "head")})
        optimizer = torch.optim.Adam(model.parameters())
        x = torch.randn(8, 4)


        def train():
            for _ in range(3):
                optimizer.zero_grad()
                left = model["left"](x).detach()  # first
                with torch.no_grad():  # second
                    right = model["right"](x)
                model["head"](left * right).pow(2).mean().backward()
                optimizer.step()
        """,
    )
    assert subject.unreached() == {"left.weight", "left.bias", "right.weight", "right.bias"}
    found = {finding.reason: finding for finding in faults(subject.watched())}
    assert {reason: finding.cause.line for reason, finding in found.items() if finding.cause} == {
        "detach": subject.line("# first"),
        "no-grad": subject.line("# second"),
    }
    assert set(found["detach"].parameters) == {"left.weight", "left.bias"}
    assert set(found["no-grad"].parameters) == {"right.weight", "right.bias"}


def test_the_branch_that_is_not_cut_keeps_the_layer_live(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            h = self.inner(x)
            return self.outer(h + h.detach())
        """,
    )
    assert subject.unreached() == set()
    report = subject.watched()
    assert set(verdicts(report).values()) == {Verdict.LIVE}
    assert faults(report) == []


def test_a_layer_that_is_never_called_is_unused_and_not_severed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            return self.outer(x)
        """,
    )
    assert subject.unreached() == INNER
    report = subject.watched()
    assert {name for name, verdict in verdicts(report).items() if verdict is Verdict.UNUSED} == INNER
    assert {finding.code for finding in faults(report)} == {"GF102"}
