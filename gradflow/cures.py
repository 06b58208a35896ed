"""What to say of one cut: a few words for its line, and what to write instead, by reason."""

from __future__ import annotations

from gradflow.graph.flow import Cut, CutReason
from gradflow.graph.site import Site

_NOTES = {
    CutReason.DETACH: "returns a tensor without grad_fn",
    CutReason.DATA: "returns a tensor without grad_fn",
    CutReason.NUMPY: "leaves torch: an array has no grad_fn",
    CutReason.HOST_SCALAR: "leaves torch: a Python number has no grad_fn",
    CutReason.TENSOR_COPY: "copies the values, without their grad_fn",
    CutReason.PARAMETER_REWRAP: "makes a new leaf, without grad_fn",
    CutReason.INTEGER_CAST: "whole numbers carry no gradient",
    CutReason.NO_DERIVATIVE: "has no derivative",
    CutReason.CUSTOM_FUNCTION: "returns a tensor without grad_fn",
    CutReason.REENTRANT_CHECKPOINT: "runs without a graph, as none of its inputs requires grad",
    CutReason.OVERWRITE: "writes over the values",
}


COMPILED = "compiled "
"""With this the name of a call begins that ran what `torch.compile` made of it: no line inside of it was seen."""


def _is_compiled(cut: Cut) -> bool:
    return cut.reason is CutReason.NO_DERIVATIVE and label_of(cut).startswith(COMPILED)


def is_decorator(site: Site | None) -> bool:
    """Whether the line of `site` is a decorator."""
    return site is not None and site.source.strip().startswith("@")


def is_with(site: Site | None) -> bool:
    """Whether the line of `site` opens a `with` block."""
    return site is not None and site.source.strip().startswith(("with ", "with(", "async with "))


def covered(site: Site | None) -> str:
    """What a region that begins at `site` covers, in one word."""
    return "function" if is_decorator(site) else "block" if is_with(site) else "region"


def label_of(cut: Cut) -> str:
    """What the user wrote, or the reason where that is not known."""
    return cut.label or cut.reason.value


def note_of(cut: Cut, site: Site | None) -> str:
    """A few words that stand under the cut's line."""
    if _is_compiled(cut):
        return "ran compiled, and cuts it off on a line inside"
    if not cut.region:
        return _NOTES.get(cut.reason, "autograd records nothing here")
    place = covered(site)
    return "autograd records nothing from here on" if place == "region" else f"autograd records nothing in this {place}"


def cure(cut: Cut, site: Site | None) -> str:
    """What to change so that the gradient passes this cut: the second half of "to train them, ...", naming the line if it is known."""
    where = f" on line {site.line}" if site else ""
    return _region(cut, site, where) if cut.region else _operation(cut, where)


def _region(cut: Cut, site: Site | None, where: str) -> str:
    label, source = label_of(cut), site.source.strip() if site else ""
    if cut.reason is CutReason.REENTRANT_CHECKPOINT:
        return _operation(cut, where)
    if cut.reason is CutReason.CUSTOM_FUNCTION:
        return f"give the parameters to `{label}`{where} as arguments, and return their gradients from its `backward`"
    if is_decorator(site):
        return f"remove the decorator `@{label.removeprefix('@')}`{where}"
    if is_with(site) and source.startswith(f"with {label}") and source.removeprefix(f"with {label}")[:1] in (":", ""):
        return f"delete `with {label}:`{where}"
    if is_with(site):
        return f"take `{label}` out of the `with`{where}"
    return f"switch gradients back on after `{label}`{where}, with `torch.set_grad_enabled(True)`"


def _operation(cut: Cut, where: str) -> str:
    label = label_of(cut)
    if cut.reason is CutReason.DETACH:
        return f"remove `{label}`{where}"
    if cut.reason is CutReason.DATA:
        return f"use the tensor itself in place of its `.data`{where}"
    if cut.reason is CutReason.NUMPY:
        return f"compute with torch in place of numpy: `{label}`{where} takes the values out of the graph"
    if cut.reason is CutReason.HOST_SCALAR:
        return f"keep the tensor: remove `{label}`{where}, and call it only where a number is logged"
    if cut.reason is CutReason.TENSOR_COPY:
        return f"replace `{label}`{where}: use the tensor itself, or `torch.stack` for a list of tensors"
    if cut.reason is CutReason.PARAMETER_REWRAP:
        return f"use the tensor itself in place of `{label}`{where}: `torch.nn.functional` takes it as a weight"
    if cut.reason is CutReason.INTEGER_CAST:
        return f"keep floating point in place of `{label}`{where}; to round in forward only, write `x + (x.round() - x).detach()`"
    if _is_compiled(cut):
        what = label.removeprefix(COMPILED)
        return f"mend the line inside of `{what}`, called{where}: it ran compiled, and `gradflow audit` without --compile names the line"
    if cut.reason is CutReason.NO_DERIVATIVE:
        return _without_derivative(label, where)
    if cut.reason is CutReason.CUSTOM_FUNCTION:
        return f"let `{label}`{where} return a differentiable output: call it by `.apply`, and do not mark its output non-differentiable"
    if cut.reason is CutReason.REENTRANT_CHECKPOINT:
        return f"pass `use_reentrant=False` to the checkpoint{where}"
    if cut.reason is CutReason.OVERWRITE:
        return f"write into a new tensor in place of `{label}`{where}: `torch.where` or `torch.cat` keep the old values"
    return f"do not compute under `{label}`{where}"


_SOFTER = {
    "argmax": "take `softmax`, or `torch.nn.functional.gumbel_softmax(logits, hard=True)`, in place of `{label}`{where}",
    "argmin": "take `softmax` of the negated values in place of `{label}`{where}, or let a straight-through estimator pass the gradient",
    "multinomial": "take `torch.nn.functional.gumbel_softmax` in place of `{label}`{where}, or weigh the loss by the log probability",
    "bernoulli": "take `torch.distributions.RelaxedBernoulli(...).rsample()` in place of `{label}`{where}",
    "topk": "use the values that `{label}`{where} returns, not its indices alone: weigh the chosen by their score",
    "sort": "use the values that `{label}`{where} returns, not its indices alone",
}
_COMPARISONS = {"eq", "ne", "lt", "le", "gt", "ge", "greater", "less", "<", "<=", ">", ">=", "==", "!="}


def _without_derivative(label: str, where: str) -> str:
    name = label.removesuffix("()").rpartition(".")[2]
    if name == "sample":
        instead = label.removesuffix("()").removesuffix("sample") + "rsample()"
        return f"take `{instead}` in place of `{label}`{where}; a discrete one has none: weigh the loss by `log_prob` of the sample"
    if name in _COMPARISONS or name.strip("_") in _COMPARISONS:
        return f"take a smooth step such as `torch.sigmoid((a - b) / t)` in place of the comparison `{label}`{where}"
    known = _SOFTER.get("sort" if name == "argsort" else name)
    if known:
        return known.format(label=label, where=where)
    return f"take a differentiable operation in place of `{label}`{where}, or let a straight-through estimator pass the gradient"
