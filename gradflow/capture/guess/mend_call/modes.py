"""The model wants targets in training mode, more than one value a channel, or no cache: it gets these, or is put in eval mode."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.sizes import Sizes
from gradflow.capture.guess.subject import parameters_of

_BOXES = "{'boxes': tensor([[2.0, 2.0, 20.0, 20.0], [4.0, 6.0, 28.0, 30.0]]), 'labels': int64[2]==1"
_FURTHER = {
    "masks": ", 'masks': uint8[2,{s},{s}]==1",
    "keypoints": f", 'keypoints': tensor({[[[at, at, 1.0]] * 17 for at in (5.0, 9.0)]})",  # 17 of a person, as in COCO
}
"""What the target of a detector may hold beside boxes and labels."""


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """Targets for detection, no cache, a larger batch for a normalisation, eval mode where training fails for another reason of its own."""
    line = failure.own[-1].text if failure.own else ""
    if re.search(r"target", failure.message or line) and "targets" in parameters_of(model.forward):
        yield from (_with_targets(call, more, sizes) for more in ("", _FURTHER["masks"]))
    wanted = failure.error.args[0] if isinstance(failure.error, KeyError) and failure.error.args else ""
    if wanted in _FURTHER and "boxes" in call.given().get("targets", ""):
        yield _with_targets(call, _FURTHER[wanted], sizes)
    if re.search(r"\b[Cc]ache\b|past_key_value", failure.message) and "use_cache" not in call.given():
        yield call.with_argument("use_cache", "False")
    if re.search(r"more than 1 value per channel", failure.message):
        for name, shape in call.tensors().items():
            if shape.sizes and shape.sizes[0] == 1:
                larger = type(shape)(shape.dtype, (2, *shape.sizes[1:]), shape.rest)
                yield call.with_argument(name, larger.text)
        if not call.evaluating:
            yield call.in_eval()
    if re.search(r"[Tt]arget|training mode|in train", failure.message) and not call.evaluating:
        yield call.in_eval()


def _with_targets(call: Call, more: str, sizes: Sizes) -> Call:
    target = _BOXES + more.replace("{s}", str(sizes.image)) + "}"
    return call.with_argument("targets", f"[{target}, {target}]")
