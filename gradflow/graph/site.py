"""A place in the user's source. Plain text and numbers; reading files is the business of whoever makes a Site."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """One span of source. Lines and columns count from 1; `end_column` is exclusive, as in SARIF.

    `file` is posix and relative to the working directory where it lies below it. `function` is the qualified name (`Net.forward`, or
    `<module>`), `module` the path of the `nn.Module` that was running (`h.5.attn`, or empty). `source` is the text of line `line`;
    `context` holds (line number, text) of the lines around it, in order.
    """

    file: str
    line: int
    column: int = 1
    end_line: int = 0
    end_column: int = 0
    function: str = ""
    module: str = ""
    source: str = ""
    context: tuple[tuple[int, str], ...] = ()
