"""Programs of several processes, seeds and compilation: what is said of each process, and that none is left behind."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from script_runs import CLEAN, TRAINING, audit, command, environment, is_running, write
from styles import CUT, NET, PARTS, STYLES, TORCHRUN, WHOLE

RANKS = STYLES["torchrun"].text


def test_a_difference_between_ranks_is_a_note_and_what_learns_anywhere_learns(tmp_path: Path) -> None:
    half = RANKS.replace(
        "return self.last(torch.tanh(self.first(x)))",
        "h = self.first(x) if torch.distributed.get_rank() else self.first(x).detach()\n        return self.last(torch.tanh(h))",
    )
    assert half != RANKS
    write(tmp_path, half)
    run = audit(tmp_path, *TORCHRUN)
    assert run.outcome == (0, "clean"), run.err
    assert "the ranks differ: `first.weight`, `first.bias` are severed on rank 0 and live on rank 1" in run.document["notes"]
    assert run.document["steps"] == {"backward": 3, "optimizer": 3}


def test_a_rank_that_raises_shows_its_own_traceback_and_the_steps_before_it_count(tmp_path: Path) -> None:
    write(tmp_path, RANKS.replace("optimizer.step()\n", "optimizer.step()\n        if step == 1: raise KeyError('shard')\n"))
    run = audit(tmp_path, *TORCHRUN)
    assert run.outcome == (0, "partial"), run.err
    assert run.document["message"] == "the program raised after a step had been judged: rank 0: KeyError: 'shard'"
    assert "raise KeyError('shard')" in run.document["crash"] and "gradflow" not in run.document["crash"]


def test_a_command_without_a_backward_and_one_that_fails_are_never_clean(tmp_path: Path) -> None:
    write(tmp_path, "import sys, torch\nprint(torch.zeros(2).sum())\nsys.exit(int(sys.argv[1]))\n")
    run = audit(tmp_path, "--", "python3", "-c", "print(1)")
    assert run.outcome == (2, "nothing")
    assert run.sentence == "the command ran to its end, and none of its processes made a backward pass"
    run = audit(tmp_path, "--", "sh", "-c", "exit 3")
    assert run.outcome == (2, "crashed")
    assert run.sentence.startswith("the command ended with exit code 3 before a step could be judged")


WAITS = (
    NET
    + """
import os, time
import torch.multiprocessing as mp


def train(rank):
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(3, 4)).pow(2).mean().backward()
    optimizer.step()
    open(f"rank-{os.getpid()}", "w").close()
    time.sleep(100)


if __name__ == "__main__":
    mp.spawn(train, nprocs=2)
"""
)


def ranks_of(folder: Path) -> list[int]:
    return [int(path.name.split("-")[1]) for path in folder.glob("rank-*")]


def test_time_runs_out_for_all_processes_and_the_steps_seen_are_judged(tmp_path: Path) -> None:
    start = time.monotonic()
    write(tmp_path, CLEAN)
    assert audit(tmp_path, "train.py").outcome == (0, "clean")
    enough = f"{5 * (time.monotonic() - start):.0f}"
    write(tmp_path, WAITS)
    run = audit(tmp_path, "--timeout", enough, "train.py")
    assert run.outcome == (0, "partial"), run.err
    assert run.document["message"] == f"the time of {enough} s ran out after a step had been judged"
    assert run.document["steps"] == {"backward": 1, "optimizer": 1}
    assert len(ranks_of(tmp_path)) == 2 and not any(is_running(pid) for pid in ranks_of(tmp_path))


HOLD = """
def wait():
    import os, time
    open(f"rank-{os.getpid()}", "w").close()
    time.sleep(100)


def main():"""


def test_a_command_whose_gradflow_is_killed_leaves_no_rank(tmp_path: Path) -> None:
    write(tmp_path, RANKS.replace("optimizer.step()\n", "optimizer.step()\n        wait()\n").replace("def main():", HOLD))
    child = subprocess.Popen(command(*TORCHRUN), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    until = time.monotonic() + 80
    while len(ranks_of(tmp_path)) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    child.kill()
    child.wait()
    pids = ranks_of(tmp_path)
    while any(is_running(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert len(pids) == 2 and [pid for pid in pids if is_running(pid)] == []


def test_a_seed_reaches_every_source_of_random_numbers_in_every_process(tmp_path: Path) -> None:
    # one write a process: what two of them print at the same time must not run into each other
    show = "import os, random, numpy, torch\n"
    show += "os.write(1, f'drew {random.random()} {numpy.random.rand()} {torch.rand(1).item()}\\n'.encode())\n"
    write(tmp_path, show + CLEAN)

    def drawn(*words: str) -> set[str]:
        run = audit(tmp_path, *words)
        assert run.outcome == (0, "clean"), run.err
        return {line for line in run.err.splitlines() if line.startswith("drew")}

    seeded = drawn("--seed", "7", "train.py")
    assert len(seeded) == 1
    assert drawn("--seed", "7", "--", "torchrun", "--standalone", "--nproc-per-node", "2", "train.py") == seeded
    assert drawn("--seed", "8", "train.py") != seeded
    run = audit(tmp_path, "--seed", "7", "train.py")
    assert run.document["target"]["reproduce"] == "gradflow audit --seed 7 train.py"


def test_a_quiet_command_says_nothing_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, "import os\nprint('loud', flush=True)\nos.write(2, b'louder')\n" + CLEAN)
    run = audit(tmp_path, "--quiet-script", "--", "torchrun", "--standalone", "--nproc-per-node", "1", "train.py")
    assert run.outcome == (0, "clean")
    assert "loud" not in run.err and "loud" not in run.out


COMPILED = (
    PARTS
    + """
net = torch.compile(model, backend="aot_eager")
for step in range(20):
    optimizer.zero_grad()
    net(torch.randn(3, 4)).pow(2).mean().backward()
    optimizer.step()
"""
)


def test_with_compile_a_cut_inside_compiled_code_is_an_error_at_the_line_of_its_call(tmp_path: Path) -> None:
    write(tmp_path, COMPILED)
    whole = audit(tmp_path, "--compile", "train.py")
    assert whole.outcome == (0, "clean"), whole.err
    assert {row["verdict"] for row in whole.document["parameters"]} == {"live"}
    assert any("what ran compiled was judged by autograd alone" in note for note in whole.document["notes"])
    assert whole.document["target"]["reproduce"] == "gradflow audit --compile train.py"
    write(tmp_path, COMPILED.replace(WHOLE, CUT))
    cut = audit(tmp_path, "--compile", "train.py")
    assert cut.outcome == (1, "findings"), cut.err
    (finding,) = cut.document["findings"]
    assert (finding["code"], finding["parameters"]) == ("GF106", ["first.weight", "first.bias"])
    assert [site["source"].strip() for site in finding["sites"]] == ["net(torch.randn(3, 4)).pow(2).mean().backward()"]


def test_a_command_of_one_process_is_judged_as_the_script_alone(tmp_path: Path) -> None:
    write(tmp_path, TRAINING + "\nstep()\nstep()\n")
    run = audit(tmp_path, "--", "torchrun", "--standalone", "--nproc-per-node", "1", "train.py")
    assert run.outcome == (0, "clean"), run.err
    assert run.document["notes"] == [] and run.document["steps"] == {"backward": 2, "optimizer": 2}
    assert run.document["target"]["file"] == "train.py"
