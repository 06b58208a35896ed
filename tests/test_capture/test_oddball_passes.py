"""Unusual backward passes: checkpoints, double backward, several a step, chosen inputs, hooks on tensors."""

from __future__ import annotations

from pathlib import Path

import pytest
from programs import assert_cut, assert_healthy, loop, net, verdicts

from gradflow import Verdict


@pytest.mark.parametrize("reentrant", [True, False], ids=["reentrant", "non-reentrant"])
def test_a_checkpoint_whose_input_needs_a_gradient_is_healthy(tmp_path: Path, reentrant: bool) -> None:
    subject = net(
        tmp_path,
        f"""
        def forward(self, x):
            x = x.clone().requires_grad_()
            h = checkpoint(self.inner, x, use_reentrant={reentrant})
            return self.outer(h)
        """,
        before="from torch.utils.checkpoint import checkpoint",
    )
    assert_healthy(subject, subject.watched())
    assert_healthy(subject, subject.audited())


def test_a_non_reentrant_checkpoint_needs_no_gradient_on_its_inputs(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            return self.outer(checkpoint(self.inner, x, use_reentrant=False))
        """,
        before="from torch.utils.checkpoint import checkpoint",
    )
    assert_healthy(subject, subject.watched())


def test_a_detach_inside_a_non_reentrant_checkpoint_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def block(self, x):
            return self.inner(x).detach()  # cut

        def forward(self, x):
            return self.outer(checkpoint(self.block, x, use_reentrant=False))
        """,
        before="from torch.utils.checkpoint import checkpoint",
    )
    assert_cut(subject, "detach")


def test_retain_graph_and_two_backward_calls_on_one_loss_are_healthy(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        optimizer.zero_grad()
        loss = model(x).pow(2).mean()
        loss.backward(retain_graph=True)
        loss.backward()
        optimizer.step()
        """,
    )
    assert_healthy(subject, subject.watched())


def test_several_backward_calls_a_step_are_judged_together(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        optimizer.zero_grad()
        model.inner(x).pow(2).mean().backward()
        model.outer(x).pow(2).mean().backward()
        optimizer.step()
        """,
    )
    report = subject.watched()
    assert_healthy(subject, report)
    assert {row.live_in for row in report.parameters} == {(3, 3)}
    assert (report.backward_passes, report.optimizer_steps) == (6, 3)


def test_gradient_accumulation_is_judged_at_the_step(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        layers = (model.inner, model.outer)
        layers[step % 2](x).pow(2).mean().backward()
        layers[(step + 1) % 2](x).pow(2).mean().backward()
        optimizer.step()
        """,
    )
    report = subject.watched()
    assert_healthy(subject, report)
    assert {row.live_in for row in report.parameters} == {(3, 3)}


def test_a_layer_that_is_live_in_some_steps_is_live_and_counted(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        optimizer.zero_grad()
        h = model.inner(x) if step == 2 else x
        model.outer(h).pow(2).mean().backward()
        optimizer.step()
        """,
    )
    report = subject.watched()
    assert_healthy(subject, report)
    assert {row.name: row.live_in for row in report.parameters} == {
        "inner.weight": (1, 3),
        "inner.bias": (1, 3),
        "outer.weight": (3, 3),
        "outer.bias": (3, 3),
    }


def test_backward_into_all_parameters_by_name_is_healthy(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        optimizer.zero_grad()
        model(x).pow(2).mean().backward(inputs=list(model.parameters()))
        optimizer.step()
        """,
    )
    assert_healthy(subject, subject.watched())


def test_gradients_by_autograd_grad_that_the_user_assigns_are_healthy(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        gradients = torch.autograd.grad(model(x).pow(2).mean(), list(model.parameters()))
        for parameter, gradient in zip(model.parameters(), gradients):
            parameter.grad = gradient
        optimizer.step()
        """,
    )
    assert_healthy(subject, subject.watched())


def test_tensor_hooks_that_change_a_gradient_are_healthy(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        optimizer.zero_grad()
        h = model.inner(x)
        h.register_hook(lambda grad: grad.clamp(-1, 1))
        h.retain_grad()
        model.outer(h).pow(2).mean().backward()
        assert h.grad is not None
        optimizer.step()
        """,
    )
    assert_healthy(subject, subject.watched())


def test_a_tensor_hook_that_zeroes_a_gradient_gives_zero_and_no_cut(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        optimizer.zero_grad()
        h = model.inner(x)
        h.register_hook(lambda grad: grad * 0)
        model.outer(h).pow(2).mean().backward()
        optimizer.step()
        """,
    )
    assert subject.unreached() == set()
    report = subject.watched()
    assert verdicts(report)["inner.weight"] is Verdict.ZERO
    assert verdicts(report)["outer.weight"] is Verdict.LIVE
    assert "GF101" not in {finding.code for finding in report.findings}


def test_a_gradient_with_nan_is_nonfinite(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        optimizer.zero_grad()
        model.inner(x).mul(0).sqrt().mul(0).sum().backward()
        model.outer(x).pow(2).mean().backward()
        optimizer.step()
        """,
    )
    assert subject.unreached() == set()
    report = subject.watched()
    assert {name: verdicts(report)[name] for name in ("inner.weight", "outer.weight")} == {
        "inner.weight": Verdict.NONFINITE,
        "outer.weight": Verdict.LIVE,
    }
