"""The first of gradflow that runs in a child process: loads the rest, which needs torch, and tells the parent where that fails."""

from __future__ import annotations

import importlib
import sys

from gradflow.capture.launch.job import Ending, Job, Way, read, write_atomically
from gradflow.capture.launch.leaving import failure


def boot(module: str, job_file: str, parent: str) -> None:
    """Hands the job to `main` of the module."""
    try:
        main = importlib.import_module(module).main
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent has to hear of it
        job: Job = read(job_file)
        write_atomically(job.ending, _unable(error))
        sys.exit(1)
    main(job_file, int(parent))


def _unable(error: Exception) -> Ending:
    try:
        importlib.import_module("torch")
    except Exception as reason:  # noqa: BLE001 - a broken installation may raise anything
        why = f"torch cannot be imported in {sys.executable}: {type(reason).__name__}: {reason}"
        return Ending(Way.USAGE, None, f"{why}; gradflow has to be installed where the program runs")
    return failure(error)
