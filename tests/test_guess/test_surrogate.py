"""The loss that stands in: what it is of each kind of output, and that it reaches everything that the output holds."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, namedtuple
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import distributions
from torch.nn.utils.rnn import pack_sequence

from gradflow.capture.surrogate import floats_in, project


@dataclasses.dataclass
class Output:
    logits: torch.Tensor
    hidden: tuple[torch.Tensor, ...] = ()


class Graph:
    """As torch_geometric's Data, whose attributes lie in a store."""

    def __init__(self, **tensors: torch.Tensor) -> None:
        self.__dict__["_store"] = tensors


Pair = namedtuple("Pair", "first second")


def _reached(output: Any, *leaves: torch.Tensor) -> list[bool]:
    """Whether the loss of the output gives each leaf a gradient that is not all zero."""
    loss = project(output)
    assert loss is not None and loss.shape == ()
    return [grad is not None and bool(grad.abs().sum() > 0) for grad in torch.autograd.grad(loss, leaves, allow_unused=True)]


def _two() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, 3, requires_grad=True), torch.randn(4, requires_grad=True)


@pytest.mark.parametrize(
    "pack",
    [
        lambda a, b: (a, [b, {"x": 1}]),
        lambda a, b: {"a": a, "b": {"c": (b,)}},
        lambda a, b: OrderedDict(a=a, b=b),
        lambda a, b: Output(a, (b,)),
        lambda a, b: Pair(a, b),
        lambda a, b: [a, b[:2], b[2:], torch.arange(3), None, "text"],
        lambda a, b: SimpleNamespace(a=a, b=[b]),
        lambda a, b: Graph(x=a, edge_attr=b, edge_index=torch.zeros(2, 3, dtype=torch.int64)),
        lambda a, b: (torch.complex(a, a), b),
        lambda a, b: (distributions.Normal(a, a.exp()), b),
        lambda a, b: [distributions.Categorical(logits=a), distributions.Bernoulli(probs=b.sigmoid())],
        lambda a, b: distributions.Independent(distributions.Normal(a.sum() + b, 1.0), 1),
        lambda a, b: pack_sequence([a.reshape(-1, 1), b.reshape(-1, 1)], enforce_sorted=False),
        lambda a, b: (a.to_sparse(), b),
    ],
)
def test_everything_that_an_output_holds_is_reached(pack: Any) -> None:
    first, second = _two()
    assert _reached(pack(first, second), first, second) == [True, True]


def test_the_outputs_own_loss_is_taken() -> None:
    first, second = _two()
    output = SimpleNamespace(loss=first.sum().reshape(1), logits=second)
    assert _reached(output, first, second) == [True, False]
    assert _reached({"loss": second.sum(), "logits": first}, first, second) == [False, True]


def test_a_loss_that_is_no_single_number_is_one_tensor_of_the_output() -> None:
    first, second = _two()
    assert _reached({"loss": first, "more": second}, first, second) == [True, True]


def test_the_only_scalar_is_the_loss_itself() -> None:
    value = torch.tensor([[3.0]], requires_grad=True)
    assert project((value,)).item() == 3.0  # type: ignore[union-attr]


def test_a_projection_is_the_same_each_time_and_leaves_the_rng_alone() -> None:
    first, _ = _two()
    state = torch.get_rng_state()
    assert project(first).item() == project(first).item()  # type: ignore[union-attr]
    assert torch.equal(state, torch.get_rng_state())


def test_a_projection_is_not_blind_to_what_a_sum_is_blind_to() -> None:
    leaf = torch.randn(2, 5, requires_grad=True)
    assert _reached(torch.softmax(leaf, -1), leaf) == [True]


@pytest.mark.parametrize("output", [None, "text", torch.arange(3), [], {"a": 1}, torch.zeros(0), lambda: torch.zeros(3)])
def test_an_output_without_a_floating_tensor_has_no_loss(output: Any) -> None:
    assert project(output) is None


def test_an_output_that_holds_itself_has_an_end_and_each_tensor_counts_once() -> None:
    first, _ = _two()
    ring: list[Any] = [first, first]
    ring.append(ring)
    assert len(floats_in(ring)) == 1


def test_a_cache_for_the_next_call_is_no_output() -> None:
    logits, key = torch.ones(2, 3), torch.ones(2, 5)
    assert [tensor.shape for tensor in floats_in({"logits": logits, "past_key_values": [(key, key)], "mems": (key,)})] == [(2, 3)]
