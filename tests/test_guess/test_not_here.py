"""What a model file wants and this machine does not have, told from the error that its last lines raised."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradflow.capture.launch.not_here import what_is_not_here


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (RuntimeError("Found no NVIDIA driver on your system: no NVIDIA driver"), "needs CUDA, which is not to be had here"),
        (OSError("<urlopen error [Errno -2] Name or service not known>"), "needs the network, which is not to be had here"),
        (FileNotFoundError("no such checkpoint"), "needs a file that is not there"),
        (ModuleNotFoundError("No module named 'thop'", name="thop"), "imports `thop`, which is not installed"),
        (KeyError("weights"), ""),
    ],
)
def test_a_gpu_the_network_a_file_and_a_package_may_be_missing(error: Exception, wanted: str) -> None:
    assert what_is_not_here(error, "") == wanted


def test_a_file_that_trains_is_not_audited_by_its_classes_for_want_of_its_data(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("loss.backward()\n", "utf-8")
    assert what_is_not_here(FileNotFoundError(2, "No such file or directory", "data.npy"), str(file)) == ""
