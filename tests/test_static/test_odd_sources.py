"""Sources nobody would write, and sources of every Python from 3.10 to 3.14: lint ends, and what cannot be parsed is one finding."""

from __future__ import annotations

import ast
import random
import re
import sys
import warnings
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from more_rewritings import BLIND
from read_files import codes_of, findings_of
from rewritings import CERTAIN, HEAD, INIT, NOT_CERTAIN, model

from gradflow.report import Finding
from gradflow.static.analyse import analyse
from gradflow.static.classes import Hierarchy
from gradflow.static.names import Package
from gradflow.static.newer_syntax import needed_python
from gradflow.static.read import parse_source
from gradflow.static.relevance import Relevance

SAMPLES = Path(__file__).parents[2] / "samples"
TEXTS = [model(methods) for methods in [*CERTAIN.values(), *NOT_CERTAIN.values()]]
TEXTS += [*BLIND.values(), *(path.read_text("utf-8") for path in sorted(SAMPLES.glob("*.py"))[::6])]
TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
LONGEST = 5.0
"""Seconds that one file may take."""
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

WORDS = [
    "self",
    ".",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "=",
    ":=",
    "*",
    "**",
    "@",
    "+",
    "-",
    "==",
    "not",
    "in",
    "is",
    "and",
    "or",
    "if",
    "else",
    "elif",
    "for",
    "while",
    "with",
    "as",
    "def",
    "class",
    "return",
    "yield",
    "await",
    "async",
    "lambda",
    "try",
    "except",
    "finally",
    "raise",
    "break",
    "continue",
    "pass",
    "del",
    "global",
    "nonlocal",
    "match",
    "case",
    "type",
    "import",
    "from",
    "None",
    "True",
    "...",
    "forward",
    "__init__",
    "super",
    "torch",
    "nn",
    "no_grad",
    "Module",
    "Linear",
    "Parameter",
    "ModuleList",
    "detach",
    "data",
    "item",
    "lin0",
    "lin1",
    "x",
    "y",
    'f"{x}"',
    "'a'",
    "0",
    "1",
]


def found_in(text: str) -> list[Finding]:
    """All findings in `text`, and that they came in time; GF000 is among them exactly where this Python cannot parse it."""
    start = monotonic()
    drafts = analyse(
        parse_source(text.encode("utf-8", "surrogatepass"), "/nowhere/model.py", "model.py"), Relevance(Hierarchy(Package(str)))
    )
    assert monotonic() - start < LONGEST
    codes = [draft.finding.code for draft in drafts]
    assert codes.count("GF000") == (not _parses(text))
    assert codes == ["GF000"] or "GF000" not in codes
    return [draft.finding for draft in drafts]


def _parses(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text.encode("utf-8", "surrogatepass").decode("utf-8"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def mutated(text: str, chance: random.Random, pattern: re.Pattern[str]) -> str:
    """`text` with some of its pieces left out, said twice, exchanged, or taken from elsewhere."""
    pieces = pattern.findall(text)
    for _ in range(chance.randrange(1, 5)):
        here, there = chance.randrange(len(pieces)), chance.randrange(len(pieces))
        how = chance.randrange(4)
        if how == 0:
            del pieces[here]
        elif how == 1:
            pieces.insert(here, pieces[here])
        elif how == 2:
            pieces[here], pieces[there] = pieces[there], pieces[here]
        else:
            pieces[here] = pieces[there]
    return "".join(pieces)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("pattern", [TOKEN, re.compile(r"[^\n]*\n|[^\n]+$")], ids=["tokens", "lines"])
def test_sources_with_pieces_left_out_doubled_and_exchanged_are_read_in_time(seed: int, pattern: re.Pattern[str]) -> None:
    chance = random.Random(seed)
    parsed = 0
    for _ in range(25):
        text = mutated(chance.choice(TEXTS), chance, pattern)
        found_in(text)
        parsed += _parses(text)
    assert parsed, "nothing but syntax errors tests no more than the parser"


def test_sources_with_names_exchanged_parse_and_are_followed_without_a_crash() -> None:
    chance = random.Random(0)
    word = re.compile(r"\bself\.\w+|\b[a-z]\w*\b(?=[(.])|\b[xyz]\b")
    for _ in range(200):
        text = chance.choice(TEXTS)
        places = list(word.finditer(text))
        one, other = chance.choice(places), chance.choice(places)
        found_in(text[: one.start()] + other.group() + text[one.end() :])


@given(st.lists(st.sampled_from([*WORDS, "\n", "\n    ", "\n        "]), max_size=60))
@QUICK
def test_words_of_python_in_any_order_are_read(words: list[str]) -> None:
    found_in("import torch.nn as nn\n" + " ".join(words))
    found_in(f"{HEAD}\nclass Model(nn.Module):\n{INIT}\n    def forward(self, x):\n        " + " ".join(words))


@given(st.text(alphabet="torch nn.self()[]{}:=,\"'\\#@\n\t\r\x0c\x00\ufeffé\u2028\ud800", max_size=80))
@QUICK
def test_any_characters_are_read(text: str) -> None:
    found_in("import torch\n" + text)


def expressions() -> st.SearchStrategy[str]:
    """Expressions that can stand in `forward`, nested."""
    leaves = st.sampled_from(["x", "self.lin0", "self.lin0(x)", "self.missing", "self", "torch.no_grad()", "None", "1", "...", "b'a'"])
    return st.recursive(leaves, _grown, max_leaves=8)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    shapes = ["({0}).detach()", "({0})({1})", "({0})[{1}]", "({0}, *{1})", "[v for v in ({0}) if ({1})]", "(lambda v: {0})({1})"]
    shapes += ["(y := {0})", "({0}) if ({1}) else None", "({0}) + ({1})", "not ({0})", "{{'a': {0}, **({1})}}", "f'{{({0})}}'"]
    shapes += [
        "getattr({0}, 'data')",
        "torch.cat([{0}, {1}])",
        "super().forward({0})",
        "self.forward({0})",
        "(yield {0})",
        "({0}).a.b[1:2, ...]",
    ]
    return st.builds(lambda shape, one, other: shape.format(one, other), st.sampled_from(shapes), inner, inner)


STATEMENTS = [
    "y = {0}", "return {0}", "with {0} as y:\n    x = {1}", "while {0}:\n    x = {1}\n    break", "if {0}:\n    return {1}",
    "for y in {0}:\n    x = {1}\nelse:\n    {1}", "try:\n    x = {0}\nexcept Exception as e:\n    raise\nfinally:\n    x = {1}",
    "self.kept = {0}", "x += {0}", "self.lin0, *y = {0}", "del x", "def inner(v={0}):\n    return {1}\nx = inner(x)",
    "match {0}:\n    case [a, *b]:\n        x = {1}\n    case _:\n        pass", "class Inner(nn.Module):\n    lin = {0}",
    "global G\nG = {0}", "x.data[{0}] = {1}", "async def later():\n    async with {0}:\n        await {1}",
]  # fmt: skip


@given(
    st.lists(
        st.builds(lambda shape, one, other: shape.format(one, other), st.sampled_from(STATEMENTS), expressions(), expressions()), max_size=6
    )
)
@QUICK
def test_methods_put_together_by_chance_are_followed(statements: list[str]) -> None:
    body = "\n".join(statements).replace("\n", "\n        ") or "pass"
    found_in(model(f"    def forward(self, x):\n        {body}\n        return x"))
    init = f"    def __init__(self, x):\n        super().__init__()\n        {body}\n"
    found_in(model("    forward = __init__", init=init))


INIT_OF = "(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.a = "
CALLS_ITSELF = "def f(x):\n    return g(x)\ndef g(x):\n    return f(x).detach()\n"


@pytest.mark.parametrize(
    "text",
    [
        "class A(A, nn.Module):\n    def forward(self, x):\n        return self.forward(x).detach()",
        "class A(B, nn.Module):\n    pass\nclass B(A, nn.Module):\n    def forward(self, x):\n        return x.detach()",
        f"class A{INIT_OF}A()\n    def forward(self, x):\n        return self.a(x).detach()",
        f"{CALLS_ITSELF}class A{INIT_OF}nn.Linear(1, 1)\n    def forward(self, x):\n        return f(self.a(x))",
        f"class A{INIT_OF}nn.Linear(1, 1)\n    def forward(self, x):\n        return (lambda h: h(h))(lambda h: h(h))(self.a(x).detach())",
    ],
)
def test_what_refers_to_itself_ends(text: str) -> None:
    found_in(HEAD + text)


@pytest.mark.parametrize("depth", [50, 3000])
def test_deep_nesting_ends_with_a_result(depth: int) -> None:
    forwards = [
        "(" * depth + "x" + ")" * depth,
        "x" + " + x.detach()" * depth,
        "self.lin0(" * depth + "x" + ")" * depth,
        "x" + ".detach()" * depth,
    ]
    for expression in forwards:
        found_in(model(f"    def forward(self, x):\n        return {expression}\n"))
    found_in(
        model("    def forward(self, x):\n" + "        x = self.lin1(self.lin0(x).detach())\n" * depth + "        return self.lin2(x)")
    )


SYNTAX = {
    (3, 10): {
        "match": """
    def forward(self, x):
        match self.mode:
            case {"kind": [a, *_], **rest} if rest:
                x = self.lin0(x)
            case int(a) | str(a):
                x = self.lin0(x)
            case nn.Module(training=True) | None:
                x = self.lin0(x)
            case _:
                x = self.lin0(x)
        return self.lin2(self.lin1(x).detach())""",
        "parenthesised contexts": """
    def forward(self, x):
        with (contextlib.nullcontext(), torch.no_grad() as _,):
            x = self.lin1(self.lin0(x))
        return self.lin2(x)""",
        "positional only arguments": """
    def run(self, x, /, *, layer: "nn.Module | None" = None):
        return layer(x) if layer else x
    def forward(self, x):
        return self.lin2(self.run(self.lin0(x), layer=self.lin1).detach())""",
    },
    (3, 11): {
        "except star": """
    def forward(self, x):
        try:
            x = self.lin0(x)
        except* ValueError as group:
            raise group
        return self.lin2(self.lin1(x).detach())""",
        "star in an index": """
    def forward(self, x, *args: *tuple[int, ...]):
        return self.lin2(self.lin1(self.lin0(x)).detach()[*args])""",
    },
    (3, 12): {
        "type parameters": """
    type Pair[T: nn.Module, *Ts, **P] = tuple[T, *Ts]
    def run[T: nn.Module](self, layer: T, x):
        return layer(x)
    def forward(self, x):
        return self.lin2(self.run(self.lin1, self.run(self.lin0, x)).detach())""",
        "quotes in an f-string": """
    def forward(self, x):
        print(f"{f'{x["a"]}'} {x!r:>{len("a")}} {
            x  # a comment
        }")
        return self.lin2(self.lin1(self.lin0(x)).detach())""",
    },
    (3, 13): {
        "defaults of type parameters": """
    def run[T: nn.Module = nn.Linear](self, layer: T, x):
        return layer(x)
    def forward(self, x):
        return self.lin2(self.run(self.lin1, self.run(self.lin0, x)).detach())""",
    },
    (3, 14): {
        "template strings": """
    def forward(self, x):
        print(t"{x} {x!r:>{3}}")
        return self.lin2(self.lin1(self.lin0(x)).detach())""",
        "exceptions without brackets": """
    def forward(self, x):
        try:
            x = self.lin0(x)
        except ValueError, TypeError:
            raise
        return self.lin2(self.lin1(x).detach())""",
    },
}
VERSIONED = [(version, name) for version, texts in SYNTAX.items() for name in texts]


@pytest.mark.parametrize(("version", "name"), VERSIONED, ids=[f"{major}.{minor} {name}" for (major, minor), name in VERSIONED])
def test_the_syntax_of_each_python_is_followed_or_is_one_finding(version: tuple[int, int], name: str, tmp_path: Path) -> None:
    text = model(SYNTAX[version][name])
    if sys.version_info >= version:
        assert codes_of(text, tmp_path) == ["GF101"]
        return
    (finding,) = findings_of(text, tmp_path)
    assert finding.code == "GF000"
    assert finding.message.endswith(f"needs Python {version[0]}.{version[1]}, and this is {sys.version_info[0]}.{sys.version_info[1]}")


@pytest.mark.parametrize("line", ["print 'a'", "except ValueError, error:", 'f"{x"', "def f(:", "type = (", "values = [*a", 'f"{' * 9999])
def test_a_line_with_nothing_new_in_it_is_not_said_to_need_another_python(line: str) -> None:
    assert not needed_python(line)


def test_the_end_of_a_file_that_stops_in_the_middle_is_one_finding(tmp_path: Path) -> None:
    text = model(next(iter(CERTAIN.values())))
    for end in range(0, len(text), 97):
        codes = [finding.code for finding in findings_of(text[:end], tmp_path)]
        assert codes.count("GF000") == (not _parses(text[:end]))
