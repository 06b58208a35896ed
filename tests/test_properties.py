"""Random training programs, with torch's autograd as the oracle: gradflow may never disagree, and every blame is proved by repairing it."""

from __future__ import annotations

from pathlib import Path

import pytest
from oracle import ask_torch, promised, uncut
from program_cuts import CUTS
from program_parts import OPERATIONS, Part
from random_programs import alone, generate

PROGRAMS = 300
CHUNK = 15


def chunks() -> list[range]:
    """The seeds of the suite, a few at a time so that a failure is found again quickly."""
    return [range(start, start + CHUNK) for start in range(0, PROGRAMS, CHUNK)]


def chunk_name(seeds: range) -> str:
    """The name under which pytest lists a chunk."""
    return f"seeds-{seeds.start}-{seeds.stop - 1}"


@pytest.mark.parametrize("part", CUTS, ids=lambda part: part.name)
def test_cut_stops_a_gradient_and_its_uncut_twin_lets_it_through(part: Part, tmp_path: Path) -> None:
    program = alone(part)
    cut, repaired = ask_torch(program.source, tmp_path / "cut.py"), ask_torch(uncut(program), tmp_path / "uncut.py")
    assert not all(cut.arrived.values())
    assert all(repaired.arrived[name] for name in promised(repaired.arrived))


@pytest.mark.parametrize("part", OPERATIONS, ids=lambda part: part.name)
def test_operation_lets_gradients_through(part: Part, tmp_path: Path) -> None:
    truth = ask_torch(alone(part).source, tmp_path / "program.py")
    assert all(truth.arrived[name] for name in promised(truth.arrived))


def test_programs_of_the_suite_use_most_kinds_of_operation_and_cut() -> None:
    programs = [generate(seed) for seed in range(PROGRAMS)]
    operations = {name for program in programs for name in program.operations}
    cuts = {name for program in programs for name in program.cuts}
    assert len(operations) >= 100
    assert len(cuts) >= 70


def test_same_seed_gives_the_same_program() -> None:
    assert generate(7) == generate(7)
    assert generate(7) != generate(8)


@pytest.mark.parametrize("seeds", chunks(), ids=chunk_name)
def test_programs_with_every_cut_repaired_bring_each_called_parameter_a_gradient(seeds: range, tmp_path: Path) -> None:
    dead = {}
    for seed in seeds:
        arrived = ask_torch(uncut(generate(seed)), tmp_path / f"program_{seed}.py").arrived
        dead[seed] = sorted(name for name in promised(arrived) if not arrived[name])
    assert {seed: names for seed, names in dead.items() if names} == {}
