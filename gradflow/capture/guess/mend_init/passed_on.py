"""A constructor hands its free keywords on to another, which misses some: `EncDec(dim, **kwargs)` needs `enc_depth` and `dec_depth`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.construction.parts import candidates
from gradflow.capture.guess.mend_init.argument_names import MISSING, is_misnamed
from gradflow.capture.guess.mend_init.unset import UNSET
from gradflow.capture.guess.subject import Construction, Subject, parameters_of
from gradflow.capture.guess.usual import annotation_of, tells_something, usual_value

_WORD = re.compile(r"[A-Za-z_]\w*")
_HANDED = re.compile(r"\*\*\s*(\w+)")
_NAME = re.compile(r"_?(kw|kwargs|args|params|opts|options|config|cfg|dict)$")


def mend(construction: Construction, failure: Failure, subject: Subject) -> Iterator[Construction]:
    """The missing ones, with the prefix that the handed dict is named after; else by their own names."""
    parameters = parameters_of(subject.scope.get(construction.callee))
    free = next((entry.name for entry in parameters.values() if entry.kind is inspect.Parameter.VAR_KEYWORD), "")
    if not free or not failure.own or is_misnamed(construction, failure):
        return
    names, handed = _lacking(failure, free, set(parameters))
    taken = parameters_of(_callee(failure))
    stems = [_NAME.sub("", word) for word in _HANDED.findall(handed)]
    for prefix in dict.fromkeys([*(f"{stem}_" for stem in stems if stem), ""]) if names else ():
        new = construction
        for name in names:
            annotation = annotation_of(taken[name]) if name in taken else ""
            new = new.with_argument(f"{prefix}{name}", next(candidates(name, annotation, subject), usual_value(name, annotation)))
        yield new


def _lacking(failure: Failure, free: str, known: set[str]) -> tuple[list[str], str]:
    """The keywords that are wanted, and the lines that hand others on by `**`; nothing where the error asks for none."""
    text, message = failure.own[-1].text, failure.message
    lines = " ".join(spot.text for spot in failure.own)
    missing = MISSING.search(message)
    if missing is not None:
        return re.findall(r"'(\w+)'", missing[1]), text
    if isinstance(failure.error, KeyError) and re.search(rf"\b{free}(\[|\.pop\()\s*['\"]{failure.error.args[0]}['\"]", text):
        return [str(failure.error.args[0])], ""
    if isinstance(failure.error, KeyError) and str(failure.error.args[0]).isidentifier():
        return _looked_up(failure, str(failure.error.args[0]))
    if UNSET.search(message):
        return [name for name in re.findall(r"[`'\"](\w+)[`'\"]", message) if name not in known and tells_something(name)], lines
    if "NoneType" in message and len(failure.own) > 1 and _HANDED.search(failure.own[-2].text):
        inner = failure.own[-1].variables
        unset = [word for word in dict.fromkeys(_WORD.findall(text)) if inner.get(word, word) is None and tells_something(word)]
        return unset, failure.own[-2].text
    return [], ""


def _looked_up(failure: Failure, key: str) -> tuple[list[str], str]:
    """The keys that a line names beside this one, with the dicts in it as handed on: `pick(["num_tokens", "max_len"], enc_kwargs)`."""
    line = next((spot.text for spot in reversed(failure.own) if re.search(rf"['\"]{key}['\"]", spot.text)), "")
    handed = " ".join(f"**{word}" for word in _WORD.findall(line.partition(" = ")[2] or line) if _NAME.search(word))
    return (re.findall(r"['\"]([A-Za-z_]\w*)['\"]", line), handed) if handed else ([], "")


def _callee(failure: Failure) -> object:
    """The class whose constructor lacks arguments, None where the error names none."""
    named = re.match(r"(\w+)\.__init__\(\)", failure.message)
    return failure.own[-1].scope.get(named[1]) if named else None
