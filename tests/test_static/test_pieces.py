"""A file that is only imported is cut at its top level: what is parsed piece by piece is what Python parses as a whole."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gradflow
from gradflow.static.lint import Lookout, lint_paths
from gradflow.static.names import Class, Function, Package
from gradflow.static.pieces import Piece, pieces_of
from gradflow.static.read import read_outline
from tests.test_static.read_files import codes_of

OWN = sorted(Path(gradflow.__file__).parent.rglob("*.py"))

CUT = {
    "decorators": "import a\n\n\n@a(\n    1,\n)\n@b\nclass C(\n    A,\n    metaclass=M,\n):\n    x = 1\n\n\n"
    "async def f(\n    a,\n) -> int:\n    return a\n",
    "strings": 'TEXT = """\nnot code\n"""\n\n\ndef f():\n    """A text.\n\nWith a line at the margin.\n    """\n'
    '    return \'"""\'\n\n\ny = 2\n',
    "blocks": "try:\n    import a\nexcept ImportError:\n    a = None\nelse:\n    def g(): ...\nif a:\n    class D: ...\n"
    "class E(D): ...\nx = 1; y = 2\n",
    "comments": 'def f(): ...\n# at the margin: """\ndef g():\n# and inside\n    return 1\n#end',
    "twice": "def f(): ...\nf = 1\ndef f(): return 2\nclass f: ...\n",
    "unfinished": "def f(): return 1",
}
NOT_CUT = {
    "definition in a string": 'TEXT = """\nclass A:\n    x = 1\n"""\n\n\ndef f(): ...\n',
    "line goes on": "def f():\n    return 1 + \\\n2\n\n\ndef g(): ...\n",
    "form feed": "def f(): ...\n\fdef g(): ...\n",
    "statement after a decorator": "@a\nx = 1\ndef f(): ...\n",
}
CUT_WRONGLY = "def f():\n    return [\n1,\n2]\n\n\nclass A: ...\n"


def as_dump(tree: ast.Module) -> str:
    """All of a tree, with its places."""
    return ast.dump(tree, include_attributes=True)


def outline_of(text: str, folder: Path) -> list[ast.stmt | Piece]:
    """How a file with that text is cut."""
    (folder / "m.py").write_text(text, "utf-8")
    return read_outline(folder / "m.py", "m.py").outline


@pytest.mark.parametrize("name", CUT)
def test_the_pieces_of_a_text_are_the_text(name: str, tmp_path: Path) -> None:
    outline_of(CUT[name], tmp_path)
    source = read_outline(tmp_path / "m.py", "m.py")
    assert any(isinstance(entry, Piece) for entry in source.outline)
    first = next(entry for entry in source.outline if isinstance(entry, Piece))
    alone = source.statement(first)
    source.complete()
    assert source.tree is not None and as_dump(source.tree) == as_dump(ast.parse(CUT[name]))
    assert any(entry is alone for entry in source.tree.body)


def test_the_pieces_of_every_file_of_gradflow_are_the_file() -> None:
    cut = 0
    for path in OWN:
        source = read_outline(path, "m.py")
        cut += bool(source.outline)
        if source.outline:
            source.complete()
        assert source.tree is not None and as_dump(source.tree) == as_dump(ast.parse(path.read_bytes())), path
    assert cut > len(OWN) // 2


@pytest.mark.parametrize("name", NOT_CUT)
def test_what_cannot_be_cut_with_certainty_is_not_cut(name: str) -> None:
    assert pieces_of(NOT_CUT[name]) is None


def test_a_text_that_is_cut_in_a_bracket_is_parsed_as_a_whole(tmp_path: Path) -> None:
    assert pieces_of(CUT_WRONGLY) and outline_of(CUT_WRONGLY, tmp_path) == []
    assert as_dump(read_outline(tmp_path / "m.py", "m.py").tree or ast.Module([], [])) == as_dump(ast.parse(CUT_WRONGLY))


def test_only_what_is_asked_for_is_parsed_and_the_base_of_a_class_is_told_by_its_first_line(tmp_path: Path) -> None:
    long = "\n".join(f"    x{number} = {number}" for number in range(200))
    outline_of(f"from nn import Module\n\n\nclass A(Module):\n{long}\n\n\ndef f():\n    return A\n\n\ndef g():\n{long}\n", tmp_path)
    package = Package(str)
    module = package.load(str(tmp_path / "m.py"))
    assert module is not None and package.size < 40
    found, other = package.lookup(module, "A"), package.lookup(module, "f")
    assert isinstance(found, Class) and isinstance(other, Function) and other.node.name == "f"
    assert [ast.unparse(base) for base in found.bases] == ["Module"] and package.size < 100
    assert len(found.constants) == 200 and package.size > 2000
    tree = module.complete().tree
    assert tree is not None and found.node is tree.body[1] and package.lookup(module, "A") is found


def test_a_base_class_that_cannot_be_parsed_is_a_stranger(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text("from torch import nn\n\n\nclass Base(nn.Module):\n    def forward(self, x:\n", "utf-8")
    text = "from torch import nn\nfrom base import Base\n\n\nclass Net(Base):\n    def __init__(self):\n        super().__init__()\n"
    text += "        self.lin = nn.Linear(2, 2)\n\n    def forward(self, x):\n        return x\n"
    assert codes_of(text, tmp_path) == []
    (tmp_path / "base.py").write_text("from torch import nn\n\n\nclass Base(nn.Module):\n    pass\n", "utf-8")
    assert codes_of(text, tmp_path) == ["GF102"]


def test_a_file_is_read_alike_whether_another_imports_it_first_or_not(tmp_path: Path) -> None:
    body = "\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.a = nn.Linear(2, 2)\n"
    body += "\n    def forward(self, x):\n        return self.a(x).detach() + 1, 1\n\n    def training_step(self, x): ...\n"
    for name, imports in (("a.py", "from b import Net as Base"), ("b.py", "")):
        (tmp_path / name).write_text(f"from torch import nn\n{imports}\n{body}", "utf-8")
    together = lint_paths([tmp_path], Lookout(jobs=1)).findings
    alone = [finding for name in ("a.py", "b.py") for finding in lint_paths([tmp_path / name], Lookout()).findings]
    assert list(together) == alone and len(alone) == 2
