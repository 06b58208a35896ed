"""Unusual ways of training: closures, functional calls, updates by hand, whole scripts."""

from __future__ import annotations

from pathlib import Path

from programs import assert_cut, assert_healthy, faults, loop, net, program, verdicts

from gradflow import Verdict


def test_an_lbfgs_closure_is_healthy(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        def closure():
            optimizer.zero_grad()
            loss = (model(x) - 1).pow(2).mean()
            loss.backward()
            return loss

        optimizer.step(closure)
        """,
        optimizer="torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)",
    )
    report = subject.watched()
    assert_healthy(subject, report)
    assert report.optimizer_steps == 3


def test_an_inner_gradient_by_torch_func_is_healthy(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            slope = torch.func.vmap(torch.func.grad(lambda h: h.pow(3).sum()))(self.inner(x))
            return self.outer(slope)
        """,
    )
    assert_healthy(subject, subject.watched())
    assert_healthy(subject, subject.audited())


def test_vmap_over_an_ensemble_is_healthy(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            h = torch.vmap(lambda w: x @ w.T + self.inner.bias)(self.inner.weight.unsqueeze(0))
            return self.outer(h[0])
        """,
    )
    assert_healthy(subject, subject.watched())


def test_training_by_functional_call_and_backward_is_healthy(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        optimizer.zero_grad()
        weights = dict(model.named_parameters())
        torch.func.functional_call(model, weights, (x,)).pow(2).mean().backward()
        optimizer.step()
        """,
    )
    assert_healthy(subject, subject.watched())


FUNCTIONAL = """
import torch
from torch import nn
from torch.func import functional_call, grad

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
optimizer = None
x = torch.randn(8, 4)


def cost(weights):
    return functional_call(model, weights, (x,)).pow(2).mean()


def train():
    weights = {name: value.detach() for name, value in model.named_parameters()}
    for _ in range(4):
        slopes = grad(cost)(weights)
        weights = {name: value - 0.1 * slopes[name] for name, value in weights.items()}


if __name__ == "__main__":
    train()
"""


def test_functional_training_is_never_called_clean_without_being_judged(tmp_path: Path) -> None:
    subject = program(tmp_path, FUNCTIONAL)
    report = subject.watched()
    seen = set(verdicts(report).values())
    assert seen in ({Verdict.LIVE}, {Verdict.UNKNOWN}, set())
    assert report.ok is (seen == {Verdict.LIVE})
    assert "GF101" not in {finding.code for finding in report.findings}


BY_HAND = """
import torch
from torch import nn

torch.manual_seed(0)
model = nn.ModuleDict({{"inner": nn.Linear(4, 4), "outer": nn.Linear(4, 1)}})
optimizer = None
x = torch.randn(8, 4)


def train():
    for _ in range(3):
        model.zero_grad()
        h = model["inner"](x){cut}
        model["outer"](h).pow(2).mean().backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter -= 0.1 * parameter.grad


if __name__ == "__main__":
    train()
"""


def test_hand_written_sgd_is_healthy(tmp_path: Path) -> None:
    subject = program(tmp_path, BY_HAND.format(cut=""))
    assert_healthy(subject, subject.watched())


def test_a_cut_in_hand_written_sgd_is_blamed(tmp_path: Path) -> None:
    subject = program(tmp_path, BY_HAND.format(cut=".detach()  # cut"))
    assert_cut(subject, "detach", audit=False)


def test_a_script_of_hand_written_sgd_is_judged_without_an_optimizer(tmp_path: Path) -> None:
    healthy, cut = program(tmp_path, BY_HAND.format(cut="")).as_script(), program(tmp_path, BY_HAND.format(cut=".detach()")).as_script()
    assert (healthy[0], cut[0]) == (0, 1)
    assert {row["verdict"] for row in healthy[1]["parameters"]} == {"live"}
    assert {row["name"]: row["verdict"] for row in cut[1]["parameters"]}["inner.weight"] == "severed"


def test_data_parallel_without_a_device_keeps_the_models_own_names(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        optimizer.zero_grad()
        parallel(x).pow(2).mean().backward()
        optimizer.step()
        """,
        optimizer="torch.optim.SGD(model.parameters(), lr=0.1)\nparallel = nn.DataParallel(model)",
    )
    assert_healthy(subject, subject.watched())


def test_faults_of_a_script_are_the_same_as_of_its_loop(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            with torch.no_grad():  # cut
                h = self.inner(x)
            return self.outer(h)
        """,
    )
    watched = subject.watched()
    subject.path.write_text(subject.path.read_text() + "\n\ntrain()\n")
    code, document = subject.as_script()
    assert code == 1
    assert [(finding["code"], finding["reason"], sorted(finding["parameters"])) for finding in document["findings"]] == [
        (finding.code, finding.reason, sorted(finding.parameters)) for finding in watched.findings
    ]
    causes = [site["line"] for finding in document["findings"] for site in finding["sites"] if site["role"] == "cause"]
    assert causes == [finding.cause.line for finding in faults(watched) if finding.cause] == [subject.line()]
