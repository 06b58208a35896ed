"""What gradflow offers to Python: audit a live model, watch a training loop, audit a script. Composes the stages, and prints nothing."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from gradflow.capture.launch.inputs import InputSpec
from gradflow.capture.launch.job import Ending, Way
from gradflow.capture.launch.scale import AS_IT_IS, Scale
from gradflow.capture.launch.script import run_target
from gradflow.capture.launch.target import Form, TargetSpec, file_of_command, relative_posix
from gradflow.checks import diagnose
from gradflow.checks.ranks import merge_ranks
from gradflow.checks.turns import with_turns
from gradflow.errors import TargetCrashed
from gradflow.graph.recording import ParameterFact, Recording, Target, TargetKind, Turn
from gradflow.report import Finding, Outcome, ParameterRow, Report, StepRow
from gradflow.screening import FailOn, split_suppressed
from gradflow.verdict import Influence, Verdict, judge_step, live_steps

if TYPE_CHECKING:
    from gradflow.capture.launch.warm import Warm
    from gradflow.capture.torch_types import Module, Optimizer, Tensor
    from gradflow.capture.watch import Watch

DEFAULT_STEPS = 3
DEFAULT_TIMEOUT = 120.0
"""Seconds."""


def audit(
    model: Module,
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    loss: Callable[..., Tensor] | None = None,
    optimizer: Optimizer | None = None,
    steps: int = 1,
) -> Report:
    """The report on one call `model(*args, **kwargs)` and the backward pass from its loss. The model is put back as it was.

    Args:
        args: the positional inputs; one tensor stands for itself.
        loss: `loss(output)`, or `loss(model, output)` if it takes two. Default: the output's own `.loss`, else the only scalar in it, else
            a fixed random projection of every floating output.
        optimizer: if given, `steps` steps are really taken with it, and weights, buffers and its state are put back afterwards.
    """
    # The capture of live models imports torch; `import gradflow.api` does not.
    from gradflow.capture.model import audit_model

    positional = args if isinstance(args, tuple) else tuple(args) if isinstance(args, list) else (args,)
    target = Target(TargetKind.API, "", f"gradflow.audit({type(model).__name__})")
    recording = audit_model(model, positional, dict(kwargs or {}), loss=loss, optimizer=optimizer, steps=steps, target=target)
    return build_report(recording)


def watch(
    model: Module, optimizer: Optimizer | None = None, *, every: int = 100, on_finding: Callable[[Finding], None] | None = None
) -> WatchedLoop:
    """A context manager round the user's own training loop; its `report` is there at any time, in the block and after it.

    The first steps are recorded, then every N-th is looked at. Between those two hooks count steps, and nothing else is in place.

    Args:
        optimizer: the one whose steps are counted; by default the first that takes one; without any, backward passes are counted.
        every: each so many steps one is watched.
        on_finding: called once with each new finding, between two steps of the loop; what it raises ends the loop.
    """
    from gradflow.capture.watch import Watch

    loop = WatchedLoop(lambda news: Watch(model, optimizer, every=every, news=news))
    loop.on_finding = on_finding
    return loop


class WatchedLoop:
    """What `watch` gives: watches while the block runs. `on_finding` is called once with each new finding."""

    def __init__(self, make: Callable[[Callable[[], None]], Watch]) -> None:
        self.on_finding: Callable[[Finding], None] | None = None
        self._capture = make(self._tell)
        self._told: set[str] = set()

    def __enter__(self) -> WatchedLoop:
        self._capture.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._capture.__exit__(kind, error, trace)

    @property
    def report(self) -> Report:
        """The report on all that was seen in the block so far."""
        return build_report(self._capture.recording(), turns=self._capture.turns)

    def _tell(self) -> None:
        if self.on_finding is None:
            return
        fresh = [finding for finding in self.report.findings if finding.fingerprint not in self._told]
        self._told.update(finding.fingerprint for finding in fresh)
        for finding in fresh:
            self.on_finding(finding)


def audit_script(
    spec: TargetSpec,
    *,
    steps: int = DEFAULT_STEPS,
    timeout: float = DEFAULT_TIMEOUT,
    inputs: Sequence[tuple[str, InputSpec]] = (),
    loss: str = "",
    fail_on: FailOn = FailOn.ERROR,
    quiet: bool = False,
    seed: int | None = None,
    compiles: bool = False,
    draws: bool = False,
    param: Sequence[str] = (),
    scale: Scale = AS_IT_IS,
    init: str = "",
    evaluates: bool = False,
    warm: Warm | None = None,
    memory: int = 0,
) -> Report:
    """The report on a program, or on a model that a file holds, run in a child process.

    Args:
        timeout: seconds, after which what was seen by then is judged.
        inputs: each as (text of the option, what it describes).
        quiet: what the program prints goes nowhere, else to standard error.
        seed: of the random numbers of Python, numpy and torch, set before the program begins.
        compiles: `torch.compile` is left on, though no line inside of what it compiles can be blamed.
        draws: torchviz draws the first backward graph, for the view `autograd`.
        param: patterns of parameters whose updates and layer outputs are measured.
        scale: fake tensors, and sizes of a model's inputs.
        init: arguments of a class, as in a call of it.
        evaluates: the model is audited in eval mode.
        warm: a process that forks the child; by default a Python of its own is started.
        memory: bytes that the child may hold, 0 without a limit.
    """
    texts = [text for text, _ in inputs]
    target = describe(spec, steps=steps, inputs=texts, loss=loss, seed=seed, compiles=compiles, scale=scale, init=init, evaluates=evaluates)
    try:
        ending = run_target(
            spec,
            target,
            steps=steps,
            timeout=timeout,
            inputs=tuple(entry for _, entry in inputs),
            loss=loss,
            quiet=quiet,
            seed=seed,
            compiles=compiles,
            draws=draws,
            focus=tuple(param),
            scale=scale,
            init=init,
            evaluates=evaluates,
            warm=warm,
            memory=memory,
        )
    except TargetCrashed as error:
        return Report(Outcome.CRASHED, target, message=str(error), crash=error.traceback)
    return _report_of(ending, target, fail_on)


def describe(
    spec: TargetSpec,
    *,
    steps: int = DEFAULT_STEPS,
    inputs: Sequence[str] = (),
    loss: str = "",
    seed: int | None = None,
    compiles: bool = False,
    scale: Scale = AS_IT_IS,
    init: str = "",
    evaluates: bool = False,
) -> Target:
    """The target as the report names it, with the command line that audits it again."""
    words = ["gradflow", "audit"]
    if init:
        words += ["--init", init]
    if evaluates:
        words.append("--eval")
    if steps != DEFAULT_STEPS:
        words += ["--steps", str(steps)]
    for text in inputs:
        words += ["--input", text]
    if loss:
        words += ["--loss", loss]
    if seed is not None:
        words += ["--seed", str(seed)]
    if compiles:
        words.append("--compile")
    words += scale.words
    match spec.form:
        case Form.FILE | Form.FILE_ATTRIBUTE | Form.NOTEBOOK:
            file = spec.place
        case Form.COMMAND:
            file = file_of_command(spec.arguments)
        case Form.MODULE | Form.MODULE_ATTRIBUTE:
            file = ""
    kind = TargetKind.MODULE if spec.is_attribute else _KINDS.get(spec.form, TargetKind.SCRIPT)
    return Target(kind, relative_posix(file), shlex.join([*words, *spec.words]))


_KINDS = {Form.NOTEBOOK: TargetKind.NOTEBOOK, Form.COMMAND: TargetKind.COMMAND}


def build_report(recording: Recording, fail_on: FailOn = FailOn.ERROR, turns: Sequence[Turn] = ()) -> Report:
    """The report on a recording: a row for each parameter, the findings, and the outcome. `turns`: what stopped to learn later on."""
    verdicts, influences, found = diagnose(recording)
    found = with_turns(found, turns) if turns else found
    findings, suppressed = split_suppressed(found)
    rows = tuple(
        _row(fact, verdict, influence) for fact, verdict, influence in zip(recording.parameters, verdicts, influences, strict=True)
    )
    outcome, message = _outcome(recording, findings, fail_on)
    return Report(
        outcome=outcome,
        target=recording.target,
        parameters=rows,
        findings=findings,
        suppressed=suppressed,
        backward_passes=recording.backward_passes,
        optimizer_steps=recording.optimizer_steps,
        notes=recording.notes,
        message=message,
        crash=recording.crash,
        flow=recording.graph,
    )


def _row(fact: ParameterFact, verdict: Verdict, influence: Influence) -> ParameterRow:
    norms = [step.grad_norm for step in fact.steps if step.grad_norm is not None]
    return ParameterRow(
        name=fact.name,
        root=fact.root,
        shape=fact.shape,
        elements=fact.elements,
        dtype=fact.dtype,
        requires_grad=fact.requires_grad,
        verdict=verdict,
        live_in=(live_steps(fact), len(fact.steps)),
        grad_norm=norms[-1] if norms else None,
        optimizers=fact.optimizers,
        moved=fact.moved,
        weight_norm=fact.weight_norm,
        owner=fact.owner,
        owner_class=fact.owner_class,
        because=_because(fact, verdict, influence),
        history=_history(fact, verdict),
        zero_share=fact.zero_share,
    )


def _because(fact: ParameterFact, verdict: Verdict, influence: Influence) -> str:
    """Why this run cannot tell, empty where it can."""
    if verdict is not Verdict.UNKNOWN:
        return ""
    if fact.opaque:
        return fact.opaque
    if not fact.steps:
        return "no optimizer that holds it has stepped" if fact.optimizers else "no backward pass was seen"
    return "how values flowed was not recorded" if influence is Influence.UNTRACED else ""


def _history(fact: ParameterFact, verdict: Verdict) -> tuple[StepRow, ...]:
    """One row a step. Where autograd did not reach the parameter, the trace of the whole run says how it stands."""
    unreached = verdict if verdict in (Verdict.SEVERED, Verdict.ESCAPED, Verdict.UNUSED, Verdict.FROZEN) else Verdict.UNKNOWN
    rows = []
    for step in fact.steps:
        seen = judge_step(step) if fact.requires_grad else Verdict.FROZEN
        rows.append(StepRow(step.step, seen or unreached, step.grad_norm, step.update_ratio, step.lr))
    return tuple(rows)


def _outcome(recording: Recording, findings: Sequence[Finding], fail_on: FailOn) -> tuple[Outcome, str]:
    """The outcome, and a sentence where it is not plainly one of clean or findings."""
    judged = any(fact.steps and not fact.opaque for fact in recording.parameters)
    if recording.crash:
        message = "the program raised " + ("after a step had been judged" if judged else "before a step could be judged")
    elif recording.timed_out:
        message = "the program was stopped " + ("before it had made enough steps" if judged else "before a step could be judged")
    else:
        reasons = sorted({fact.opaque for fact in recording.parameters if fact.opaque})
        reasons += [] if recording.parameters else ["nothing that ran has a parameter that could be trained"]
        message = "" if judged else ": ".join(["no step could be judged", *reasons])
    if any(fail_on.fails(finding) for finding in findings):
        return Outcome.FINDINGS, message
    if judged:
        return (Outcome.PARTIAL if recording.crash or recording.timed_out else Outcome.CLEAN), message
    if recording.crash:
        return Outcome.CRASHED, message
    return (Outcome.TIMEOUT if recording.timed_out else Outcome.NOTHING), message


_WITHOUT_RECORDING = {
    Way.STOPPED: Outcome.NOTHING,
    Way.ENDED: Outcome.NOTHING,
    Way.EXITED: Outcome.CRASHED,
    Way.CRASHED: Outcome.CRASHED,
    Way.ASKED: Outcome.TIMEOUT,
    Way.REFUSED: Outcome.NOTHING,
    Way.USAGE: Outcome.USAGE,
    Way.BUG: Outcome.CRASHED,
    Way.LOST: Outcome.CRASHED,
}


def _report_of(ending: Ending, target: Target, fail_on: FailOn) -> Report:
    """The report on how a child process ended."""
    if ending.ranks:
        ending = replace(ending, recording=merge_ranks(ending.ranks), ranks=())
    if ending.recording is None:
        return Report(_WITHOUT_RECORDING[ending.way], target, message=_sentence(ending, judged=False), crash=ending.traceback)
    report = build_report(replace(ending.recording, crash=ending.recording.crash or ending.traceback), fail_on)
    judged = any(row.history for row in report.parameters)
    if ending.way is Way.EXITED and report.outcome in (Outcome.CLEAN, Outcome.NOTHING):
        report = replace(report, outcome=Outcome.PARTIAL if judged else Outcome.CRASHED)
    sentence = _sentence(ending, judged=judged)
    return replace(report, message=sentence) if sentence else report


def _sentence(ending: Ending, *, judged: bool) -> str:
    """What the ending means for the audit, in one sentence; empty where the program came to a good end."""
    when = "after" if judged else "before"
    steps = "a step had been judged" if judged else "a step could be judged"
    match ending.way:
        case Way.CRASHED:
            return f"the program raised {when} {steps}: {ending.sentence}"
        case Way.EXITED:
            hint = "" if judged else "; if it needs arguments, they stand after the target"
            return f"{ending.sentence} {when} {steps}{hint}"
        case Way.ASKED:
            return f"{ending.sentence} {when} {steps}"
        case Way.LOST:
            return f"{ending.sentence} {when} {steps}"
        case Way.BUG:
            return f"gradflow itself failed, and this is a bug in gradflow, please report it: {ending.sentence}"
        case Way.REFUSED | Way.USAGE:
            return ending.sentence
        case Way.STOPPED | Way.ENDED:
            return ""
