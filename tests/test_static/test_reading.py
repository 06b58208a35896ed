"""Files as people have them: encodings, notebooks, errors of syntax; and the comments, caches and processes of `lint`."""

from __future__ import annotations

import ast
import json
import random
import sys
from pathlib import Path

import pytest
from read_files import findings_of
from rewritings import CERTAIN, NOT_CERTAIN, model

from gradflow import lint
from gradflow.report import Outcome, Report
from gradflow.static.analyse import analyse
from gradflow.static.classes import Hierarchy
from gradflow.static.files import files_of
from gradflow.static.lint import Lookout, lint_paths
from gradflow.static.names import Package
from gradflow.static.parallel import Read, Reader
from gradflow.static.read import UnreadableSource, decode, parse_source
from gradflow.static.relevance import Relevance

FAULT = model(CERTAIN["with block"])


def lines_of(found: object) -> list[tuple[str, int]]:
    assert isinstance(found, Report)
    return [(finding.code, finding.cause.line) for finding in found.findings if finding.cause is not None]


def test_a_syntax_error_is_one_finding_at_its_place(tmp_path: Path) -> None:
    (finding,) = findings_of("import torch\ndef f(:\n    pass\n", tmp_path)
    assert finding.code == "GF000" and finding.cause is not None
    assert (finding.cause.line, finding.cause.column) == (2, 7)


def test_a_byte_order_mark_a_coding_line_and_a_form_feed_are_read(tmp_path: Path) -> None:
    (tmp_path / "bom.py").write_bytes(b"\xef\xbb\xbf" + FAULT.encode())
    (tmp_path / "latin.py").write_bytes("# -*- coding: latin-1 -*-\n# \xe9t\xe9\n".encode("latin-1") + FAULT.encode())
    (tmp_path / "feed.py").write_text("\x0c\n" + FAULT, "utf-8")
    codes = {path.name: [line for _, line in lines_of(lint(path))] for path in tmp_path.iterdir()}
    line = FAULT.split("\n").index("        with torch.no_grad():") + 1
    assert codes == {"bom.py": [line], "latin.py": [line + 2], "feed.py": [line + 1]}


def test_bytes_that_are_no_text_are_one_finding(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_bytes(b"import torch\nx = '\xff\xfe'\n")
    assert [finding.code for finding in lint(tmp_path).findings] == ["GF000"]
    with pytest.raises(UnreadableSource, match="cannot be decoded"):
        decode(b"# coding: no-such-thing\n")


def test_columns_count_characters_and_not_bytes(tmp_path: Path) -> None:
    text = model('\n    def forward(self, x):\n        "é"; x = self.lin1(self.lin0(x)).detach()\n        return self.lin2(x)')
    (finding,) = findings_of(text, tmp_path)
    assert finding.cause is not None
    assert finding.cause.source[finding.cause.column - 1 : finding.cause.end_column - 1] == "self.lin1(self.lin0(x)).detach()"


def test_the_code_cells_of_a_notebook_are_read_without_magics(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# with torch.no_grad():\n"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "!pip install \\\n", "      torch\n", "import torch\n"]},
        {"cell_type": "code", "source": FAULT.splitlines(keepends=True)},
        {"cell_type": "code", "source": "%%bash\nls\n"},
    ]
    (tmp_path / "train.ipynb").write_text(json.dumps({"cells": cells}), "utf-8")
    assert [finding.code for finding in lint(tmp_path).findings] == ["GF101"]
    (tmp_path / "train.ipynb").write_text("{}", "utf-8")
    assert [finding.code for finding in lint(tmp_path).findings] == ["GF000"]


def test_stubs_and_excluded_files_are_passed_over(tmp_path: Path) -> None:
    for name in ("a.py", "a.pyi", "vendor/b.py", "__pycache__/c.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(FAULT, "utf-8")
    assert [path.name for path in files_of([tmp_path])] == ["a.py", "b.py"]
    assert [path.name for path in files_of([tmp_path], ["vendor"])] == ["a.py"]
    assert [path.name for path in files_of([tmp_path], ["*/b.py"])] == ["a.py"]


@pytest.mark.parametrize("comment", ["# gradflow: ignore[GF101] frozen for now", "# gradflow: ignore[GF103, GF101]"])
def test_a_comment_on_the_line_silences_the_finding(comment: str, tmp_path: Path) -> None:
    text = FAULT.replace("with torch.no_grad():", f"with torch.no_grad():  {comment}")
    (tmp_path / "model.py").write_text(text, "utf-8")
    report = lint(tmp_path)
    assert report.outcome is Outcome.CLEAN and len(report.suppressed) == 1


def test_a_comment_for_another_code_silences_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(FAULT.replace("no_grad():", "no_grad():  # gradflow: ignore[GF102]"), "utf-8")
    assert lint(tmp_path).outcome is Outcome.FINDINGS


def test_codes_are_selected_and_ignored(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(FAULT, "utf-8")
    assert lint(tmp_path, select=["GF2"]).findings == ()
    assert lint(tmp_path, ignore=["GF1"]).outcome is Outcome.CLEAN
    assert lint(tmp_path, fail_on="never").outcome is Outcome.CLEAN


def test_the_cache_gives_the_same_report_and_notices_every_change(tmp_path: Path) -> None:
    folder, cache = tmp_path / "pkg", str(tmp_path / "cache")
    folder.mkdir()
    (folder / "__init__.py").write_text("", "utf-8")
    (folder / "base.py").write_text(
        "import torch\n\n\ndef freeze(layer, x):\n    with torch.no_grad():\n        return layer(x)\n", "utf-8"
    )
    text = model(
        "\n    def forward(self, x):\n        return self.lin2(freeze(self.lin1, self.lin0(x)))", before="from .base import freeze"
    )
    (folder / "model.py").write_text(text, "utf-8")
    first = lint_paths([folder], Lookout(cache=cache))
    assert first == lint_paths([folder], Lookout(cache=cache)) == lint_paths([folder], Lookout())
    assert [finding.code for finding in first.findings] == ["GF101"]
    (folder / "base.py").write_text("def freeze(layer, x):\n    return layer(x)\n", "utf-8")
    assert lint_paths([folder], Lookout(cache=cache)).findings == ()
    (folder / "base.py").unlink()
    assert lint_paths([folder], Lookout(cache=cache)).findings == ()
    assert len(list((tmp_path / "cache").glob("lint-*.json"))) == 1


def test_several_processes_say_what_one_says_in_the_same_order(tmp_path: Path) -> None:
    for number, methods in enumerate([*CERTAIN.values(), *NOT_CERTAIN.values()]):
        (tmp_path / f"m{number:03}.py").write_text(model(methods), "utf-8")
    one, two = lint_paths([tmp_path], Lookout(jobs=1)), lint_paths([tmp_path], Lookout(jobs=2))
    assert one == two and len(one.findings) >= len(CERTAIN)


def test_nothing_is_executed_and_neither_torch_nor_what_only_an_audit_needs_is_imported(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "model.py").write_text("open('ran', 'w').close()\n" + FAULT, "utf-8")
    check = "import sys, gradflow, gradflow.cli_screen; r = gradflow.lint('model.py'); assert len(r.findings) == 1;"
    check += "print({'torch', 'gradflow.graph.recording', 'gradflow.checks'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", check], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "set()\n" and not (tmp_path / "ran").exists()


@pytest.mark.parametrize("seed", range(60))
def test_mutated_sources_are_read_without_a_crash(seed: int) -> None:
    chance = random.Random(seed)
    texts = [model(methods) for methods in [*CERTAIN.values(), *NOT_CERTAIN.values()]]
    lines = chance.choice(texts).split("\n")
    for _ in range(chance.randrange(1, 6)):
        place, other = chance.randrange(len(lines)), chance.choice(chance.choice(texts).split("\n"))
        lines[place] = chance.choice([other, lines[place] + other.strip(), lines[place][: len(lines[place]) // 2], ""])
    text = "\n".join(lines)
    try:
        ast.parse(text)
        broken = False
    except SyntaxError:
        broken = True
    drafts = analyse(parse_source(text.encode(), "/nowhere/model.py", "model.py"), Relevance(Hierarchy(Package(str))))
    assert [draft.finding.code for draft in drafts].count("GF000") == broken


GIVEN_UP = "`model.py`: `Model` took too long to follow, so nothing is known of where gradients stop in there"


def test_a_class_for_which_the_time_is_over_is_named_in_a_note_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(FAULT.replace("        return", "        x = x + 1\n" * 100 + "        return"), "utf-8")
    with monkeypatch.context() as hurry:
        hurry.setattr("gradflow.static.analyse.LONGEST", -1.0)
        linted = lint_paths(["model.py"], Lookout(cache="cache"))
    assert (linted.findings, linted.notes) == ((), (GIVEN_UP,))
    assert [finding.code for finding in lint_paths(["model.py"], Lookout(cache="cache")).findings] == ["GF101"]


def test_a_class_that_takes_too_many_steps_is_named_from_the_cache_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gradflow.static.machine.MOST_WORK", 10)
    Path("model.py").write_text(FAULT, "utf-8")
    linted = lint_paths(["model.py"], Lookout(cache="cache"))
    assert (linted.findings, linted.notes) == ((), (GIVEN_UP,))
    monkeypatch.setattr("gradflow.static.lint.read_all", lambda files, jobs: pytest.fail("read anew") if files else Read([], {}))
    assert lint_paths(["model.py"], Lookout(cache="cache")) == linted


def test_what_rests_on_a_changed_file_is_read_anew_even_after_that_file_was_linted_alone(tmp_path: Path) -> None:
    folder, cache = tmp_path / "pkg", Lookout(cache=str(tmp_path / "cache"))
    folder.mkdir()
    (folder / "__init__.py").write_text("", "utf-8")
    (folder / "base.py").write_text("def through(layer, x):\n    return layer(x)\n", "utf-8")
    forward = "\n    def forward(self, x):\n        return self.lin2(through(self.lin1, self.lin0(x)))"
    (folder / "model.py").write_text(model(forward, before="from .base import through"), "utf-8")
    assert lint_paths([folder], cache).findings == ()
    (folder / "base.py").write_text("def through(layer, x):\n    return layer(x).detach()\n", "utf-8")
    assert lint_paths([folder / "base.py"], cache).findings == ()
    assert [finding.code for finding in lint_paths([folder], cache).findings] == ["GF101"]


def test_the_collector_of_cycles_is_as_it_was_after_linting(tmp_path: Path) -> None:
    import gc

    (tmp_path / "model.py").write_text(FAULT, "utf-8")
    lint_paths([tmp_path], Lookout())
    assert gc.isenabled()
    gc.disable()
    try:
        lint_paths([tmp_path], Lookout())
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_reader_with_room_for_one_file_finds_what_one_with_room_for_all_finds(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("", "utf-8")
    (tmp_path / "z_base.py").write_text("def through(layer, x):\n    return layer(x).detach()\n", "utf-8")
    forward = "\n    def forward(self, x):\n        return self.lin2(through(self.lin1, self.lin0(x)))"
    for name in "abcd":
        (tmp_path / f"{name}.py").write_text(model(forward, before="from .z_base import through"), "utf-8")
    files = [(path, path.read_bytes()) for path in files_of([tmp_path])]
    small, large = Reader(1).read_all(files), Reader().read_all(files)
    assert small == large
    assert [len(result.drafts) for result in small.results] == [0, 1, 1, 1, 1, 0]


def test_what_is_let_go_is_all_but_what_several_files_import_and_what_these_import() -> None:
    package = Package(str)
    modules = {name: package.add(parse_source(b"import torch\n", name, name)) for name in ("a", "b", "c", "d", "e")}
    modules["a"].opened |= {"c", "d"}
    modules["b"].opened |= {"c"}
    modules["c"].opened |= {"e"}
    kept = package.forget(1000)
    assert [source.path for source in kept] == ["c", "e"]
    assert all(source.tree is not None for source in kept)
    assert (modules["d"].source.tree, package.size, list(package.modules)) == (None, 0, [])


def test_the_code_of_a_function_is_without_the_examples_in_its_docstring() -> None:
    text = 'class A:\n    def f(self, x):\n        """\n        >>> x.detach()\n        """\n        return x.item()\n'
    text += '    def g(self): "x.data"; return 1\n'
    source = parse_source(text.encode(), "a.py", "a.py")
    assert source.tree is not None
    owner = source.tree.body[0]
    assert isinstance(owner, ast.ClassDef)
    assert [source.code(node) for node in owner.body] == [
        "    def f(self, x):\n        return x.item()",
        '    def g(self): "x.data"; return 1',
    ]


def test_assignments_are_counted_by_name_with_and_without_a_point() -> None:
    text = "class A:\n    on = True\n    only = 1\n    def f(self):\n        self.on: bool = False\n"
    text += "        self.on == 1\n        b.on=g(on=2)\n"
    source = parse_source(text.encode(), "a.py", "a.py")
    assert (source.assigned("on"), source.assigned(".on"), source.assigned("onl")) == (1, 2, 0)


def test_what_is_said_of_a_class_does_not_depend_on_which_files_were_read_before(tmp_path: Path) -> None:
    head = "import torch\nfrom torch import nn\n\n\n"
    inner = "class Inner(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    inner += "        self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)\n"
    inner += "\n    def forward(self, input_ids):\n        g = self.a(input_ids)\n        return self.b(g * (g > 0))\n"
    outer = "from a import Inner\n\n\nclass Outer(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    outer += "        self.inner, self.last = Inner(), nn.Linear(2, 2)\n\n    def forward(self, x):\n"
    outer += "        return self.last(self.inner(x).detach())\n\n\noptim = torch.optim.SGD(Outer().parameters(), 0.1)\n"
    (tmp_path / "a.py").write_text(head + inner, "utf-8")
    (tmp_path / "b.py").write_text(head + outer, "utf-8")
    together, alone = lint_paths([tmp_path], Lookout(jobs=1)).findings, lint_paths([tmp_path / "b.py"], Lookout()).findings
    assert together == alone and [finding.code for finding in alone] == ["GF101"]
