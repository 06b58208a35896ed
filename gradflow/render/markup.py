"""A string of the user inside XML, HTML or a label of Graphviz: escaped, on one line, without characters that XML forbids."""

from __future__ import annotations

import re
from html import escape

# XML 1.0 forbids these however they are written; bidirectional overrides would show other text than there is.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """`text` with U+FFFD for each character that XML forbids or that turns the direction of writing."""
    return _FORBIDDEN.sub("\ufffd", text)


def xml(text: str) -> str:
    """`text`, cleaned and escaped, for an element or a quoted attribute, with blanks for line breaks and tabs."""
    return escape(clean(re.sub(r"[\t\r\n\u2028\u2029]+", " ", text)))


def shown(text: str) -> str:
    """`text` as `xml` for a label of Graphviz: a blank for none, since no element may be empty, and no bare `]`: one that stands alone in
    its element is an error to Graphviz 2.43."""
    return xml(text).replace("]", "&#93;") or "&#160;"


def code(text: str) -> str:
    """A line of source as `xml`, with blanks that do not collapse."""
    return xml(text.expandtabs(4)).replace(" ", "&#160;").replace("]", "&#93;")
