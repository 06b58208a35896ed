"""How much memory a process holds, and how much the machine has. Linux tells; where it does not, nothing is limited."""

from __future__ import annotations

import os
import re
from pathlib import Path


def held_by(pid: int) -> int:
    """Bytes in memory of the process, 0 where that cannot be told."""
    try:
        match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0


def of_the_machine() -> int:
    """Bytes of memory, 0 where that cannot be told."""
    names = getattr(os, "sysconf_names", {})
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if "SC_PHYS_PAGES" in names else 0
