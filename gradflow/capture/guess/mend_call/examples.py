"""A list of tensors of one size is mended as one of them is: what a rule does to the one is done to all.

`[float32[3,32,32], float32[3,32,32]]` where three dimensions are one too few becomes `[float32[3,4,32,32], float32[3,4,32,32]]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gradflow.capture.guess.call import Call, shape_of

_PART = re.compile(r"\w+\[[\d,\s]*\](?:\s*(?:<|==)\s*[\w.]+)?")


def one_of_each(call: Call) -> tuple[Call, dict[str, int]]:
    """(the call with one tensor in place of each such list, how many there are in each)."""
    counts: dict[str, int] = {}
    for name, text in call.arguments:
        parts = _PART.findall(text) if text.startswith("[") else []
        if name and len(set(parts)) == 1 and f"[{', '.join(parts)}]" == text and shape_of(parts[0]) is not None:
            counts[name] = len(parts)
            call = call.with_argument(name, parts[0])
    return call, counts


def as_lists(call: Call, counts: Mapping[str, int]) -> Call:
    """The call with the lists back in place of their tensors."""
    texts = {
        name: f"[{', '.join([text] * counts[name])}]" for name, text in call.arguments if name in counts and shape_of(text) is not None
    }
    return call.with_arguments(texts)
