"""Unusual models: tied and parametrized weights, sparse gradients, lazy shapes, complex numbers, autocast."""

from __future__ import annotations

from pathlib import Path

from programs import assert_cut, assert_healthy, loop, net, program, verdicts


def test_tied_weights_are_one_parameter_and_live(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        optimizer.zero_grad()
        model(x).pow(2).mean().backward()
        optimizer.step()
        """,
        methods="""
        def tie(self):
            self.head = nn.Linear(4, 4)
            self.head.weight = self.inner.weight
            return self

        def forward(self, x):
            return self.outer(self.head(torch.tanh(self.inner(x))))
        """,
    )
    text = subject.path.read_text().replace("model = Net()", "model = Net().tie()")
    subject.path.write_text(text)
    assert_healthy(subject, subject.watched())
    assert_healthy(subject, subject.audited())


def test_a_tied_weight_that_is_cut_on_one_use_is_live_by_the_other(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            with torch.no_grad():
                h = nn.functional.linear(x, self.inner.weight)
            return self.outer(h + self.inner(x))
        """,
    )
    assert_healthy(subject, subject.watched())


def test_a_parametrized_weight_norm_is_healthy(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            return self.outer(self.inner(x))
        """,
        before="from torch.nn.utils.parametrizations import weight_norm",
    )
    subject.path.write_text(subject.path.read_text().replace("model = Net()", "model = Net()\nweight_norm(model.inner)"))
    report = subject.watched()
    assert_healthy(subject, report)
    assert "inner.parametrizations.weight.original0" in verdicts(report)
    assert_healthy(subject, subject.audited())


def test_sparse_embedding_gradients_are_healthy(tmp_path: Path) -> None:
    subject = program(
        tmp_path,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        model = nn.Sequential(nn.Embedding(10, 4, sparse=True), nn.Flatten(), nn.Linear(12, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        x = torch.tensor([[1, 2, 2], [3, 4, 1]])


        def train():
            for _ in range(3):
                optimizer.zero_grad()
                model(x).pow(2).mean().backward()
                optimizer.step()
        """,
    )
    report = subject.watched()
    assert_healthy(subject, report)
    assert next(row.grad_norm for row in report.parameters if row.name == "0.weight")
    assert_healthy(subject, subject.audited())


def test_a_lazy_layer_that_gets_its_shape_while_watched_is_healthy(tmp_path: Path) -> None:
    subject = program(
        tmp_path,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        model = nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        x = torch.randn(8, 5)


        def train():
            for _ in range(3):
                optimizer.zero_grad()
                model(x).pow(2).mean().backward()
                optimizer.step()
        """,
    )
    report = subject.watched()
    assert_healthy(subject, report)
    assert next(row.shape for row in report.parameters if row.name == "0.weight") == (4, 5)


def test_a_lazy_layer_is_audited_as_a_live_object(tmp_path: Path) -> None:
    subject = program(
        tmp_path,
        """
        import torch
        from torch import nn

        torch.manual_seed(0)
        model = nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 1))
        optimizer = None
        x = torch.randn(8, 5)


        def train():
            model(x).pow(2).mean().backward()
        """,
    )
    assert_healthy(subject, subject.audited(steps=1, with_optimizer=False))


def test_complex_numbers_are_healthy(tmp_path: Path) -> None:
    subject = program(
        tmp_path,
        """
        import torch
        from torch import nn


        class Spectral(nn.Module):
            def __init__(self):
                super().__init__()
                self.filter = nn.Parameter(torch.randn(3, dtype=torch.cfloat))
                self.shift = nn.Parameter(torch.zeros(3, dtype=torch.cfloat))
                self.head = nn.Linear(4, 1)

            def forward(self, x):
                spectrum = torch.fft.rfft(x) * self.filter + self.shift
                return self.head(torch.fft.irfft(spectrum, n=4))


        torch.manual_seed(0)
        model = Spectral()
        optimizer = torch.optim.Adam(model.parameters())
        x = torch.randn(8, 4)


        def train():
            for _ in range(3):
                optimizer.zero_grad()
                model(x).pow(2).mean().backward()
                optimizer.step()
        """,
    )
    assert_healthy(subject, subject.watched())
    assert_healthy(subject, subject.audited())


def test_bf16_autocast_is_healthy(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(x).float().pow(2).mean()
        loss.backward()
        optimizer.step()
        """,
    )
    assert_healthy(subject, subject.watched())


def test_a_cut_under_autocast_is_blamed(tmp_path: Path) -> None:
    subject = loop(
        tmp_path,
        """
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            h = model.inner(x).detach()  # cut
            loss = model.outer(h).float().pow(2).mean()
        loss.backward()
        optimizer.step()
        """,
    )
    assert_cut(subject, "detach", audit=False)
