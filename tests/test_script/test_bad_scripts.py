"""Programs that cannot be audited, or only in part: one clear sentence, the right exit code, a whole document, nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from script_runs import CLEAN, TRAINING, Run, audit, audit_text, command, environment, is_running, write

import gradflow

PACKAGE = str(Path(gradflow.__file__).parent)


def test_a_crash_before_the_first_backward_shows_the_programs_own_traceback(tmp_path: Path) -> None:
    run = audit_text(tmp_path, TRAINING + "\ndef load():\n    return {}['weights']\nload()\nstep()\n")
    assert run.outcome == (2, "crashed")
    assert run.sentence == "the program raised before a step could be judged: KeyError: 'weights'"
    crash = run.document["crash"]
    path = tmp_path / "train.py"
    assert crash.startswith("Traceback (most recent call last):\n" + f'  File "{path}", line ')
    assert crash.rstrip().endswith("KeyError: 'weights'")
    assert "return {}['weights']" in crash and "return {}['weights']" in run.err
    assert PACKAGE not in crash and "importlib" not in crash


def test_an_error_that_torch_raises_inside_our_hooks_is_the_programs_own(tmp_path: Path) -> None:
    run = audit_text(tmp_path, TRAINING + "\nnet(torch.randn(3, 5))\n")
    assert run.outcome == (2, "crashed")
    assert "mat1 and mat2 shapes cannot be multiplied" in run.sentence
    assert PACKAGE not in run.document["crash"] and "bug in gradflow" not in run.err


def test_the_causes_of_an_exception_are_trimmed_too(tmp_path: Path) -> None:
    text = TRAINING + "\ntry:\n    net(torch.randn(3, 5))\nexcept RuntimeError as error:\n    raise ValueError('wrong batch') from error\n"
    crash = audit_text(tmp_path, text).document["crash"]
    assert "mat1 and mat2" in crash and "direct cause" in crash and "ValueError: wrong batch" in crash
    assert PACKAGE not in crash


def test_the_traceback_of_a_failing_backward_is_as_short_as_under_plain_python(tmp_path: Path) -> None:
    text = TRAINING + "\nnet(torch.randn(3, 4)).detach().sum().backward()\n"
    run = audit_text(tmp_path, text)
    plain = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, env=environment(), check=False)
    assert run.document["crash"] == plain.stderr
    assert run.outcome == (1, "findings")


def test_a_crash_after_judged_steps_is_a_partial_audit(tmp_path: Path) -> None:
    run = audit_text(tmp_path, TRAINING + "\nstep()\nstep()\nraise RuntimeError('disk full')\n")
    assert run.outcome == (0, "partial")
    assert run.document["message"] == "the program raised after a step had been judged: RuntimeError: disk full"
    assert run.document["steps"]["optimizer"] == 2 and run.document["parameters"]
    assert "disk full" in run.document["crash"]


def test_a_script_that_needs_arguments_says_what_it_wants_and_we_say_where_they_go(tmp_path: Path) -> None:
    run = audit_text(tmp_path, "import argparse\np = argparse.ArgumentParser()\np.add_argument('--data', required=True)\np.parse_args()\n")
    assert run.outcome == (2, "crashed")
    assert "the following arguments are required: --data" in run.err
    assert run.sentence == (
        "the program ended itself by sys.exit(2) before a step could be judged; if it needs arguments, they stand after the target"
    )


@pytest.mark.parametrize("end", ["", "import sys; sys.exit()", "import sys; sys.exit(0)"])
def test_a_script_that_never_calls_backward_is_never_clean(end: str, tmp_path: Path) -> None:
    run = audit_text(tmp_path, f"import torch\nprint(torch.zeros(2).sum())\n{end}\n")
    assert run.outcome == (2, "nothing")
    assert run.sentence == "the program ran to its end and made no backward pass, so there is nothing to judge"


SCRIPTED = """
import torch

class Net(torch.jit.ScriptModule):
    def __init__(self):
        super().__init__()
        self.lin = torch.nn.Linear(4, 2)

    @torch.jit.script_method
    def forward(self, x):
        return self.lin(x)
"""


def test_a_torchscript_model_says_how_it_can_be_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = audit_text(tmp_path, SCRIPTED)
    assert run.outcome == (2, "nothing")
    assert run.sentence == "`Net` is TorchScript, whose operations cannot be followed: set PYTORCH_JIT=0, and it is a plain module"
    monkeypatch.setenv("PYTORCH_JIT", "0")
    assert audit_text(tmp_path, SCRIPTED).outcome == (0, "clean")


def test_an_empty_script_is_never_clean(tmp_path: Path) -> None:
    assert audit_text(tmp_path, "").outcome == (2, "nothing")


def test_sys_exit_with_a_message_keeps_the_message(tmp_path: Path) -> None:
    run = audit_text(tmp_path, "import sys\nsys.exit('no GPU here')\n")
    assert run.outcome == (2, "crashed")
    assert "sys.exit('no GPU here')" in run.sentence and "\nno GPU here\n" in f"\n{run.err}"


def test_a_failing_sys_exit_after_judged_steps_is_a_partial_audit(tmp_path: Path) -> None:
    run = audit_text(tmp_path, TRAINING + "\nstep()\nimport sys\nsys.exit(3)\n")
    assert run.outcome == (0, "partial")
    assert run.document["message"] == "the program ended itself by sys.exit(3) after a step had been judged"


def test_a_class_without_parameters_has_nothing_to_judge(tmp_path: Path) -> None:
    text = "from torch import nn\nclass Net(nn.Module):\n    def forward(self, image, scale=1.0):\n        return image\n"
    run = audit_text(tmp_path, text)
    assert run.outcome == (2, "nothing")
    assert run.sentence == "`Net` has no parameter that could be trained, so there is nothing to judge"


def test_a_package_that_is_missing_is_named_with_what_pip_calls_it(tmp_path: Path) -> None:
    run = audit_text(tmp_path, "import sys\nsys.modules['cv2'] = None\nimport cv2\n")
    assert run.outcome == (2, "crashed")
    assert run.sentence.endswith("it imports `cv2`, which is not installed: pip install opencv-python")


def test_a_file_that_tries_its_model_on_a_gpu_has_its_classes_audited(tmp_path: Path) -> None:
    text = """
    from torch import nn
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(4, 2)
        def forward(self, x):
            return self.lin(x)
    raise RuntimeError("Found no NVIDIA driver on your system: no NVIDIA driver")
    """
    run = audit_text(tmp_path, text)
    assert run.outcome == (0, "clean")
    assert "needs CUDA, which is not to be had here" in run.document["notes"][0]


def test_a_file_whose_own_lines_want_a_file_that_is_not_there_has_the_call_before_that_audited(tmp_path: Path) -> None:
    text = "import torch\nnet = torch.nn.Linear(3, 2)\nnet(torch.randn(4, 3))\nopen('cat.txt')\n"
    run = audit_text(tmp_path, text)
    assert run.outcome == (0, "clean")
    assert run.document["notes"][0].startswith("what the file itself runs needs the file `cat.txt`, which is not there (FileNotFoundError")
    assert run.document["notes"][0].endswith("; the last call before that was audited")


@pytest.fixture(scope="module")
def enough(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Seconds in which this machine, as busy as it is, surely gets to the first step of a program."""
    start = time.monotonic()
    assert audit_text(tmp_path_factory.mktemp("timing"), CLEAN).outcome == (0, "clean")
    return f"{3 * (time.monotonic() - start):.0f}"


def test_a_timeout_without_a_step_is_no_audit(tmp_path: Path) -> None:
    write(tmp_path, "import time\nprint('waiting', flush=True)\ntime.sleep(90)\n")
    run = audit(tmp_path, "--timeout", "4", "train.py")
    assert run.outcome == (2, "timeout")
    assert run.sentence == "the time of 4 s ran out before a step could be judged"


def test_a_timeout_in_a_loop_that_swallows_everything_keeps_the_steps_seen(tmp_path: Path, enough: str) -> None:
    loop = "\nstep()\nimport time\nwhile True:\n    try:\n        time.sleep(0.01)\n    except:\n        pass\n"
    write(tmp_path, TRAINING + loop)
    run = audit(tmp_path, "--timeout", enough, "train.py")
    assert run.outcome == (0, "partial")
    assert run.document["message"] == f"the time of {enough} s ran out after a step had been judged"
    assert run.document["steps"] == {"backward": 1, "optimizer": 1}


def test_a_timeout_deep_in_c_code_keeps_the_steps_seen(tmp_path: Path, enough: str) -> None:
    # C code that runs for minutes: no signal handler in Python gets a turn in the main thread.
    write(tmp_path, TRAINING + "\nstep()\nimport hashlib\nhashlib.pbkdf2_hmac('sha256', b'a', b'b', 2_000_000_000)\n")
    run = audit(tmp_path, "--timeout", enough, "train.py")
    assert run.outcome == (0, "partial")
    assert run.document["steps"] == {"backward": 1, "optimizer": 1}


def interrupted(folder: Path, text: str) -> tuple[Run, list[int]]:
    """The run of a program that was interrupted by Ctrl-C when it had written its processes' numbers to `pids`, and these."""
    write(folder, text)
    child = subprocess.Popen(
        command("train.py"),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while not (folder / "pids").exists() and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=60)
    return Run(child.returncode, out, err), [int(word) for word in (folder / "pids").read_text().split()]


SLEEPERS = """
import os, subprocess, sys, time
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
open("pids.half", "w").write(f"{os.getpid()} {other.pid}")
os.rename("pids.half", "pids")
time.sleep(100)
"""


def test_ctrl_c_before_a_step_is_no_audit_and_leaves_no_process(tmp_path: Path) -> None:
    run, pids = interrupted(tmp_path, SLEEPERS)
    assert run.outcome == (2, "timeout")
    assert run.sentence == "interrupted by Ctrl-C before a step could be judged"
    assert [pid for pid in pids if is_running(pid)] == []
    assert "Traceback" not in run.err


def test_ctrl_c_after_a_step_keeps_what_was_seen(tmp_path: Path) -> None:
    run, pids = interrupted(tmp_path, TRAINING + "\nstep()\n" + SLEEPERS)
    assert run.outcome == (0, "partial")
    assert run.document["message"] == "interrupted by Ctrl-C after a step had been judged"
    assert [pid for pid in pids if is_running(pid)] == []


def test_the_program_ends_when_gradflow_itself_is_killed(tmp_path: Path) -> None:
    write(tmp_path, SLEEPERS)
    child = subprocess.Popen(command("train.py"), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    until = time.monotonic() + 60
    while not (tmp_path / "pids").exists() and time.monotonic() < until:
        time.sleep(0.05)
    child.kill()
    child.wait()
    pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
    while any(is_running(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert [pid for pid in pids if is_running(pid)] == []


def test_a_program_that_is_killed_is_no_audit(tmp_path: Path) -> None:
    run = audit_text(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    assert run.outcome == (2, "crashed")
    assert run.sentence == "the program was killed by SIGSEGV before a step could be judged"


def test_a_program_that_leaves_by_os_exit_is_no_audit(tmp_path: Path) -> None:
    run = audit_text(tmp_path, "import os\nos._exit(0)\n")
    assert run.outcome == (2, "crashed")
    assert run.sentence == "the program left with exit code 0, past all exit handlers (os._exit) before a step could be judged"


def test_a_torch_that_cannot_be_imported_is_said_to_be_so(tmp_path: Path) -> None:
    write(tmp_path, "raise ImportError('libc10.so: cannot open shared object file')\n", "broken/torch.py")
    run = audit_text(tmp_path, CLEAN, PYTHONPATH=str(tmp_path / "broken"))
    assert run.outcome == (2, "usage")
    assert run.sentence.startswith(f"torch cannot be imported in {sys.executable}: ImportError: libc10.so: cannot open shared object file;")


def test_a_syntax_error_in_an_imported_file_is_the_programs_own(tmp_path: Path) -> None:
    write(tmp_path, "def f(:\n", "broken.py")
    run = audit_text(tmp_path, "import broken\n")
    assert run.outcome == (2, "crashed")
    assert "SyntaxError" in run.sentence and "broken.py" in run.document["crash"]


def test_a_missing_module_is_told_without_our_frames(tmp_path: Path) -> None:
    run = audit(tmp_path, "-m", "no_such_package.train")
    assert run.outcome == (2, "usage")
    assert run.sentence == "no module named `no_such_package.train` in the working directory or among the installed packages"


BROKEN = """
import gradflow.capture.training.session as session
def fail(self, *args, **kwargs):
    {what}
session.Session.recording = fail
"""


@pytest.mark.parametrize("steps", [1, 5])
def test_a_failure_of_gradflow_itself_is_said_to_be_a_bug_and_never_clean(steps: int, tmp_path: Path) -> None:
    broken = BROKEN.format(what="raise ZeroDivisionError('the recorder fell over')")
    run = audit_text(tmp_path, TRAINING + broken + "step()\n" * steps)
    assert run.outcome == (2, "crashed")
    assert run.sentence.startswith("gradflow itself failed, and this is a bug in gradflow, please report it: ZeroDivisionError")
    assert "the recorder fell over" in run.err and "Traceback" in run.err


def test_nothing_but_the_document_is_on_stdout_whatever_the_program_prints(tmp_path: Path) -> None:
    noise = "import os\nprint('loud')\nos.write(1, b'louder')\nos.system('echo loudest')\n"
    run = audit_text(tmp_path, noise + CLEAN)
    assert run.outcome == (0, "clean")
    assert all(word in run.err for word in ("loud\n", "louder", "loudest\n"))


def test_a_quiet_script_prints_nothing_and_its_crash_is_still_told(tmp_path: Path) -> None:
    write(tmp_path, "print('loud')\nraise RuntimeError('no data')\n")
    run = audit(tmp_path, "--quiet-script", "train.py")
    assert run.outcome == (2, "crashed")
    assert "loud" not in run.err and "RuntimeError: no data" in run.err
