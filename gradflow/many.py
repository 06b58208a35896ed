"""Audits several targets, each in a process of its own, several at a time: what one does never harms another. Prints nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from gradflow.api import audit_script, describe
from gradflow.capture.launch.script import environment_of
from gradflow.capture.launch.target import TargetSpec
from gradflow.capture.launch.warm import Warm, warmed
from gradflow.errors import GradflowError, InvariantError
from gradflow.report import Outcome, Report

WORTH_WARMING = 2
"""From so many targets on a process with torch imported is kept that forks the others."""


@dataclass(frozen=True, slots=True)
class Order:
    """One target and how it is audited: the arguments of `audit_script` besides those that all targets share."""

    spec: TargetSpec
    options: dict[str, Any] = field(default_factory=dict)


def audit_many(orders: Sequence[Order], *, jobs: int, memory: int, said: Callable[[Order, Report], None]) -> tuple[Report, ...]:
    """The reports, in the order of the targets. `said` is called with each as it comes, from this thread.

    Args:
        jobs: how many targets run at a time.
        memory: bytes that each may hold, 0 without a limit.
    """
    environment = environment_of(False)
    environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
    with warmed(environment, wanted=len(orders) >= WORTH_WARMING) as warm, _interruptible(ThreadPoolExecutor(jobs)) as pool:
        pending = {pool.submit(_audit, order, warm, memory): number for number, order in enumerate(orders)}
        reports: dict[int, Report] = {}
        for number, report in _as_they_come(pending):
            reports[number] = report
            said(orders[number], report)
    return tuple(reports[number] for number in range(len(orders)))


def _audit(order: Order, warm: Warm | None, memory: int) -> Report:
    """The report on one target; a target that cannot be audited has one that says so."""
    try:
        return audit_script(order.spec, **order.options, warm=warm, memory=memory)
    except InvariantError:
        raise
    except GradflowError as error:
        return Report(Outcome.USAGE, describe(order.spec), message=str(error))


def _as_they_come(pending: dict[Future[Report], int]) -> Iterator[tuple[int, Report]]:
    left = set(pending)
    while left:
        done, left = wait(left, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=pending.__getitem__):
            yield pending[future], future.result()


@contextlib.contextmanager
def _interruptible(pool: ThreadPoolExecutor) -> Iterator[ThreadPoolExecutor]:
    """The pool; on an error or Ctrl-C what has not begun is given up."""
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)  # when all has come, nothing is left to cancel
