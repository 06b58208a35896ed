"""What an audit keeps of operations that no loss comes from: `python tests/bench/prelude.py [OPERATIONS]`. Prints a table, asserts nothing.

Each program does so many operations before its one training step. It is run as it is and under `gradflow audit`; the difference of the peak
resident sizes is what gradflow keeps, its own modules and the one step included (the row without a prelude says how much that is).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

UNIT = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there, in KiB elsewhere

PROGRAM = """
import torch
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
{prelude}
loss = model(torch.randn(8, 4)).square().mean()
loss.backward()
optimizer.step()
"""

PRELUDES = {
    "none": "",
    "data is prepared": "x = torch.randn(4)\nfor _ in range({count} // 2):\n    x = x * 0.5\n    x = x + 1.0",
    "results are made and dropped": "for _ in range({count} // 4):\n    model(torch.zeros(1, 4))\n",
    "rollout, actions leave torch": (
        "state = [0.0] * 4\nwith torch.no_grad():\n    for _ in range({count} // 6):\n"
        "        action = model(torch.tensor(state)).argmax().item()\n        state = [0.5 * s + action for s in state]"
    ),
    "rollout that feeds itself": (
        "state = torch.zeros(1, 4)\nwith torch.no_grad():\n    for _ in range({count} // 5):\n"
        "        state = torch.cat([state[:, 2:], model(state)], 1)\ndel state"
    ),
}


def run(arguments: list[str], folder: str) -> tuple[float, float, int]:
    """(CPU seconds, peak MiB, exit code) of a process and of what it waited for."""
    child = subprocess.Popen([sys.executable, *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / UNIT, child.returncode


def main() -> None:
    """Prints the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(f"{f'{count:,} operations':<34}{'plain s':>9}{'MiB':>7}{'audit s':>9}{'MiB':>7}{'difference MiB':>16}  exit")
    with tempfile.TemporaryDirectory() as folder:
        for name, prelude in PRELUDES.items():
            Path(folder, "train.py").write_text(PROGRAM.format(prelude=prelude.format(count=count)), "utf-8")
            plain_seconds, plain, _ = run(["train.py"], folder)
            seconds, audited, code = run(["-m", "gradflow", "audit", "--timeout", "900", "train.py"], folder)
            print(f"{name:<34}{plain_seconds:>9.1f}{plain:>7.0f}{seconds:>9.1f}{audited:>7.0f}{audited - plain:>16.0f}  {code}", flush=True)


if __name__ == "__main__":
    main()
