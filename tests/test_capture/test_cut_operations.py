"""One operation that lets the value through and not the gradient: its own line is to blame."""

from __future__ import annotations

from pathlib import Path

import pytest
from programs import INNER, assert_cut, faults, net, verdicts

from gradflow import Severity, Verdict


def test_detach_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            h = self.inner(x)
            h = h.detach()  # cut
            return self.outer(h)
        """,
    )
    assert_cut(subject, "detach")


def test_detach_in_place_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            h = self.inner(x)
            h.detach_()  # cut
            return self.outer(h)
        """,
    )
    assert_cut(subject, "detach")


def test_reading_data_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            h = self.inner(x)
            return self.outer(h.data)  # cut
        """,
    )
    assert_cut(subject, "data")


def test_assigning_data_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            h = x.clone()
            h.data = self.inner(x)  # cut
            return self.outer(h)
        """,
    )
    assert_cut(subject, "data")


def test_a_tracked_value_overwritten_in_place_has_a_zero_gradient_and_is_not_severed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            h = self.inner(x)
            h.zero_()
            return self.outer(h + x)
        """,
    )
    assert subject.unreached() == set()
    report = subject.watched()
    assert {name for name, verdict in verdicts(report).items() if verdict is Verdict.ZERO} == INNER
    assert "GF101" not in {finding.code for finding in report.findings}


@pytest.mark.filterwarnings("ignore:To copy construct from a tensor")
def test_torch_tensor_of_a_tensor_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            h = self.inner(x)
            return self.outer(torch.tensor(h))  # cut
        """,
    )
    assert_cut(subject, "tensor-copy")


def test_a_parameter_made_of_a_value_in_forward_severs_what_the_value_came_from(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            scale = nn.Parameter(self.inner(x).mean(0))  # cut
            return self.outer(x * scale)
        """,
    )
    assert subject.unreached() == INNER
    report = subject.watched()
    assert {name for name, verdict in verdicts(report).items() if verdict is Verdict.SEVERED} == INNER
    assert {finding.cause.line for finding in faults(report) if finding.cause} == {subject.line()}
    assert {finding.code for finding in faults(report)} <= {"GF101", "GF104"}
    assert {finding.reason for finding in faults(report) if finding.code == "GF101"} <= {"parameter-rewrap"}
    assert {finding.severity for finding in faults(report)} == {Severity.ERROR}


def test_an_integer_cast_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            levels = (10 * self.inner(x)).long()  # cut
            return self.outer(levels.float())
        """,
    )
    assert_cut(subject, "integer-cast")


def test_argmax_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            choice = self.inner(x).argmax(-1)  # cut
            return self.outer(nn.functional.one_hot(choice, 4).float())
        """,
    )
    assert_cut(subject, "no-derivative")


def test_a_comparison_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            gate = self.inner(x) > 0  # cut
            return self.outer(x * gate)
        """,
    )
    assert_cut(subject, "no-derivative")


def test_a_sample_of_a_distribution_is_blamed_on_the_line_that_draws_it(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            policy = torch.distributions.Normal(self.inner(x), 1.0)
            action = policy.sample()  # cut
            return self.outer(action)
        """,
    )
    assert_cut(subject, "no-derivative")


def test_a_custom_function_without_a_differentiable_output_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            return self.outer(Quantise.apply(self.inner(x)))  # cut
        """,
        before="""
        class Quantise(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                out = x.round()
                ctx.mark_non_differentiable(out)
                return out

            @staticmethod
            def backward(ctx, grad):
                return grad
        """,
    )
    assert_cut(subject, "custom-function")


def test_a_custom_backward_that_returns_none_is_a_dropped_gradient(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            return self.outer(Double.apply(self.inner(x)))
        """,
        before="""
        class Double(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, grad):
                return None  # cut
        """,
    )
    assert subject.unreached() == INNER
    report = subject.watched()
    assert {name for name, verdict in verdicts(report).items() if verdict is Verdict.UNDEFINED} == INNER
    assert [(finding.code, finding.severity, set(finding.parameters)) for finding in faults(report)] == [
        ("GF106", Severity.ERROR, set(INNER))
    ]
    assert [finding.cause.line for finding in faults(report) if finding.cause] == [subject.line()]


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_a_reentrant_checkpoint_whose_inputs_need_no_gradient_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            h = checkpoint(self.inner, x, use_reentrant=True)  # cut
            return self.outer(h)
        """,
        before="from torch.utils.checkpoint import checkpoint",
    )
    assert_cut(subject, "reentrant-checkpoint")
