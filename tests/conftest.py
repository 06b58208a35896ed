"""What holds for all tests: one thread for torch, in this process and in those that tests start.

Two test processes on two cores would otherwise wait for each other at every small operation.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
