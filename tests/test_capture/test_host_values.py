"""Values that leave torch: followed where the source shows their way, and never changed in type or value."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from programs import assert_cut, net, program

import gradflow


def test_item_used_in_the_loss_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            ce = self.outer(x).pow(2).mean()
            aux = self.inner(x).pow(2).mean()
            return ce + 0.1 * aux.item()  # cut
        """,
    )
    assert_cut(subject, "host-scalar")


def test_item_kept_in_a_variable_before_it_joins_the_loss_is_blamed(tmp_path: Path) -> None:
    subject = program(
        tmp_path,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        model = nn.ModuleDict({"inner": nn.Linear(4, 4), "outer": nn.Linear(4, 1)})
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        x = torch.randn(8, 4)


        def train():
            for _ in range(3):
                optimizer.zero_grad()
                ce = model["outer"](x).pow(2).mean()
                aux = model["inner"](x).pow(2).mean().item()  # cut
                weighted = 0.1 * aux
                total = ce + weighted
                total.backward()
                optimizer.step()
        """,
    )
    assert_cut(subject, "host-scalar", audit=False)


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True to a scalar")
def test_float_of_a_tensor_in_the_loss_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            aux = float(self.inner(x).pow(2).mean())  # cut
            return self.outer(x).pow(2).mean() * aux
        """,
    )
    assert_cut(subject, "host-scalar")


def test_a_numpy_round_trip_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            array = self.inner(x).detach().numpy()  # cut
            return self.outer(torch.from_numpy(array))
        """,
    )
    assert_cut(subject, "numpy")


def test_a_numpy_round_trip_through_numpy_arithmetic_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            array = self.inner(x).detach().cpu().numpy()  # cut
            squashed = np.tanh(array)
            return self.outer(torch.from_numpy(squashed))
        """,
        before="import numpy as np",
    )
    assert_cut(subject, "numpy")


def test_an_item_that_is_only_printed_is_no_fault(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            h = self.inner(x)
            self.seen = f"{h.norm().item():.3f} {float(h.mean())}"
            return self.outer(h)
        """,
    )
    report = subject.watched()
    assert {row.verdict.value for row in report.parameters} == {"live"}
    assert report.ok


def _leave(model: torch.nn.Module, x: torch.Tensor) -> dict[str, object]:
    """What a program gets when values leave torch while it is watched."""
    seen: dict[str, object] = {}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradflow.watch(model, optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(x).pow(2).mean()
            loss.backward()
            optimizer.step()
            detached = loss.detach()
            rows = model(x).tolist()
            seen = {
                "item": loss.item(),
                "float": float(detached),
                "int": int(detached),
                "bool": bool(detached > 0),
                "list": rows,
                "row": rows[0],
                "cell": rows[0][0],
                "array": model(x).detach().numpy(),
                "asarray": np.asarray(model(x).detach()),
                "text": f"{loss:.3f}",
                "tensor": loss,
            }
    return seen


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("item", float),
        ("float", float),
        ("int", int),
        ("bool", bool),
        ("list", list),
        ("row", list),
        ("cell", float),
        ("array", np.ndarray),
        ("asarray", np.ndarray),
        ("text", str),
        ("tensor", torch.Tensor),
    ],
)
def test_a_value_that_leaves_torch_has_exactly_its_plain_type(name: str, kind: type) -> None:
    torch.manual_seed(0)
    assert type(_leave(torch.nn.Linear(4, 2), torch.randn(8, 4))[name]) is kind


def test_no_attribute_is_left_on_a_tensor() -> None:
    torch.manual_seed(0)
    loss = _leave(torch.nn.Linear(4, 2), torch.randn(8, 4))["tensor"]
    assert isinstance(loss, torch.Tensor)
    assert vars(loss) == {}


def test_a_saved_loss_loads_with_weights_only(tmp_path: Path) -> None:
    model = torch.nn.Linear(4, 2)
    with gradflow.watch(model):
        loss = model(torch.ones(3, 4)).pow(2).mean()
        loss.backward()
        torch.save({"loss": loss.item(), "state": model.state_dict(), "rows": loss.detach()}, tmp_path / "best.pt")
    loaded = torch.load(tmp_path / "best.pt", weights_only=True)
    assert loaded["loss"] == loss.item()
    assert torch.equal(loaded["state"]["weight"], model.weight)


def test_a_pickle_is_read_by_a_process_without_gradflow(tmp_path: Path) -> None:
    seen = _leave(torch.nn.Linear(4, 2), torch.ones(3, 4))
    del seen["tensor"]
    (tmp_path / "values.pkl").write_bytes(pickle.dumps(seen))
    reader = "import pickle, sys; sys.modules['gradflow'] = None; print(sorted(pickle.load(open(sys.argv[1], 'rb'))))"
    done = subprocess.run([sys.executable, "-c", reader, str(tmp_path / "values.pkl")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, str(sorted(seen))), done.stderr


def test_a_script_pickles_and_saves_what_a_process_without_gradflow_reads(tmp_path: Path) -> None:
    subject = program(
        tmp_path,
        """
        import pickle
        import torch

        model = torch.nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(3):
            optimizer.zero_grad()
            loss = model(torch.ones(3, 4)).pow(2).mean()
            loss.backward()
            with open("values.pkl", "wb") as file:
                pickle.dump([loss.item(), float(loss), model.weight.tolist(), model.weight.detach().numpy()], file)
            torch.save({"loss": loss.item(), "model": model.state_dict()}, "new.pt")
            optimizer.step()
        """,
    )
    assert subject.as_script()[0] == 0
    reader = (
        "import pickle, sys, torch; sys.modules['gradflow'] = None; values = pickle.load(open('values.pkl', 'rb'));"
        "print([type(v).__name__ for v in values], sorted(torch.load('new.pt', weights_only=True)))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", reader]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.stdout.strip() == "['float', 'float', 'list', 'ndarray'] ['loss', 'model']", done.stderr


def test_an_auxiliary_loss_read_by_item_is_blamed_though_its_own_call_has_default_numbers(tmp_path: Path) -> None:
    subject = program(
        tmp_path,
        """
        import torch
        import torch.nn.functional as F

        torch.manual_seed(0)

        class Two(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.body, self.main, self.side = torch.nn.Linear(6, 8), torch.nn.Linear(8, 3), torch.nn.Linear(8, 3)

            def forward(self, x):
                h = torch.relu(self.body(x))
                return self.main(h), self.side(h)

        model = Two()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(3):
            scores, side = model(torch.randn(4, 6))
            labels = torch.randint(0, 3, (4,))
            side_loss = F.cross_entropy(side, labels).item()  # cut
            loss = F.cross_entropy(scores, labels) + 0.4 * side_loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
    )
    code, document = subject.as_script()
    found = [finding for finding in document["findings"] if finding["severity"] == "error"]
    assert code == 1
    assert [(finding["code"], finding["reason"], finding["parameters"]) for finding in found] == [
        ("GF101", "host-scalar", ["side.weight", "side.bias"])
    ]
