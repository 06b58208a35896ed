"""Zero gradients that are no fault: a bias that a normalisation takes out again, and a layer next to a weight that starts as zero. Pure."""

from __future__ import annotations

from gradflow.checks.base import Case
from gradflow.graph.blame import incoming
from gradflow.graph.flow import FlowGraph, NodeKind
from gradflow.graph.recording import ParameterFact, Trouble
from gradflow.verdict import Verdict, judge_step

_PLAIN_LAYERS = (
    "Linear",
    "NonDynamicallyQuantizableLinear",
    "Bilinear",
    "MultiheadAttention",
    "Conv",
    "BatchNorm",
    "LayerNorm",
    "GroupNorm",
)


def redundant(case: Case) -> list[int]:
    """Indices of parameters, not said yet, to which the loss is invariant: their gradient is a sum that cancels.

    Told by rounding noise under the relative floor in some step; or by a plain layer's bias that gets exactly zero while the weight beside
    it learns, as whatever comes to the output comes to both.
    """
    zero = case.free(Verdict.ZERO)
    noisy = [i for i in case.free(Verdict.LIVE) if _is_noise(case.facts[i])]
    if not zero and not noisy:
        return []
    learning = {_owner(fact) for fact, verdict in zip(case.facts, case.verdicts, strict=True) if verdict is Verdict.LIVE}
    cancelled = [i for i in zero if _is_noise(case.facts[i]) or (_is_plain_bias(case.facts[i]) and _owner(case.facts[i]) in learning)]
    return sorted(cancelled + noisy)


def _owner(fact: ParameterFact) -> tuple[str, str]:
    return fact.root, fact.owner


def _is_noise(fact: ParameterFact) -> bool:
    return any(step.grad_norm for step in fact.steps if judge_step(step) is Verdict.ZERO)


def _is_plain_bias(fact: ParameterFact) -> bool:
    return fact.name.endswith("bias") and fact.owner_class.startswith(_PLAIN_LAYERS)


def zero_at_start(case: Case) -> list[int]:
    """Indices of parameters, not said yet, that can become live: zero in the first steps and live in all later ones; or zero so far, at an
    operation that takes an all-zero parameter which learns itself (the second factor of LoRA, a gain of zero)."""
    return sorted([i for i in case.free(Verdict.LIVE) if _zero_then_live(case.facts[i])] + _beside_zeros(case))


def _zero_then_live(fact: ParameterFact) -> bool:
    each = [judge_step(step) for step in fact.steps]
    first = next((number for number, verdict in enumerate(each) if verdict is Verdict.LIVE), 0)
    exactly = all(v is Verdict.ZERO and not step.grad_norm for v, step in zip(each[:first], fact.steps, strict=False))
    return first > 0 and exactly and all(v is Verdict.LIVE for v in each[first:])


def _beside_zeros(case: Case) -> list[int]:
    zero = frozenset(case.free(Verdict.ZERO))
    origins = [entry for entry in case.recording.origins if entry.trouble is Trouble.ZERO and entry.node >= 0] if zero else []
    found: set[int] = set()
    if origins:
        offsets, edges = incoming(case.graph)
        for origin in origins:
            taken = _taken_by(case.graph, origin.node, offsets, edges)
            if any(is_zero_and_learns(case, index) for index in taken):
                found |= zero.intersection(origin.parameters)
    return sorted(found)


def _taken_by(graph: FlowGraph, node: int, offsets: object, edges: object) -> set[int]:
    """The parameters that `node` takes, as they are or through one operation (`tanh(alpha) * x`)."""
    assert isinstance(offsets, type(graph.sources)) and isinstance(edges, type(graph.sources))
    found: set[int] = set()
    for edge in edges[offsets[node] : offsets[node + 1]]:
        source = graph.sources[edge]
        before = [source, *(graph.sources[other] for other in edges[offsets[source] : offsets[source + 1]])]
        found.update(graph.nodes[number].parameter for number in before if graph.nodes[number].kind is NodeKind.PARAMETER)
    return found


def is_zero_and_learns(case: Case, index: int) -> bool:
    """Whether the parameter is a weight that is all zero, and gets a gradient: its first update ends that."""
    fact = case.facts[index]
    return fact.weight_norm == 0.0 and case.verdicts[index] is Verdict.LIVE and not fact.name.endswith("bias")
