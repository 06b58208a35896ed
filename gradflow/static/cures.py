"""What to say of one cut that was read in the source: in the words in which a run says it."""

from __future__ import annotations

from gradflow.cures import covered, cure, note_of
from gradflow.graph.flow import Cut, CutReason
from gradflow.graph.site import Site
from gradflow.static.machine import CutSite

DROPPED = "GF106"
"""The cut stands in a `backward` and not in a forward pass."""


def site_of(cut: CutSite) -> Site:
    """Where it stands: of a `with` block only the first line."""
    is_block = cut.region and cut.node.__class__.__name__ in ("With", "AsyncWith")
    return cut.module.source.site(cut.node, cut.function, header=is_block)


def place_of(cut: CutSite) -> str:
    """What a region covers, in one word."""
    return covered(site_of(cut))


def words_of(cut: CutSite, site: Site) -> tuple[str, str]:
    """(A few words that stand under the line, the second half of "to train it, ...")."""
    if cut.code == DROPPED:
        return "returns None where a gradient is waited for", f"return the gradient of every differentiable input on line {site.line}"
    if not isinstance(cut.reason, CutReason):
        return "autograd records nothing here", f"do without `{cut.label}` on line {site.line}"
    known = Cut(cut.reason, -1, cut.label, cut.region)
    return note_of(known, site), cure(known, site)
