"""What to say of one cut that was read in the source: a few words for its line, and what to write instead."""

from __future__ import annotations

from gradflow.graph.flow import CutReason
from gradflow.static.machine import CutSite

_NOTES = {
    CutReason.DETACH: "returns a tensor without grad_fn",
    CutReason.DATA: "returns a tensor without grad_fn",
    CutReason.NUMPY: "leaves torch: an array has no grad_fn",
    CutReason.HOST_SCALAR: "leaves torch: a Python number has no grad_fn",
    CutReason.TENSOR_COPY: "copies the values, without their grad_fn",
    CutReason.PARAMETER_REWRAP: "makes a new leaf, without grad_fn",
    CutReason.INTEGER_CAST: "whole numbers carry no gradient",
    CutReason.NO_DERIVATIVE: "has no derivative",
    CutReason.CUSTOM_FUNCTION: "returns None where a gradient is waited for",
}

_CURES = {
    CutReason.DETACH: "remove `{label}` on line {line}",
    CutReason.DATA: "use the tensor itself in place of its `.data` on line {line}",
    CutReason.NUMPY: "compute with torch in place of numpy on line {line}",
    CutReason.HOST_SCALAR: "keep the tensor: remove `{label}` on line {line}, and call it only where a number is logged",
    CutReason.TENSOR_COPY: "replace `{label}` on line {line}: use the tensor itself, or `torch.stack` for a list of tensors",
    CutReason.PARAMETER_REWRAP: "use the tensor itself in place of `{label}` on line {line}",
    CutReason.INTEGER_CAST: "keep floating point in place of `{label}` on line {line}; to round in forward only, write "
    "`x + (x.round() - x).detach()`",
    CutReason.NO_DERIVATIVE: "take a differentiable operation in place of `{label}` on line {line}, or weigh what is chosen by its score",
    CutReason.CUSTOM_FUNCTION: "return the gradient of every differentiable input on line {line}",
}


def place_of(cut: CutSite) -> str:
    """What a region covers, in one word."""
    kind = cut.node.__class__.__name__
    return "block" if kind in ("With", "AsyncWith") else "function" if cut.label.startswith("@") else "region"


def note_of(cut: CutSite) -> str:
    """A few words that stand under the cut's line."""
    if not cut.region:
        return _NOTES.get(cut.reason, "autograd records nothing here")
    place = place_of(cut)
    return "autograd records nothing from here on" if place == "region" else f"autograd records nothing in this {place}"


def cure_of(cut: CutSite) -> str:
    """What to change so that the gradient passes: the second half of "to train it, ..."."""
    line = getattr(cut.node, "lineno", 1)
    if not cut.region:
        return _CURES.get(cut.reason, "do without `{label}` on line {line}").format(label=cut.label, line=line)
    place = place_of(cut)
    if place == "block":
        return f"take `{cut.label}` out of the `with` on line {line}"
    if place == "function":
        return f"remove the decorator `{cut.label}` on line {line}"
    return f"switch gradients back on after `{cut.label}` on line {line}"
