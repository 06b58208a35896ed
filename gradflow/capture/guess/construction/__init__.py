"""The ways to build a class, one rule a file, in the order in which they are tried: what somebody has written down comes first."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from gradflow.capture.guess.attempt import attempt
from gradflow.capture.guess.construction import config_dicts, configs, defaults, factories, parts, usual_names, written
from gradflow.capture.guess.subject import Construction, Subject

RULES = (
    written.propose,
    defaults.propose,
    written.propose_further,
    config_dicts.propose,
    factories.propose_free,
    configs.propose,
    factories.propose,
    parts.propose,
    usual_names.propose,
)


_SECONDS = 20.0


def propose(subject: Subject) -> Iterator[Construction]:
    """Every construction that some rule proposes, each once."""
    seen: set[str] = set()
    for rule in RULES:
        # a rule reads the user's own objects, and what these raise must not keep the other rules from their turn
        for construction in attempt(functools.partial(_listed, rule, subject), _SECONDS)[0] or ():
            if construction.text not in seen:
                seen.add(construction.text)
                yield construction


def _listed(rule: Callable[[Subject], Iterator[Construction]], subject: Subject) -> list[Construction]:
    return list(rule(subject))
