"""What to change in a call that failed, read from the error and the layer that was running: one rule a file, the surest first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.mend_call import (
    absent,
    alike,
    asserted,
    counted,
    dtypes,
    frames,
    image_tokens,
    kinds,
    layer_sizes,
    lengths,
    lists,
    losses,
    masks,
    matching,
    modes,
    padding,
    proportions,
    ranks,
    selecting,
    single,
    slow,
    spatial,
)
from gradflow.capture.guess.mend_call.entries import closed, opened
from gradflow.capture.guess.mend_call.examples import as_lists, one_of_each
from gradflow.capture.guess.mend_call.spoken import spoken_arguments
from gradflow.capture.guess.sizes import Sizes

RULES = (
    slow,
    losses,
    image_tokens,
    lengths,
    padding,
    asserted,
    counted,
    selecting,
    masks,
    modes,
    absent,
    dtypes,
    layer_sizes,
    lists,
    matching,
    alike,
    ranks,
    kinds,
    proportions,
    frames,
    spatial,
    single,
)


def mended(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """Calls that may do better, in the order in which to try them: what each rule is surest of, then what each would try next.

    Of several arguments that a rule may change, the one that the error speaks of is changed first.
    """
    names = [name for name, _ in call.arguments]
    spoken = call.in_order(spoken_arguments(call, failure))
    one, counts = one_of_each(spoken)
    of_lists = [(as_lists(mended, counts) for mended in rule.mend(one, failure, model, sizes)) for rule in RULES if counts]
    inside = opened(call)
    inside = inside.in_order(spoken_arguments(inside, failure))
    of_dicts = [(closed(mended, call) for mended in rule.mend(inside, failure, model, sizes)) for rule in RULES if opened(call) != call]
    for turn in itertools.zip_longest(*(rule.mend(spoken, failure, model, sizes) for rule in RULES), *of_lists, *of_dicts):
        yield from (mended.in_order(names) for mended in turn if mended is not None)
