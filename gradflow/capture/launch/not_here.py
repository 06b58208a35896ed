"""What the last lines of a model file want and this machine does not have: a GPU, the network, a file, a package. Reads only the error."""

from __future__ import annotations

import re
from pathlib import Path

from gradflow.capture.guess.attempt import needs_cuda, needs_network
from gradflow.capture.launch.missing_package import missing_package

_TRAINS = re.compile(r"\.backward\(|\boptim\b|\boptimizers?\b|Trainer\(|\.fit\(")


def what_is_not_here(error: BaseException, file: str) -> str:
    """What `file` needs, in words that follow on its name; empty where the error is another, or where the file trains.

    Of a file that trains, the training is what was to be audited: only for want of a GPU is it judged by its classes.

    >>> what_is_not_here(FileNotFoundError(2, "No such file or directory", "cat.png"), "")
    'needs the file `cat.png`, which is not there'
    """
    if needs_cuda(error):
        return "needs CUDA, which is not to be had here"
    if _trains(file):
        return ""
    if needs_network(error):
        return "needs the network, which is not to be had here"
    if isinstance(error, FileNotFoundError):
        return f"needs the file `{error.filename}`, which is not there" if error.filename else "needs a file that is not there"
    missing = missing_package(error)
    return missing.removeprefix("it ")


def _trains(file: str) -> bool:
    try:
        return _TRAINS.search(Path(file).read_text("utf-8", errors="replace")) is not None
    except OSError:
        return False
