"""Recordings of several processes as one: steps united, graphs side by side, differences said."""

from __future__ import annotations

from hand_built import Program, Via

from gradflow.checks import diagnose
from gradflow.checks.ranks import merge_ranks
from gradflow.graph.recording import RankRecording, Recording, TargetKind
from gradflow.verdict import Verdict


def trained(*, enc: bool, head: bool = True, cut: bool = False) -> Recording:
    """A rank on which the encoder and the head do or do not learn; `cut`: the encoder's value reaches the loss over `.detach()`."""
    program = Program(TargetKind.COMMAND)
    encoder, last = program.weight("enc.weight", live=enc), program.weight("head.weight", live=head)
    hidden = program.op("linear", encoder)
    if cut:
        program.loss(program.op("linear", Via(program.op("detach", Via(hidden, program.cut())), -1), last))
    else:
        program.loss(program.op("linear", *([hidden] if enc else []), last))
    return program.recording()


def merged(*recordings: Recording) -> Recording:
    """The ranks 0, 1, ... as one recording, whose graph keeps its invariants."""
    found = merge_ranks([RankRecording(rank, recording) for rank, recording in enumerate(recordings)])
    found.graph.check()
    return found


def verdicts(recording: Recording) -> dict[str, Verdict]:
    """By name."""
    return {fact.name: verdict for fact, verdict in zip(recording.parameters, diagnose(recording)[0], strict=True)}


def test_one_process_alone_is_its_own_recording() -> None:
    recording = trained(enc=True)
    assert merged(recording) is recording


def test_step_n_of_all_processes_is_one_step() -> None:
    found = merged(trained(enc=True), trained(enc=True))
    assert [len(fact.steps) for fact in found.parameters] == [2, 2]
    assert (found.backward_passes, found.optimizer_steps) == (2, 2)
    assert found.notes == ("2 processes trained, and were judged together: step n of all of them is one step",)


def test_what_learns_in_one_process_learns_and_the_difference_is_said() -> None:
    found = merged(trained(enc=False), trained(enc=True), trained(enc=True))
    assert verdicts(found) == {"enc.weight": Verdict.LIVE, "head.weight": Verdict.LIVE}
    assert diagnose(found)[2] == ()
    assert "the ranks differ: `enc.weight` is unused on rank 0 and live on ranks 1, 2" in found.notes


def test_the_process_with_the_worst_findings_tells_how_values_flowed() -> None:
    found = merged(trained(enc=False), trained(enc=False, cut=True))
    assert verdicts(found)["enc.weight"] is Verdict.SEVERED
    assert [finding.code for finding in diagnose(found)[2]] == ["GF101"]
    assert "the ranks differ: `enc.weight` is unused on rank 0 and severed on rank 1" in found.notes


def test_stages_of_a_pipeline_are_judged_each_by_its_own_flow() -> None:
    second = Program(TargetKind.COMMAND)
    block, out = second.weight("block.weight"), second.weight("out.weight", live=True)
    second.loss(second.op("linear", Via(second.op("detach", Via(second.op("linear", block), second.cut(line=14))), -1), out))
    found = merged(trained(enc=True), second.recording())
    assert verdicts(found) == {
        "enc.weight": Verdict.LIVE,
        "head.weight": Verdict.LIVE,
        "block.weight": Verdict.SEVERED,
        "out.weight": Verdict.LIVE,
    }
    (finding,) = diagnose(found)[2]
    assert (finding.code, finding.parameters) == ("GF101", ("block.weight",))
    assert finding.cause is not None and finding.cause.line == 14
