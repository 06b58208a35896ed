"""The ways to build a class, one rule a file, in the order in which they are tried: what somebody has written down comes first."""

from __future__ import annotations

from collections.abc import Iterator

from gradflow.capture.guess.construction import config_dicts, configs, defaults, factories, parts, usual_names, written
from gradflow.capture.guess.subject import Construction, Subject

RULES = (
    written.propose,
    defaults.propose,
    written.propose_further,
    config_dicts.propose,
    configs.propose,
    factories.propose,
    parts.propose,
    usual_names.propose,
)


def propose(subject: Subject) -> Iterator[Construction]:
    """Every construction that some rule proposes, each once."""
    seen: set[str] = set()
    for rule in RULES:
        for construction in rule(subject):
            if construction.text not in seen:
                seen.add(construction.text)
                yield construction
