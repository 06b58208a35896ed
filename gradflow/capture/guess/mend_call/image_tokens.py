"""Pictures beside a text want as many image tokens in it as the pictures have features: the text becomes these tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.sizes import Sizes

_MISMATCH = re.compile(r"(image|video|vision|visual|audio|multimodal).*(tokens?|placeholder)", re.IGNORECASE)
_FIELDS = ("image_token_id", "image_token_index", "video_token_id", "audio_token_id", "image_token", "media_token_id")


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """`input_ids` of image tokens alone: as many as the message has features, in a batch of two or of one."""
    ids = call.tensors().get("input_ids")
    token = _token(model)
    if ids is None or token is None or not _MISMATCH.search(failure.message):
        return
    counts = [int(number) for number in re.findall(r"\d+", failure.message)]
    for count in dict.fromkeys(number for number in reversed(counts) if number > 1):
        for batch in (ids.sizes[0], 1):
            for length in dict.fromkeys((count // batch, count)):
                if length:
                    yield call.with_argument("input_ids", f"int64[{batch},{length}]=={token}").without("attention_mask")


def _token(model: torch.nn.Module) -> int | None:
    config = getattr(model, "config", None)
    return next((value for name in _FIELDS if isinstance(value := getattr(config, name, None), int)), None)
