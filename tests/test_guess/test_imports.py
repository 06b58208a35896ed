"""Files that Python, run on them alone, could not import: what their project holds is found, what is missing is named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradflow.capture.launch.main_module import run_file
from gradflow.capture.launch.missing_package import missing_package
from gradflow.capture.launch.project import ProjectFinder, directories_above


@pytest.fixture
def as_found() -> Iterator[None]:
    """What running a file changes in the interpreter is put back."""
    path, finders, argv, main = list(sys.path), list(sys.meta_path), list(sys.argv), sys.modules["__main__"]
    known = set(sys.modules)
    yield
    sys.path[:], sys.meta_path[:], sys.argv[:] = path, finders, argv
    sys.modules["__main__"] = main
    for name in set(sys.modules) - known:
        del sys.modules[name]


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def test_a_file_finds_what_its_project_holds_above_it(tmp_path: Path, as_found: None) -> None:
    _write(tmp_path, {"README.md": "", "gf_layers/gf_attend.py": "WIDTH = 7\n", "models/net.py": "from gf_layers.gf_attend import WIDTH\n"})
    run_file(str(tmp_path / "models" / "net.py"), [])
    assert sys.modules["__main__"].__dict__["WIDTH"] == 7


def test_a_directory_with_a_readme_of_its_own_is_no_root_below_another(tmp_path: Path) -> None:
    _write(tmp_path, {"README.md": "", "setup.py": "", "models/README.md": "", "models/net.py": ""})
    assert directories_above(tmp_path / "models" / "net.py") == [tmp_path]


def test_a_relative_import_without_a_package_means_the_directory(tmp_path: Path, as_found: None) -> None:
    _write(tmp_path, {"gf_parts_dir/parts.py": "WIDTH = 9\n", "gf_parts_dir/net.py": "from .parts import WIDTH\n"})
    run_file(str(tmp_path / "gf_parts_dir" / "net.py"), [])
    assert sys.modules["__main__"].__dict__["WIDTH"] == 9


def test_nothing_is_looked_for_outside_of_a_project(tmp_path: Path) -> None:
    _write(tmp_path, {"gf_loose.py": "", "models/deep/net.py": ""})
    assert directories_above(tmp_path / "models" / "deep" / "net.py") == []


def test_an_empty_directory_is_no_package_and_submodules_are_left_to_python(tmp_path: Path) -> None:
    _write(tmp_path, {"README.md": "", "models/net.py": "", "gf_data/readme.txt": ""})
    finder = ProjectFinder(tmp_path / "models" / "net.py")
    assert finder.find_spec("gf_data", None) is None
    assert finder.find_spec("models.net", [str(tmp_path)]) is None
    assert finder.find_spec("models", None) is not None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("cv2", "it imports `cv2`, which is not installed: pip install opencv-python"),
        ("sklearn.metrics", "it imports `sklearn.metrics`, which is not installed: pip install scikit-learn"),
        ("somebodys_own", "it imports `somebodys_own`, which is not installed"),
    ],
)
def test_a_missing_package_is_named_with_its_pip_name_where_that_is_sure(name: str, sentence: str) -> None:
    assert missing_package(ModuleNotFoundError(f"No module named {name!r}", name=name)) == sentence


def test_another_error_is_none_of_a_missing_package() -> None:
    assert missing_package(ImportError("cannot import name 'x'")) == ""


def test_a_script_in_a_safe_path_finds_nothing_more(tmp_path: Path) -> None:
    _write(tmp_path, {"README.md": "", "gf_layers.py": "", "models/net.py": "import gf_layers\n"})
    code = "import sys; from gradflow.capture.launch.main_module import run_file; run_file(sys.argv[1], [])"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(tmp_path / "models" / "net.py")], capture_output=True, text=True, check=False
    )
    assert "No module named 'gf_layers'" in done.stderr
