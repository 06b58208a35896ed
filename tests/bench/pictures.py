"""What pictures cost: `python tests/bench/pictures.py`. Prints CPU seconds, those of the engine's process included; asserts nothing."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parent.parent))
import flow_examples

from gradflow.draw import draw
from gradflow.pictures import page
from gradflow.render.dot import to_dot
from gradflow.report import Report
from gradflow.views import draw_view

Result = TypeVar("Result")


def measured(function: Callable[[], Result]) -> tuple[Result, float]:
    """What `function` returns, and the CPU seconds it took, in this process and in those that it waited for."""
    before = _cpu()
    result = function()
    return result, _cpu() - before


def _cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Measures each program once."""
    programs: dict[str, Report] = {
        "GPT, 50 blocks, 3 steps": flow_examples.gpt(50, steps=3),
        "cell, 200 steps": flow_examples.recurrent(200),
        "cell, 20,000 steps": flow_examples.recurrent(20_000),
        "GPT, 1,000 blocks": flow_examples.gpt(1000, steps=1),
    }
    print(f"{'program':<26}{'nodes':>9}{'params':>8}{'view':>8}{'DOT+SVG':>9}{'page':>8}{'page kB':>9}")
    for name, report in programs.items():
        drawing, view = measured(lambda report=report: draw_view(report))  # type: ignore[misc]
        _, svg = measured(lambda drawing=drawing: draw(to_dot(drawing), "svg"))  # type: ignore[misc]
        text, whole = measured(lambda report=report: page(report))  # type: ignore[misc]
        sizes = f"{len(report.flow.nodes):>9,}{len(report.parameters):>8,}"
        print(f"{name:<26}{sizes}{view:>8.2f}{svg:>9.2f}{whole:>8.2f}{len(text) / 1000:>9.0f}")


if __name__ == "__main__":
    main()
