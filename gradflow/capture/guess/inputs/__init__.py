"""What a built model may be called with, one rule a file: what is written down first, then what the code reads, then names."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from gradflow.capture.guess.call import Call
from gradflow.capture.guess.inputs import dimensions, own_shapes, pyramids, time_series, usual_inputs, written
from gradflow.capture.guess.mend_call.slow import with_smaller_sides
from gradflow.capture.guess.subject import Construction, Subject

RULES = (
    written.propose,
    own_shapes.propose,
    time_series.propose,
    pyramids.propose,
    dimensions.propose,
    usual_inputs.propose,
    written.propose_further,
)

_LARGE = 512
"""The side of a picture from which it is proposed in small as well."""


def propose(model: torch.nn.Module, construction: Construction, subject: Subject | None) -> Iterator[Call]:
    """Every call that some rule proposes, each once; then those of large pictures with smaller ones, which can be mended in time."""
    proposed: list[Call] = []
    for rule in RULES:
        for call in rule(model, construction, subject):
            if call.options not in {other.options for other in proposed}:
                proposed.append(call)
                yield call
    for call in proposed:
        smaller = with_smaller_sides(call, _LARGE)
        yield from (smaller,) if smaller is not call else ()
