"""Which arguments of a call an error speaks of, the likeliest first."""

from __future__ import annotations

import re

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call, Shape

_WORD = re.compile(r"[A-Za-z_]\w*")


def spoken_arguments(call: Call, failure: Failure) -> list[str]:
    """Those whose tensor the running layer was given, then those named in the message, then those in the failing lines."""
    by_layer = [name for name, shape in call.tensors().items() if failure.leaf is not None and shape.sizes in failure.leaf.shapes]
    words = _WORD.findall(failure.message) + [word for spot in reversed(failure.spots) for word in _WORD.findall(spot.text)]
    given = [name for name, _ in call.arguments]
    named = [word for word in words if word in given]
    return list(dict.fromkeys([*by_layer, *named, *given]))


def spoken_tensors(call: Call, failure: Failure) -> dict[str, Shape]:
    """Those of them that are one tensor each."""
    tensors = call.tensors()
    return {name: tensors[name] for name in spoken_arguments(call, failure) if name in tensors}
