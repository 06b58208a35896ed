"""Notebooks as Python: what is left of a cell, and which files are no notebooks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradflow.capture.launch.notebook import Cell, read_cells
from gradflow.errors import TargetError
from gradflow.notebook_code import as_python


@pytest.mark.parametrize(
    ("cell", "python"),
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1"),
        ("!pip install \\\n  torch\nx = 1", "pass\n\nx = 1"),
        ("if x:\n    %cd data\n", "if x:\n    pass\n"),
        ("%time train()", "train()"),
        ("files = !ls\nrate = %env RATE", "files = None\nrate = None"),
        ("?torch.nn\nmodel?\nmodel.forward??", "pass\npass\npass"),
        ("%%time\ntrain()", "\ntrain()"),
        ("\n%%capture out\ntrain()", "\n\ntrain()"),
        ("%%bash\nrm -r data\necho", "\n\n"),
        ("!echo \"it's\nx = 1", "pass\nx = 1"),
        ("!cat <<'''\nx = 1", "pass\nx = 1"),
    ],
)
def test_what_only_a_notebook_understands_does_nothing_and_each_line_keeps_its_number(cell: str, python: str) -> None:
    assert as_python(cell) == python


@pytest.mark.parametrize(
    "cell",
    ["x = ('%d'\n     % 5)", "x = 17 \\\n  % 5", "s = '''\n%time\n!ls\n'''", "def f(:\n    pass", "", "x != 3", "%%time_it_not = 3 if"],
)
def test_what_python_reads_itself_and_errors_stay_as_they_are(cell: str) -> None:
    assert as_python(cell) == ("" if cell.startswith("%%") else cell)


def write(folder: Path, content: object) -> str:
    path = folder / "book.ipynb"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def test_code_cells_are_counted_from_one_and_other_cells_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cells = [{"cell_type": kind, "source": text} for kind, text in [("markdown", ["# a"]), ("code", ["x = 1\n", "y"]), ("code", "z")]]
    write(tmp_path, {"cells": cells, "metadata": {}})
    assert read_cells("book.ipynb") == (Cell("book.ipynb[cell 1]", "x = 1\ny"), Cell("book.ipynb[cell 2]", "z"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("import torch", "is no notebook of format 4: JSONDecodeError"),
        ({"worksheets": []}, "is no notebook of format 4: KeyError: 'cells'"),
        ([], "is no notebook of format 4: TypeError"),
        ({"cells": [], "metadata": {"kernelspec": {"language": "R"}}}, "is a notebook in R: expected one in Python"),
    ],
)
def test_a_file_that_is_no_python_notebook_is_told_in_one_sentence(content: object, sentence: str, tmp_path: Path) -> None:
    place = write(tmp_path, content)
    with pytest.raises(TargetError) as error:
        read_cells(place)
    assert sentence in str(error.value)
