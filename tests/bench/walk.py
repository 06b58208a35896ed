"""The walk over autograd's graph, and blame, on a million nodes: `python tests/bench/walk.py [NODES]`. Prints a table, asserts nothing.

The graph is one chain of additions that all take the same weight, which is also the longest path that can be. Megabytes are the growth of
the process's peak over what it held before, so a later row counts only what goes beyond the rows before it.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import torch

from gradflow.capture.training.autograd_walk import walk
from gradflow.graph.blame import blame
from gradflow.graph.flow import CutReason, EdgeKind, FlowGraph, FlowGraphBuilder, Node, NodeKind

T = TypeVar("T")

UNIT = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there, in KiB elsewhere


def peak() -> float:
    """The largest resident size of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / UNIT


def measured(name: str, work: Callable[[], T]) -> T:
    """Does the work, and prints its seconds of CPU and its MiB."""
    before, started = peak(), time.process_time()
    result = work()
    print(f"{name:<48}{time.process_time() - started:>8.2f}{peak() - before:>8.0f}", flush=True)
    return result


def chain(nodes: int) -> torch.Tensor:
    """A loss behind `nodes` additions of one weight."""
    weight = torch.ones(1, requires_grad=True)
    value = torch.zeros(1)
    for _ in range(nodes):
        value = value + weight
    return value


def cut_graph(nodes: int) -> FlowGraph:
    """A chain of operations that is cut at every thousandth, behind one parameter."""
    builder = FlowGraphBuilder()
    cuts = [builder.cut(CutReason.DETACH, None, f"cut {number}") for number in range(8)]
    before = builder.node(Node(NodeKind.PARAMETER, "weight", parameter=0))
    operation = Node(NodeKind.OPERATION, "add")
    for number in range(nodes):
        after = builder.node(operation)
        is_cut = number % 1000 == 0
        builder.edge(before, after, EdgeKind.CUT if is_cut else EdgeKind.LIVE, cuts[number // 1000 % 8] if is_cut else -1)
        before = after
    builder.losses.append(before)
    return builder.build()


def deepen_stack() -> None:
    """Lets the stack grow to 1 GiB: in torch 2.13 a node that Python has seen frees its neighbours by recursion, 160 bytes a node."""
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = 2**30
    resource.setrlimit(resource.RLIMIT_STACK, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def measure_walk(nodes: int) -> None:
    """The rows of the walk, and of the backward pass beside it."""
    deepen_stack()
    loss = measured("the program itself makes the graph", lambda: chain(nodes))
    found = measured("walk", lambda: walk([loss.grad_fn]))
    print(f"{'':<4}{len(found.kinds):,} nodes, {len(found.heads):,} edges, {len(found.leaves)} leaf")
    measured("backward, for comparison", loss.backward)


def measure_blame(nodes: int) -> None:
    """The rows of the flow graph, and of the blame in it."""
    graph = measured("flow graph of the same size, built and checked", lambda: cut_graph(nodes))
    blames = measured("blame", lambda: blame(graph, frozenset({0})))
    print(f"{'':<4}{len(blames[0].crossings):,} cuts on the way")


def main() -> None:
    """Prints the table. Each part has a process of its own, so that its peak is not hidden under the other's."""
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(f"{f'{nodes:,} nodes':<48}{'seconds':>8}{'MiB':>8}", flush=True)
    for part in (measure_walk, measure_blame):
        process = multiprocessing.get_context("spawn").Process(target=part, args=(nodes,))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
