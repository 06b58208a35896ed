"""Two sizes have to be equal: each gets the value of the other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.subject import Construction, Subject

_EQUAL = re.compile(
    r"(must|should|has to|have to|needs? to|expected to) (be )?(equal|match|the same|identical)|(does|do) ?n[o']t match|!=|mismatch|==",
    re.I,
)
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
_MOST = 3


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """The arguments and fields that the message or the assertion names, with each number that it names or that another of them has."""
    text = failure.message if failure.message.strip() else failure.spots[-1].text if failure.spots else ""
    if not _EQUAL.search(text):
        return
    given = construction.given()
    paths = [path for word in dict.fromkeys(_PATH.findall(text)) if (path := _path(word, given))]
    numbers = dict.fromkeys([*re.findall(r"(?<![\w.])\d+(?![\w.])", text), *(given[path] for path in paths if path in given)])
    for path in paths[:_MOST]:
        for number in list(numbers)[: 2 * _MOST]:
            if re.fullmatch(r"\d+", number) and given.get(path) != number:
                yield construction.with_argument(path, number)


def _path(word: str, given: dict[str, str]) -> str:
    """The argument or field that a word means: `hidden_size`, or `text_config.hidden_size` where that configuration has no such yet."""
    for name in given:
        if name == word or name.endswith(f".{word}"):
            return name
    outer, dot, field = word.rpartition(".")
    if not dot:
        return ""
    holder = outer.rpartition(".")[2]
    found = next((name for name in given if name == holder or name.endswith(f".{holder}")), "")
    return f"{found}.{field}" if found and re.match(r"[A-Z]\w*\(|\{", given[found]) else ""
