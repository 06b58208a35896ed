"""The defaults make a model of more parameters than a try may have, or one that takes too long: its sizes are made small."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from gradflow.capture.fake import TooManyParameters
from gradflow.capture.guess.attempt import Failure, TooSlow
from gradflow.capture.guess.expressions import literal
from gradflow.capture.guess.small import ONLY_DEPTH, smaller_sizes, smaller_tokens, usual_sizes
from gradflow.capture.guess.subject import Construction, Subject, parameters_of

_WIDTH_OF_A_HEAD = re.compile(r"head_dim|dim_head|^d_kv$|rotary")


def is_giant(failure: Failure) -> bool:
    """Whether the model was too large, or too slow to make: no other value of another kind would help."""
    return isinstance(failure.error, (TooManyParameters, TooSlow))


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Fewer layers first, then narrower ones too, by the names of sizes that are known, heads last, whose parts may be given one by
    one; then all that is called like a size."""
    if not is_giant(failure):
        return
    parameters = parameters_of(subject.scope.get(construction.callee))
    if any(entry.kind is inspect.Parameter.VAR_KEYWORD for entry in parameters.values()):
        parameters = {**parameters_of(subject.cls), **parameters}  # a function hands on to the class what it does not know
    defaults = {name: entry.default for name, entry in parameters.items()}
    given = {name: value for name, text in construction.arguments if (value := literal(text)) is not None}
    sizes = {**defaults, **{name: None for name, _ in construction.arguments}, **given}
    smaller = smaller_sizes(sizes)
    further = {**usual_sizes(sizes), **smaller}
    shallow = {name: value for name, value in further.items() if ONLY_DEPTH.search(name)}
    seen: list[dict[str, Any]] = [{}]
    narrow = any(isinstance(value, (tuple, list)) for value in smaller.values())  # a head must not be wider than the layer
    few_heads = {name: value for name, value in smaller.items() if narrow or not _WIDTH_OF_A_HEAD.search(name)}
    for chosen in ({name: value for name, value in shallow.items() if name in smaller}, shallow, few_heads, smaller, further):
        if chosen in seen:
            continue
        seen.append(chosen)
        tokens = smaller_tokens(sizes, chosen["vocab_size"]) if "vocab_size" in chosen else {}
        yield construction.with_arguments({name: repr(value) for name, value in {**chosen, **tokens}.items()})
