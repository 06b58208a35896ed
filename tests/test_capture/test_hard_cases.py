"""Where a recorder is most easily blind: writes through aliases, transforms, scripted code, restricted and double backward passes."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
from programs import INNER, assert_cut, assert_healthy, faults, loop, net, program, verdicts
from test_leaves_as_found import Loop, audited, build, watched
from test_oddball_loops import FUNCTIONAL

from gradflow import Verdict
from gradflow.report import Role


def test_writing_through_data_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            h = x.clone()
            h.data.copy_(self.inner(x))  # cut
            return self.outer(h)
        """,
    )
    assert subject.unreached() == INNER
    report = subject.watched()
    assert [finding.reason for finding in faults(report)] in (["data"], ["overwrite"])
    assert [finding.cause.line for finding in faults(report) if finding.cause] == [subject.line()]
    assert {name for name, verdict in verdicts(report).items() if verdict is Verdict.SEVERED} == INNER


def test_a_write_through_an_untracked_alias_is_blamed_as_overwrite(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            h = x.clone()
            alias = h.detach()
            alias.copy_(self.inner(x))  # cut
            return self.outer(h)
        """,
    )
    assert_cut(subject, "overwrite")


def test_a_detach_under_vmap_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            return self.outer(torch.vmap(lambda row: row.detach() * 2)(self.inner(x)))  # cut
        """,
    )
    assert_cut(subject, "detach")


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_detach_in_a_scripted_function_is_blamed_where_it_is_called(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            return self.outer(halve(self.inner(x)))  # cut
        """,
        before="""
        @torch.jit.script
        def halve(h: torch.Tensor) -> torch.Tensor:
            return h.detach() * 0.5
        """,
    )
    assert_cut(subject, "detach")


def test_tolist_made_a_tensor_again_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            rows = self.inner(x).tolist()  # cut
            return self.outer(torch.tensor(rows))
        """,
    )
    assert_cut(subject, "host-scalar")


@pytest.mark.parametrize("run", [watched, audited], ids=["watch", "audit"])
def test_nothing_holds_the_model_afterwards(run: Loop) -> None:
    model, optimizer, x = build()
    run(model, optimizer, x)
    gone = weakref.ref(model)
    del model, optimizer
    gc.collect()
    assert gone() is None


def test_a_script_of_functional_training_ends_with_2_or_is_judged(tmp_path: Path) -> None:
    code, document = program(tmp_path, FUNCTIONAL).as_script()
    seen = {row["verdict"] for row in document["parameters"]}
    assert (code, seen) in ((2, {"unknown"}), (2, set()), (0, {"live"}))


def test_double_backward_of_a_gradient_penalty_is_healthy(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        optimizer.zero_grad()
        point = x.clone().requires_grad_()
        score = model(point)
        slope, = torch.autograd.grad(score.sum(), point, create_graph=True)
        loss = score.mean() + (slope.norm(dim=-1) - 1).pow(2).mean()
        loss.backward()
        optimizer.step()
        """,
    )
    assert_healthy(subject, subject.watched())


def test_a_penalty_without_create_graph_leaves_the_rest_of_the_loss_live(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        optimizer.zero_grad()
        point = x.clone().requires_grad_()
        score = model(point)
        slope, = torch.autograd.grad(score.sum(), point, retain_graph=True)
        loss = score.pow(2).mean() + slope.pow(2).mean()
        loss.backward()
        optimizer.step()
        """,
    )
    assert_healthy(subject, subject.watched())


def test_a_layer_left_out_of_backward_inputs_is_not_live_and_no_line_is_called_a_cut(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        optimizer.zero_grad()
        model(x).pow(2).mean().backward(inputs=list(model.outer.parameters()))
        optimizer.step()
        """,
    )
    assert subject.unreached() == {"inner.weight", "inner.bias"}
    report = subject.watched()
    assert verdicts(report) == {
        "inner.weight": Verdict.UNDEFINED,
        "inner.bias": Verdict.UNDEFINED,
        "outer.weight": Verdict.LIVE,
        "outer.bias": Verdict.LIVE,
    }
    assert "GF101" not in {finding.code for finding in report.findings}


def test_the_leak_of_a_no_grad_block_is_where_the_value_goes_on(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            with torch.no_grad():
                h = self.inner(x)
                h = h * 2
            return self.outer(h)  # leak
        """,
    )
    leaks = [entry.site.line for finding in subject.watched().findings for entry in finding.sites if entry.role is Role.LEAK]
    assert leaks in ([subject.line("# leak")], [subject.line("h * 2")])


def test_an_inference_mode_block_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            with torch.inference_mode():  # cut
                h = self.inner(x)
            return self.outer(x + h)
        """,
    )
    assert_cut(subject, "inference-mode")


def test_a_detach_inside_torch_func_grad_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            slope = torch.func.grad(lambda h: h.detach().mul(h).sum())(self.inner(x))  # cut
            return self.outer(slope)
        """,
    )
    assert_cut(subject, "no-derivative")  # what is cut is the gradient that comes out, all of it
