"""The file holds a dictionary of sizes, as `GPT_CONFIG_124M`, and the class takes such a one: that dictionary, made small."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradflow.capture.guess.construction.configs import CONFIG
from gradflow.capture.guess.small import ONLY_DEPTH, smaller_sizes
from gradflow.capture.guess.subject import Construction, Subject, parameters_of, required

_NAME = re.compile(r"config|cfg|conf|params|args|hparams|settings", re.IGNORECASE)
_MOST = 3


def propose(subject: Subject) -> Iterator[Construction]:
    """Small ones first, then only with fewer layers, then as they are."""
    needed = required(parameters_of(subject.cls))
    if len(needed) != 1 or not CONFIG.match(needed[0].name):
        return
    found = [name for name, value in subject.scope.items() if isinstance(value, dict) and value and _NAME.search(name) and name[0] != "_"]
    for name in found[:_MOST]:
        smaller = smaller_sizes(subject.scope[name])
        for chosen in (smaller, {key: value for key, value in smaller.items() if ONLY_DEPTH.search(key)}, {}):
            changes = "".join(f", {key!r}: {value}" for key, value in chosen.items())
            text = f"{{**{name}{changes}}}" if changes else name
            yield Construction(subject.name, ((needed[0].name, text),), f"the file's `{name}`")
