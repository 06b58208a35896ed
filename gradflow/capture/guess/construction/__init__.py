"""The ways to build a class, one rule a file, in the order in which they are tried: what somebody has written down comes first."""

from __future__ import annotations

from collections.abc import Iterator

from gradflow.capture.guess.construction import configs, defaults, factories, usual_names, written
from gradflow.capture.guess.subject import Construction, Subject

RULES = (written, defaults, configs, factories, usual_names)


def propose(subject: Subject) -> Iterator[Construction]:
    """Every construction that some rule proposes, each once."""
    seen: set[str] = set()
    for rule in RULES:
        for construction in rule.propose(subject):
            if construction.text not in seen:
                seen.add(construction.text)
                yield construction
