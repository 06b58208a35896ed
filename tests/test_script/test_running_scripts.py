"""Programs run as plain Python runs them, and are stopped when enough was seen, whatever style they are written in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from script_runs import CLEAN, TRAINING, audit, audit_text, environment, is_running, write

SELF_PORTRAIT = """
import json, os, sys
print("SELF " + json.dumps({
    "argv": sys.argv, "name": __name__, "file": __file__, "package": __package__ or None, "spec": getattr(__spec__, "name", None),
    "first_path": sys.path[0], "cwd": os.getcwd(), "main": sys.modules["__main__"].__dict__ is globals(),
    "doc": __doc__, "rest_of_path": [p for p in sys.path[1:] if p not in EXTRA], "annotations": str(f.__annotations__),
}), flush=True)
"""
DEFINES = '"""Its docstring."""\ndef f(x: int): pass\nEXTRA = {extra!r}\n'


def portrait(text: str) -> dict[str, object]:
    lines = [line for line in text.splitlines() if line.startswith("SELF ")]
    assert len(lines) == 1, text
    found = json.loads(lines[0].removeprefix("SELF "))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("words", [["sub/show.py"], ["-m", "sub.show"], ["-m", "sub"]], ids=" ".join)
@pytest.mark.parametrize("package", [False, True], ids=["plain", "package"])
def test_a_program_sees_what_it_sees_under_plain_python(package: bool, words: list[str], tmp_path: Path) -> None:
    text = DEFINES.format(extra=[str(tmp_path)] if words[0] != "-m" else []) + SELF_PORTRAIT
    write(tmp_path, text, "sub/show.py")
    write(tmp_path, text, "sub/__main__.py")
    if package:
        write(tmp_path, "", "sub/__init__.py")
    arguments = ["--steps", "7", "-m", "x"]
    plain = subprocess.run(
        [sys.executable, *words, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True, env=environment()
    )
    run = audit(tmp_path, *words, *arguments)
    ours, theirs = portrait(run.err), portrait(plain.stdout)
    if package and words[0] != "-m":
        # Said in the documentation: a script that lies in a package belongs to it, so that its relative imports work.
        assert ours.pop("package") == "sub" and theirs.pop("package") is None
    assert ours == theirs
    assert run.outcome == (2, "nothing")


def test_relative_imports_work_in_a_script_of_a_package(tmp_path: Path) -> None:
    write(tmp_path, "", "pkg/__init__.py")
    write(tmp_path, "", "pkg/inner/__init__.py")
    write(tmp_path, "RATE = 0.1\n", "pkg/settings.py")
    write(tmp_path, "from ..settings import RATE\nfrom . import other\n" + CLEAN, "pkg/inner/train.py")
    write(tmp_path, "", "pkg/inner/other.py")
    run = audit(tmp_path, "pkg/inner/train.py")
    assert run.outcome == (0, "clean")
    assert run.document["target"] == {"kind": "script", "file": "pkg/inner/train.py", "reproduce": "gradflow audit pkg/inner/train.py"}


def test_a_module_is_run_by_its_name(tmp_path: Path) -> None:
    write(tmp_path, "", "pkg/__init__.py")
    write(tmp_path, "from . import sizes\n" + CLEAN, "pkg/train.py")
    write(tmp_path, "", "pkg/sizes.py")
    run = audit(tmp_path, "-m", "pkg.train", "--lr", "1")
    assert run.outcome == (0, "clean")
    assert run.document["target"] == {"kind": "script", "file": "pkg/train.py", "reproduce": "gradflow audit -m pkg.train --lr 1"}


def test_a_program_is_stopped_after_three_steps_or_as_many_as_asked_for(tmp_path: Path) -> None:
    assert audit_text(tmp_path, CLEAN.replace("range(5)", "range(10**9)")).document["steps"]["optimizer"] == 3
    run = audit(tmp_path, "--steps", "7", "train.py")
    assert run.document["steps"]["optimizer"] == 7
    assert run.document["target"]["reproduce"] == "gradflow audit --steps 7 train.py"


def test_no_finally_and_no_exit_handler_runs_when_the_program_is_stopped(tmp_path: Path) -> None:
    end = """
import atexit
atexit.register(lambda: open("at_exit", "w"))
try:
    while True:
        step()
finally:
    torch.save(net.state_dict(), "last.pt")
"""
    assert audit_text(tmp_path, TRAINING + end).outcome == (0, "clean")
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]


def test_a_loop_that_swallows_everything_is_stopped(tmp_path: Path) -> None:
    assert audit_text(tmp_path, TRAINING + "\nwhile True:\n    try:\n        step()\n    except:\n        pass\n").outcome == (0, "clean")


def test_a_program_that_ends_by_itself_runs_its_exit_handlers_and_keeps_its_files(tmp_path: Path) -> None:
    end = "\nstep()\nlog = open('log.txt', 'w')\nlog.write('step 1')\nimport atexit\natexit.register(print, 'good bye')\n"
    run = audit_text(tmp_path, TRAINING + end)
    assert run.outcome == (0, "clean")
    assert (tmp_path / "log.txt").read_text() == "step 1" and "good bye\n" in run.err


def test_sys_exit_0_after_training_is_a_good_end(tmp_path: Path) -> None:
    assert audit_text(tmp_path, TRAINING + "\ndef main():\n    step()\n    return 0\nimport sys\nsys.exit(main())\n").outcome == (
        0,
        "clean",
    )


def test_a_checkpoint_that_was_there_is_not_overwritten_and_the_report_says_so(tmp_path: Path) -> None:
    (tmp_path / "best.pt").write_bytes(b"weeks of work")
    end = """
step()
torch.save({"epoch": 1}, "best.pt")
torch.save({"epoch": 2}, f="best.pt")
assert torch.load("best.pt")["epoch"] == 2
torch.save({"epoch": 1}, "new.pt")
torch.save({"epoch": 2}, "new.pt")
"""
    run = audit_text(tmp_path, TRAINING + end)
    assert run.outcome == (0, "clean"), run.err
    assert run.document["notes"] == ["a save onto `best.pt` went to a temporary file, which is gone: `best.pt` is unchanged"]
    assert (tmp_path / "best.pt").read_bytes() == b"weeks of work"
    check = "import torch; print(torch.load('new.pt', weights_only=True)['epoch'])"
    assert subprocess.run([sys.executable, "-c", check], cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "2\n"


LOADER = """
import os
from torch.utils.data import DataLoader, Dataset

class Data(Dataset):
    def __len__(self):
        return 64
    def __getitem__(self, index):
        open(f"worker-{os.getpid()}", "w").close()
        return torch.full((4,), float(index))

if __name__ == "__main__":
    for batch in DataLoader(Data(), batch_size=4, num_workers=2, multiprocessing_context=CONTEXT):
        optimizer.zero_grad()
        net(batch).mean().backward()
        optimizer.step()
"""


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_of_a_data_loader_work_report_nothing_and_are_gone(context: str, tmp_path: Path) -> None:
    run = audit_text(tmp_path, TRAINING + LOADER.replace("CONTEXT", repr(context)))
    assert run.outcome == (0, "clean"), run.err
    pids = [int(path.name.split("-")[1]) for path in tmp_path.glob("worker-*")]
    assert len(pids) == 2 and [pid for pid in pids if is_running(pid)] == []


def test_a_forked_child_that_runs_to_the_end_reports_nothing(tmp_path: Path) -> None:
    run = audit_text(tmp_path, TRAINING + "\nimport os\nchild = os.fork()\nif child:\n    os.waitpid(child, 0)\n    step()\n")
    assert run.outcome == (0, "clean")
    assert run.document["steps"]["optimizer"] == 1


def test_a_training_in_a_thread_that_nobody_joins_is_seen(tmp_path: Path) -> None:
    run = audit_text(tmp_path, TRAINING + "\nimport threading, time\nthreading.Thread(target=lambda: (time.sleep(0.5), step())).start()\n")
    assert run.outcome == (0, "clean")
    assert run.document["steps"] == {"backward": 1, "optimizer": 1}


def test_a_program_counts_no_thread_of_ours(tmp_path: Path) -> None:
    run = audit_text(tmp_path, "import threading\nprint('threads', threading.active_count())\n" + CLEAN)
    assert "threads 1\n" in run.err


def test_standard_input_is_the_programs(tmp_path: Path) -> None:
    run = audit_text(tmp_path, CLEAN + "\n", given="")
    assert run.outcome == (0, "clean")
    run = audit_text(tmp_path, "name = input()\nprint('hello', name)\n" + CLEAN, given="gradient\n")
    assert run.outcome == (0, "clean") and "hello gradient\n" in run.err


def test_a_program_that_changes_its_directory_is_reported_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    run = audit_text(tmp_path, "import os\nos.chdir('runs')\n" + CLEAN.replace("self.first(x)", "self.first(x).detach()"))
    assert run.outcome == (1, "findings")
    assert run.document["target"]["file"] == "train.py"
    assert {site["file"] for finding in run.document["findings"] for site in finding["sites"]} == {"train.py"}


def test_files_named_like_standard_modules_do_not_reach_gradflow(tmp_path: Path) -> None:
    for name in ("typing", "dataclasses", "pickle", "inputs", "target", "gradflow"):
        write(tmp_path, "raise ImportError('the wrong file')\n", f"{name}.py")
    write(tmp_path, CLEAN, "code/train.py")
    run = audit(tmp_path, "code/train.py", PYTHONSAFEPATH="1")
    assert run.outcome == (0, "clean"), run.err


def test_classes_of_the_program_can_be_pickled_and_copied(tmp_path: Path) -> None:
    text = """
import copy, dataclasses, inspect, pickle
@dataclasses.dataclass
class Settings:
    rate: float = 0.1
assert pickle.loads(pickle.dumps(Settings())) == copy.deepcopy(Settings()) == Settings()
assert "rate: float" in inspect.getsource(Settings)
"""
    assert audit_text(tmp_path, text + CLEAN).outcome == (0, "clean")


def test_switches_that_suit_an_audit_are_set_unless_the_user_has_set_them(tmp_path: Path) -> None:
    show = "import os\nprint([os.environ[k] for k in ('TORCHDYNAMO_DISABLE', 'MPLBACKEND', 'WANDB_MODE')])\n"
    assert "['1', 'Agg', 'disabled']" in audit_text(tmp_path, show).err
    assert "['1', 'svg', 'disabled']" in audit_text(tmp_path, show, MPLBACKEND="svg").err


def test_a_program_learns_nothing_of_the_audit_from_its_environment(tmp_path: Path) -> None:
    run = audit_text(tmp_path, "import os\nprint('names', sorted(k for k in os.environ if 'GRADFLOW' in k))\n")
    assert "names []\n" in run.err


def test_a_call_is_audited_where_there_is_no_backward(tmp_path: Path) -> None:
    run = audit_text(tmp_path, TRAINING + "\nprint(net(torch.randn(3, 4)).shape)\n")
    assert run.outcome == (0, "clean")
    assert run.document["target"]["kind"] == "call"
    assert "a call that the script makes, with a made-up loss: gradflow audit train.py" in run.err


def test_two_runs_of_one_program_give_the_same_bytes(tmp_path: Path) -> None:
    assert audit_text(tmp_path, CLEAN).out == audit_text(tmp_path, CLEAN).out


def text_report(folder: Path, *words: str, **changes: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "gradflow", "audit", *words], cwd=folder, capture_output=True, env=environment(**changes), check=False
    )


def test_the_text_report_is_plain_where_nobody_looks_at_it(tmp_path: Path) -> None:
    write(tmp_path, CLEAN)
    done = text_report(tmp_path, "train.py", PYTHONUTF8="1")
    assert done.returncode == 0 and b"\x1b[" not in done.stdout
    assert "●" in done.stdout.decode("utf-8")
    assert b"gradflow audit train.py" in done.stdout


def test_the_text_report_is_ascii_where_the_terminal_is(tmp_path: Path) -> None:
    write(tmp_path, CLEAN)
    done = text_report(tmp_path, "train.py", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0 and done.stdout.isascii() and done.stdout


def test_colour_can_be_asked_for_and_a_file_has_none(tmp_path: Path) -> None:
    write(tmp_path, CLEAN)
    assert b"\x1b[" in text_report(tmp_path, "--color", "always", "train.py").stdout
    done = text_report(tmp_path, "-o", "report.txt", "train.py")
    assert done.stdout == b"" and "●" in (tmp_path / "report.txt").read_text("utf-8")
