"""The property test at length: `python tests/bench/properties.py --programs 5000 --seed 0 [--jobs 2]`. Prints a table, asserts nothing."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> None:
    """Compares the programs of `--programs` seeds from `--seed` on, and prints what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.programs)
    totals: Counter[str] = Counter()
    misses: list[str] = []
    # Spawned, not forked: torch's threads do not survive a fork.
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for counts, sentences in pool.imap(compare_seed, seeds, chunksize=10):
            totals.update(counts)
            misses += sentences
    print(table(totals))
    for sentence in misses:
        print(sentence)


def compare_seed(seed: int) -> tuple[Counter[str], list[str]]:
    """The counts of one program, and a sentence for each thing that is not as it should be."""
    # Imported here: the parent only counts, and need not load torch.
    from oracle import compare, problems
    from random_programs import generate

    program = generate(seed)
    counts = Counter(programs=1, cuts=len(program.cuts), operations=len(program.operations))
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = compare(program, Path(folder))
        except Exception:  # noqa: BLE001 - one crashed comparison is a line of the result, not the end of the run
            counts["crashed"] += 1
            return counts, [f"seed {seed}: crashed: {traceback.format_exc(limit=-2).strip()}"]
    counts["parameters"] = result.parameters
    counts["incomplete"] = result.incomplete
    counts["disagreements"] = len(result.disagreements)
    counts["disturbances"] = len(result.disturbances)
    counts["unexplained"] = len(result.unexplained)
    counts["repeated"] = len(result.repeated)
    counts["tested"] = sum(one.testable for one in result.repairs)
    counts["untestable"] = sum(not one.testable for one in result.repairs)
    counts["missed"] = sum(bool(one.trouble) for one in result.repairs)
    counts["explained"] = sum(one.explained for one in result.repairs)
    for one in result.repairs:
        outcome = "missed" if one.trouble else "revived" if one.testable else "untestable"
        counts[f"{one.reason} {outcome}"] += 1
    sentences = [f"seed {seed}: {text}" for text in problems(result)]
    for one in result.repairs:
        if one.trouble:
            sentences.append(f"seed {seed}: {one.code} ({one.reason}) lines {', '.join(map(str, one.lines))}: {one.trouble}")
    return counts, sentences


def table(totals: Counter[str]) -> str:
    """The summary, one figure a line."""
    tested, missed = totals["tested"], totals["missed"]
    share = f" ({100 * (tested - missed) / tested:.2f} %)" if tested else ""
    rows = [
        ("programs", totals["programs"]),
        ("statements that cut", totals["cuts"]),
        ("other statements", totals["operations"]),
        ("trainable parameters", totals["parameters"]),
        ("disagreements with autograd", totals["disagreements"]),
        ("severed, but named by no finding", totals["unexplained"]),
        ("findings that repeat another's cause", totals["repeated"]),
        ("losses, weights or gradients disturbed", totals["disturbances"]),
        ("trace incomplete", totals["incomplete"]),
        ("comparisons crashed", totals["crashed"]),
        ("blames tested by repair", tested),
        ("  revived", f"{tested - missed}{share}"),
        ("  missed", missed),
        ("    a backward gives None further on", totals["explained"]),
        ("blames on lines without a twin", totals["untestable"]),
    ]
    lines = [f"{name:<40}{value}" for name, value in rows]
    outcomes = ("revived", "missed", "untestable")
    lines.append(f"\n{'blames by reason':<40}" + "".join(f"{outcome:>12}" for outcome in outcomes))
    for reason in sorted({key.rpartition(" ")[0] for key in totals if key.endswith(outcomes) and " " in key}):
        lines.append(f"{reason:<40}" + "".join(f"{totals[f'{reason} {outcome}']:>12}" for outcome in outcomes))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
