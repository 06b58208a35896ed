"""gradflow's side of the directory in which the processes of a program report: see `rank`. Never imports torch.

`PID.begun` says that a process trains, `PID.RANK.WORLD.ending` holds what it saw, `PID.failed` why it could not be watched. Of the two
named pipes `ask` and `leave` this side holds the ends that write; closing one is the word, and it is given even where gradflow is killed.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from gradflow.capture.launch.job import Ending, read


@dataclass(frozen=True, slots=True)
class RankEnding:
    """How one process ended: its rank (torch.distributed's, else its number among its parent's children), and how many ranks there are."""

    rank: int
    world: int
    ending: Ending


class RankReports:
    """The reports in `folder`, which is made here."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._folder.mkdir()
        self._pipes: dict[str, int] = {}
        if os.name == "posix":
            for name in ("ask", "leave"):
                os.mkfifo(self._folder / name)
                # for both ways, since opening one end alone waits for the other
                self._pipes[name] = os.open(self._folder / name, os.O_RDWR)

    def complete(self) -> bool:
        """Whether all processes that train have reported, and as many as they say there are."""
        done, begun, world = self._names()
        return bool(done) and begun <= done and len(done) >= world

    def ask(self) -> None:
        """Makes every process report what it has seen."""
        self._close("ask")

    def leave(self) -> None:
        """Makes every process end."""
        self._close("leave")

    def settle(self, patience: float) -> None:
        """Asks the processes that still train, and gives them `patience` seconds."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            done, begun, _ = self._names()
            if not any(_is_alive(process) for process in begun - done):
                return
            self.ask()
            time.sleep(0.02)

    def any_alive(self) -> bool:
        """Whether a process that trained is still there."""
        return any(_is_alive(process) for process in self._names()[1])

    def endings(self) -> tuple[RankEnding, ...]:
        """What was reported, by rank."""
        found = []
        for path in self._folder.glob("*.ending"):
            process, rank, world, _ = path.name.split(".")
            ending = read(str(path))
            if isinstance(ending, Ending):
                found.append((int(rank), int(process), RankEnding(int(rank), int(world), ending)))
        return tuple(entry for _, _, entry in sorted(found, key=lambda entry: entry[:2]))

    def failures(self) -> tuple[str, ...]:
        """Tracebacks of gradflow's own, from processes that it could not watch."""
        return tuple(path.read_text("utf-8") for path in sorted(self._folder.glob("*.failed")))

    def _names(self) -> tuple[set[int], set[int], int]:
        """(processes that have reported, processes that train, the largest number of ranks that any of them knows)."""
        names = [path.name.split(".") for path in self._folder.iterdir()]
        done = [parts for parts in names if parts[-1] == "ending"]
        begun = {int(parts[0]) for parts in names if parts[-1] == "begun"}
        return {int(parts[0]) for parts in done}, begun, max((int(parts[2]) for parts in done), default=0)

    def _close(self, name: str) -> None:
        pipe = self._pipes.pop(name, None)
        if pipe is not None:
            os.close(pipe)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Whether it has ended, and its parent has not looked yet; False where the system does not tell."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False
