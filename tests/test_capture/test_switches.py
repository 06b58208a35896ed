"""Gradients switched off around an operation: the line that switches them off is to blame."""

from __future__ import annotations

from pathlib import Path

from programs import assert_cut, net


def test_a_no_grad_block_severs_what_ran_inside_it(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            with torch.no_grad():  # cut
                h = self.inner(x)
            return self.outer(h)
        """,
    )
    assert_cut(subject, "no-grad")


def test_a_layer_before_the_block_is_severed_by_it_and_the_layer_after_learns(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            h = self.inner(x)
            with torch.no_grad():  # cut
                h = torch.tanh(h)
                h = h + 1
            return self.outer(h)
        """,
    )
    assert_cut(subject, "no-grad")


def test_a_no_grad_decorator_is_blamed_where_it_stands(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        @torch.no_grad()  # cut
        def encode(self, x):
            return self.inner(x)

        def forward(self, x):
            return self.outer(self.encode(x))
        """,
    )
    assert_cut(subject, "no-grad")


def test_a_set_grad_enabled_call_is_blamed_for_what_follows(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            torch.set_grad_enabled(False)  # cut
            h = self.inner(x)
            torch.set_grad_enabled(True)
            return self.outer(h)
        """,
    )
    assert_cut(subject, "no-grad")


def test_a_set_grad_enabled_block_is_blamed(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            with torch.set_grad_enabled(x is None):  # cut
                h = self.inner(x)
            return self.outer(h)
        """,
    )
    assert_cut(subject, "no-grad")


def test_enable_grad_inside_no_grad_severs_nothing_of_its_own(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            with torch.no_grad():  # cut
                h = self.inner(x)
                with torch.enable_grad():
                    return self.outer(h)
        """,
    )
    assert_cut(subject, "no-grad")


def test_an_inference_mode_decorator_is_blamed_where_it_stands(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        @torch.inference_mode()  # cut
        def encode(self, x):
            return self.inner(x)

        def forward(self, x):
            return self.outer(x + self.encode(x))
        """,
    )
    assert_cut(subject, "inference-mode")


def test_a_no_grad_object_made_elsewhere_is_blamed_at_the_with(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            with guard:  # cut
                h = self.inner(x)
            return self.outer(h)
        """,
        before="guard = torch.no_grad()",
    )
    assert_cut(subject, "no-grad")


def test_no_grad_on_an_exit_stack_is_blamed_where_it_is_entered(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            with contextlib.ExitStack() as stack:
                stack.enter_context(torch.no_grad())  # cut
                h = self.inner(x)
            return self.outer(h)
        """,
        before="import contextlib",
    )
    assert_cut(subject, "no-grad")


def test_a_value_added_in_place_under_no_grad_is_severed_by_the_block(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            h = x.clone()
            with torch.no_grad():  # cut
                h.add_(self.inner(x))
            return self.outer(h)
        """,
    )
    assert_cut(subject, "no-grad")


def test_a_value_written_to_out_under_no_grad_is_severed_by_the_block(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            h = torch.empty(8, 4)
            with torch.no_grad():  # cut
                torch.tanh(self.inner(x), out=h)
            return self.outer(h)
        """,
    )
    assert_cut(subject, "no-grad")


def test_a_view_taken_under_no_grad_is_severed_by_the_block(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            h = self.inner(x)
            with torch.no_grad():  # cut
                rows = h.view(2, 4, 4)
            return self.outer(rows.reshape(8, 4))
        """,
    )
    assert_cut(subject, "no-grad")


def test_a_frozen_layer_under_no_grad_is_frozen_and_no_fault(tmp_path: Path) -> None:
    subject = net(
        tmp_path,
        """
        def forward(self, x):
            self.inner.requires_grad_(False)
            with torch.no_grad():
                h = self.inner(x)
            return self.outer(h)
        """,
    )
    report = subject.watched()
    assert {row.name: row.verdict.value for row in report.parameters} == {
        "inner.weight": "frozen",
        "inner.bias": "frozen",
        "outer.weight": "live",
        "outer.bias": "live",
    }
    assert [finding.code for finding in report.findings if finding.code in ("GF101", "GF102")] == []
