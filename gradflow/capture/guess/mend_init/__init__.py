"""What to change in a construction that failed, read from the error: one rule a file, the surest first."""

from __future__ import annotations

from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.mend_init import (
    argument_names,
    attributes,
    called_numbers,
    choices,
    divisors,
    equals,
    fields,
    files,
    giants,
    guards,
    kinds,
    layer_names,
    left_out,
    lengths,
    misfits,
    others,
    parts,
    passed_on,
    proportional,
    solved,
    stated_kinds,
    sums,
    unset,
    wrapped,
)
from gradflow.capture.guess.subject import Construction, Subject

RULES = (
    giants,
    argument_names,
    files,
    layer_names,
    passed_on,
    unset,
    guards,
    sums,
    equals,
    lengths,
    stated_kinds,
    attributes,
    parts,
    fields,
    left_out,
    choices,
    divisors,
    solved,
    kinds,
    others,
)


def mended(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Constructions that may do better, in the order in which to try them."""
    owner, _, method = construction.callee.partition(".")
    function = subject.scope.get(owner)
    construction = construction.with_defaults(getattr(function, method, None) if method else function)
    # the call itself is wrong: values of other arguments would change nothing
    rules = (giants,) if giants.is_giant(failure) else (argument_names,) if argument_names.is_misnamed(construction, failure) else RULES
    for rule in rules:
        yield from rule.mend(construction, failure, subject)


AFTER_A_CALL = (guards, proportional, unset, misfits, called_numbers, wrapped)


def made_otherwise(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Constructions of a model that was built and failed when it was called, in the order in which to try them."""
    construction = construction.with_defaults(subject.scope.get(construction.callee))
    for rule in AFTER_A_CALL:
        yield from rule.mend(construction, failure, subject)
