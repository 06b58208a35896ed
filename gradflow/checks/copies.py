"""Parameters that have a part in a loss only through a copy of them: a moving average with which the loss is computed by mistake. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from gradflow.graph.blame import incoming
from gradflow.graph.flow import FlowGraph
from gradflow.graph.recording import ParameterFact, Recording
from gradflow.verdict import live_steps

_LEAST_STEPS = 2
"""A copy that gets a gradient in one step only was made for that step (an adapted model), and not kept beside the original."""


def only_copied(recording: Recording, candidates: Iterable[int]) -> dict[int, str]:
    """By parameter (index), of `candidates`, the name of the copy without which its value would have no part in any loss.

    A copy is the parameter of the same name in a twin of its module, written by the program between steps, that gets gradients itself.
    """
    facts = recording.parameters
    written = [i for i, fact in enumerate(facts) if fact.written and fact.twin and live_steps(fact) >= _LEAST_STEPS]
    copies = {i: copy for i in candidates if facts[i].twin for copy in written if _is_copy(facts[i], facts[copy])}
    if not copies:
        return {}
    reached = _upstream_around(recording.graph, frozenset(copies.values()))
    direct = {node.parameter for number, node in enumerate(recording.graph.nodes) if reached[number]}
    return {index: facts[copy].name for index, copy in copies.items() if index not in direct}


def _is_copy(fact: ParameterFact, other: ParameterFact) -> bool:
    path = other.name.removeprefix(fact.twin)
    return other.name.startswith(f"{fact.twin}.") and fact.name.endswith(path) and fact.shape == other.shape and fact.name != other.name


def _upstream_around(graph: FlowGraph, blocked: frozenset[int]) -> bytearray:
    """One byte a node: 1 where its value has a part in a loss by a way that passes none of the parameters `blocked` (indices)."""
    offsets, edges = incoming(graph)
    seen = bytearray(len(graph.nodes))
    for loss in graph.losses:
        seen[loss] = 1
    for node in range(max(graph.losses, default=-1), -1, -1):
        if seen[node] and graph.nodes[node].parameter not in blocked:
            for edge in edges[offsets[node] : offsets[node + 1]]:
                seen[graph.sources[edge]] = 1
    return seen
