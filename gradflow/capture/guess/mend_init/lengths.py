"""A list of sizes has too few or too many entries: as many as another list has, or as a number of stages or the message says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.expressions import literal
from gradflow.capture.guess.mend_init.blamed import blamed_arguments
from gradflow.capture.guess.sources import definition_of
from gradflow.capture.guess.subject import Construction, Subject

_OF_LENGTH = re.compile(
    r"index out of range|length|\blen\b|number of|as many|same size|not enough values to unpack|too many values|must have \d+|levels"
    r"|dimensions? mismatch|\d+ (elements|values|entries|blocks|stages)|zip\(\)",
    re.IGNORECASE,
)
_MOST_ENTRIES, _MOST = 9, 5


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """Each blamed list alone, then all that are given together, in each length that something suggests."""
    text = failure.message if failure.message.strip() else failure.spots[-1].text if failure.spots else ""
    given = construction.given()
    lists = {name: value for name, written in given.items() if isinstance(value := literal(written), (tuple, list)) and value}
    blamed = [name for name in blamed_arguments(construction, failure) if name in lists]
    if not _OF_LENGTH.search(text) and not {str(len(lists[name])) for name in blamed} & set(re.findall(r"\d+", failure.message)):
        return
    written = [name for name, _ in construction.arguments if name in lists]
    for length in dict.fromkeys([*_indexed(subject, blamed), *_lengths(failure, given, lists)]):
        for names in dict.fromkeys([*((name,) for name in blamed), tuple(written)]):
            for of_length in (_of_length, _last):
                new = construction
                for name in names:
                    new = new.with_argument(name, of_length(given[name], length)) if len(lists[name]) != length else new
                if new != construction:
                    yield new


def _indexed(subject: Subject, names: Sequence[str]) -> list[int]:
    """As many entries as the class asks for by number: four where the highest is `channels[3]`."""
    tree = definition_of(subject.cls)
    found = [
        node.slice.value + 1
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and type(node.slice.value) is int
        and ast.unparse(node.value).removeprefix("self.") in names
    ]
    return [max(found)] if found and max(found) <= _MOST_ENTRIES else []


def _lengths(failure: Failure, given: dict[str, str], lists: Mapping[str, Sequence[object]]) -> list[int]:
    """The numbers that the message names, those in it, those of the other lists and of the numbers that are given, and one more or less."""
    spoken = [int(word) for word in re.findall(r"(?<![\w.])\d(?![\w.])", failure.message)]
    named = [int(given[word]) for word in re.findall(r"\w+", failure.message) if re.fullmatch(r"\d", given.get(word, ""))]
    others = [len(value) for value in lists.values()]
    counts = [
        int(text) for name, text in given.items() if re.fullmatch(r"\d", text) and re.search(r"depth|blocks|layers|stages|levels", name)
    ]
    near = [length + change for length in (*counts, *others) for change in (1, -1)]
    found = dict.fromkeys([*named, *spoken, *counts, *near, *others, 4, 3])
    return [length for length in found if 1 <= length <= _MOST_ENTRIES][:_MOST]


def _of_length(text: str, length: int) -> str:
    """The same list with its last entry repeated, or with its last entries left out."""
    node = ast.parse(text, mode="eval").body
    if not isinstance(node, (ast.Tuple, ast.List)):
        return text
    entries = [ast.unparse(entry) for entry in node.elts]
    entries = (entries + entries[-1:] * length)[:length]
    inside = ", ".join(entries)
    return f"[{inside}]" if isinstance(node, ast.List) else f"({inside},)" if length == 1 else f"({inside})"


def _last(text: str, length: int) -> str:
    """The same list with its first entries left out, as the channels are before the sides of a picture."""
    node = ast.parse(text, mode="eval").body
    if not isinstance(node, (ast.Tuple, ast.List)) or len(node.elts) <= length:
        return text
    node.elts = node.elts[-length:]
    return ast.unparse(node)
