"""Comments by which the source says that a finding is meant: `# gradflow: ignore[GF101] frozen for now`. Pure: text in, codes out."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

_COMMENT = re.compile(r"#\s*gradflow:\s*ignore\s*(?:\[(?P<codes>[^\]]*)\])?(?P<reason>[^#]*)")
_CODE = re.compile(r"GF\d{3}")


@dataclass(frozen=True, slots=True)
class Ignore:
    """One comment. `codes` are those it names, `wrong` what stands among them and is none; `reason` is the rest of the comment."""

    codes: tuple[str, ...]
    reason: str = ""
    wrong: tuple[str, ...] = ()


def ignored_codes(line: str) -> tuple[str, ...]:
    """The codes that the text of one line asks to ignore, each once.

    >>> ignored_codes("z = h.detach()  # gradflow: ignore[GF101, GF106] a target"), ignored_codes("z = h.detach()  # stop here")
    (('GF101', 'GF106'), ())
    """
    found = read_ignore(line)
    return found.codes if found else ()


def read_ignore(text: str) -> Ignore | None:
    """The first such comment in `text`, None where there is none. One without codes has none, and so no effect."""
    match = _COMMENT.search(text)
    if match is None:
        return None
    parts = [part.strip() for part in (match["codes"] or "").split(",") if part.strip()]
    codes = tuple(dict.fromkeys(part for part in parts if _CODE.fullmatch(part)))
    return Ignore(codes, match["reason"].strip(), tuple(part for part in parts if not _CODE.fullmatch(part)))


def find_ignores(source: str) -> dict[int, Ignore]:
    """The comments of a file by line, from 1. What stands in a string is none; of a file that is no Python, those before the error."""
    found: dict[int, Ignore] = {}
    for line, text in _comments(source) if _COMMENT.search(source) else ():  # most files have none, and tokens take time
        ignore = read_ignore(text)
        if ignore:
            found[line] = ignore
    return found


def _comments(source: str) -> Iterator[tuple[int, str]]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    except (tokenize.TokenError, SyntaxError):
        return
