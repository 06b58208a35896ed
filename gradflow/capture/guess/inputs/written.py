"""The model is called as somebody has written it down, beside the construction: `model(torch.randn(2, 3, 32, 32))`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

import torch

from gradflow.capture.guess.call import Call
from gradflow.capture.guess.examples import Example
from gradflow.capture.guess.expressions import inlined
from gradflow.capture.guess.subject import Construction, Subject, parameters_of

_RANDOM = {"randn": "float32", "rand": "float32", "ones": "float32", "zeros": "float32", "empty": "float32", "normal": "float32"}
_DTYPES = {"long": "int64", "int": "int32", "float": "float32", "bool": "bool", "half": "float16", "double": "float64", "int64": "int64",
           "int32": "int32", "float32": "float32", "float16": "float16", "float64": "float64", "bfloat16": "bfloat16"}  # fmt: skip


def propose(model: torch.nn.Module, construction: Construction, subject: Subject | None) -> Iterator[Call]:
    """The calls of the construction's own example, then those of the others of the same class."""
    if subject is None:
        return
    own = [construction.example] if construction.example is not None else []
    others = [example for example in subject.examples if example not in own]
    yield from _calls(model, [*own, *others])


def propose_further(model: torch.nn.Module, construction: Construction, subject: Subject | None) -> Iterator[Call]:
    """The calls that lie beside the file."""
    if subject is not None:
        yield from _calls(model, subject.further())


def _calls(model: torch.nn.Module, examples: Iterable[Example]) -> Iterator[Call]:
    names = list(parameters_of(model.forward))
    for example in examples:
        for node in example.calls:
            call = _call(node, example.assigned, names, example.place)
            if call is not None:
                yield call


def _call(node: ast.Call, assigned: Mapping[str, ast.expr], names: list[str], place: str) -> Call | None:
    given: list[tuple[str, str]] = []
    for index, value in enumerate(node.args):
        text = None if isinstance(value, ast.Starred) else value_text(inlined(value, assigned))
        if text is None or index >= len(names):
            return None
        given.append((names[index], text))
    for keyword in node.keywords:
        text = value_text(inlined(keyword.value, assigned))
        if keyword.arg is not None and text is not None:
            given.append((keyword.arg, text))
    return Call(tuple(given), f"a call in {place}") if given else None


def value_text(node: ast.expr) -> str | None:
    """The value that an expression makes, in the grammar of `--input`; None where it cannot be told from the text."""
    match node:
        case ast.Constant():
            return repr(node.value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
            return ast.unparse(node)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            inner = [value_text(element) for element in elements]
            if any(text is None for text in inner):
                return None
            body = ", ".join(text for text in inner if text is not None)
            return f"[{body}]" if isinstance(node, ast.List) else f"({body},)" if len(inner) == 1 else f"({body})"
        case ast.Dict(keys=keys, values=values) if all(keys):
            pairs = [(key, value_text(value)) for key, value in zip(keys, values, strict=True)]
            if any(text is None for _, text in pairs):
                return None
            return "{" + ", ".join(f"{ast.unparse(key)}: {text}" for key, text in pairs if key is not None) + "}"
        case (
            ast.Call(func=ast.Attribute(attr="Variable" | "tensor", value=_), args=[first, *_])
            | ast.Call(func=ast.Name(id="Variable"), args=[first, *_])
        ):
            return f"tensor({ast.unparse(first)})" if _is_literal(first) else value_text(first)
        case ast.Call(func=ast.Attribute(attr=name, value=owner)) if name in (
            "cuda",
            "to",
            "float",
            "long",
            "bool",
            "int",
            "half",
            "double",
            "requires_grad_",
            "cpu",
            "contiguous",
        ):
            return _converted(value_text(owner), name, node)
        case ast.Call(func=ast.Attribute(attr=name, value=ast.Name(id="torch" | "th" | "t"))):
            return _made(name, node)
    return None


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError):
        return False
    return True


def _converted(inner: str | None, name: str, node: ast.Call) -> str | None:
    if inner is None or name not in _DTYPES or "[" not in inner:
        return inner
    fill = inner[inner.index("]") + 1 :]
    return f"{_DTYPES[name]}{inner[inner.index('[') : inner.index(']') + 1]}{fill}"


def _made(name: str, node: ast.Call) -> str | None:
    """The text of a call of one of torch's factory functions."""
    dtype = next((_DTYPES.get(ast.unparse(entry.value).rpartition(".")[2]) for entry in node.keywords if entry.arg == "dtype"), None)
    size = next((entry.value for entry in node.keywords if entry.arg == "size"), None)
    if name == "randint":
        numbers = [value for value in node.args if _number(value) is not None]
        shapes = [value for value in node.args if isinstance(value, (ast.Tuple, ast.List))]
        shape = size or (shapes[0] if shapes else None)
        high = next((_number(entry.value) for entry in node.keywords if entry.arg == "high"), None) or (
            _number(numbers[-1]) if numbers else None
        )
        sizes = _sizes([shape]) if shape is not None else None
        return f"{dtype or 'int64'}[{sizes}]<{max(1, high)}" if sizes is not None and high is not None else None
    if name == "arange" and len(node.args) == 1 and _number(node.args[0]) is not None:
        return f"int64[{_number(node.args[0])}]<{_number(node.args[0])}"
    if name not in _RANDOM:
        return None
    sizes = _sizes([size] if size is not None else node.args)
    if sizes is None:
        return None
    fill = {"ones": "==1", "zeros": "==0"}.get(name, "")
    return f"{dtype or _RANDOM[name]}[{sizes}]{fill}"


def _number(node: ast.expr) -> int | None:
    try:
        value = eval(compile(ast.Expression(node), "<sizes>", "eval"), {"__builtins__": {}}) if _is_arithmetic(node) else None
    except (ArithmeticError, TypeError):
        return None
    return value if isinstance(value, int) else int(value) if isinstance(value, float) and value.is_integer() else None


def _is_arithmetic(node: ast.expr) -> bool:
    allowed = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)
    return all(isinstance(part, allowed) for part in ast.walk(node))


def _sizes(nodes: list[ast.expr]) -> str | None:
    flat = [part for node in nodes for part in (node.elts if isinstance(node, (ast.Tuple, ast.List)) else [node])]
    sizes = [_number(part) for part in flat]
    return None if any(size is None or size < 0 for size in sizes) else ",".join(map(str, sizes))
