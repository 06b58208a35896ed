"""Two sizes that do not fit and are the model's own, so that no input changes them: they are the same in one place, again and again."""

from __future__ import annotations

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.mend_call.matching import split_sizes
from gradflow.capture.guess.mend_call.proportions import wanted_sizes


def sizes_that_do_not_fit(failure: Failure) -> tuple[object, ...] | None:
    """The place, and the two sizes there, where the weights of a layer or the parts of a split say what fits; None for other failures."""
    split = split_sizes(failure.message)
    has_weights = failure.leaf is not None and next(failure.leaf.layer.parameters(recurse=False), None) is not None
    sizes = [split] if split is not None else wanted_sizes(failure.message) if has_weights else []
    return (failure.place, *sizes) if sizes else None
