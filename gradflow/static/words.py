"""Words in a text that can stop a gradient: a cheap look, before anything is followed."""

from __future__ import annotations

import re

from gradflow.static.slices import CUTTING_ATTRIBUTES, CUTTING_FUNCTIONS, CUTTING_METHODS, SWITCHES
from gradflow.static.torch_names import INTEGER_TYPES, LAYERS

_METHODS_THAT_CUT = CUTTING_METHODS - {"max", "min", "median", "nanmedian", "data"}
CUT_TOKENS = frozenset(
    [
        *(point + word for word in SWITCHES for point in ("", ".")),
        *(point + word + "(" for word in SWITCHES for point in ("", ".")),
        *(f".{word}(" for word in _METHODS_THAT_CUT | CUTTING_ATTRIBUTES),
        *(f"{word}(" for word in CUTTING_FUNCTIONS),
        *(f".{word}" for word in INTEGER_TYPES),
        ".data", ".apply(", "np", "numpy",
    ]
)  # fmt: skip
"""What in the text of a function can stop a gradient (see `Source.tokens`)."""
_INDEX_OF = re.compile(r"(?:max|min|median)\([^()]*(?:dim|,|\d)")
_COMPARED = re.compile(r"^(?!\s*(?:if|elif|while|assert)\b)[^\n]* (?:[<>]=?|[!=]=) ", re.MULTILINE)
_COMPARISONS = (" > ", " < ", " == ", " >= ", " <= ", " != ")
_BY_NAME = re.compile(r"getattr\([^)]*[\"'](?:detach|data|item|numpy|tolist|no_grad)")


def cut_words(tokens: frozenset[str], text: str) -> bool:
    """Whether a piece of source has something in it that can stop a gradient."""
    if not CUT_TOKENS.isdisjoint(tokens) or (any(sign in text for sign in _COMPARISONS) and _COMPARED.search(text)):
        return True
    if not _EXTREMES.isdisjoint(tokens) and _INDEX_OF.search(text):
        return True
    return "getattr(" in tokens and bool(_BY_NAME.search(text))


_EXTREMES = frozenset({".max(", ".min(", ".median(", ".nanmedian("})
SWITCHED = re.compile(r"no_grad|inference_mode|set_grad|grad_mode")
GRAD_WORDS = re.compile(r"no_grad|inference_mode|set_grad_enabled|detach|\.data\b|\.item\(|numpy|tolist")
"""In the text of a decorator of the package: it may stop the gradients of what it decorates."""
STAYS_SWITCHED = re.compile(r"set_grad_enabled|__enter__|contextmanager|enter_context")

BUILD_TOKENS = frozenset(
    point + word
    for point in ("", ".")
    for word in (
        *(f"{layer}(" for layer in LAYERS), "Parameter(", "Buffer(", "ModuleList(", "ModuleDict(", "ParameterList(", "ParameterDict(",
        "Sequential(", "deepcopy(", "add_module(", "register_module(", "register_parameter(", "register_buffer(",
    )
)  # fmt: skip
"""In the text of what `__init__` calls: it makes layers, or says something of them (see `Source.tokens`)."""
SAYS_TOKENS = frozenset({".requires_grad", ".requires_grad_(", "requires_grad", ".eval("})
BUILDER_NAMES = re.compile(
    r"\bnn\.[A-Z]\w*\(|setattr\(self|self\.[\w.\[\]]+\.(?:append|extend|insert)\(|(?:make|build|create)\w*\(|get_\w*(?:layer|block|norm|module|conv|embed)\w*\("
)
