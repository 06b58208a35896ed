"""Which of a file's classes is the model that the file is about. Reads the syntax tree, runs nothing.

The main class is the one that is built from the others and that no other is built from. Names, `__all__`, functions that return it and
examples decide among several.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_NO_MODEL = re.compile(
    r"[Ll]oss|[Cc]riterion|Config|Abstract|Mixin|PreTrainedModel|PretrainedModel|Trainer|Dataset|Metric|Callback|Exception|Output"
)
_PART = re.compile(
    r"Block|Layer|Attention|Attn|Head|Embed|Norm|Mlp|MLP|FeedForward|FFN|Encoder|Decoder|Pool|Stem|Residual|Conv|Down|Up|Stage|Cell|Unit"
    r"|Base|Wrapper|Backbone|Adapter|Gate|Expert|Router|Act|Dropout|DropPath|Bottleneck|Projection|Downsample|Upsample|Module$"
)
_HEADS = (
    (re.compile(r"For(ConditionalGeneration|PreTraining)$|MTModel$"), 2.0),
    (re.compile(r"For(CausalLM|MaskedLM)$|LMHeadModel$"), 1.4),
    (re.compile(r"For\w*Detection$"), 0.5),
    (re.compile(r"For\w*(Segmentation|CTC|Estimation)$"), 0.2),
    (re.compile(r"ForImageClassification$"), 0.9),
    (re.compile(r"For(Sequence|Token|Question|Multiple|Next|Audio|Text)"), -0.7),
)
"""What a model is trained with first, and what it is only fitted with later."""
_SAME = 1.1
"""How alike the names of a class and of its file are where they are the same."""
_AROUND = re.compile(r"(Backbone|Wrapper|Features|Trainer)$")
"""What is put around a model that is whole without it."""
_WHOLE = re.compile(r"(model|net|network)$")


@dataclass(frozen=True, slots=True)
class _Use:
    """What one definition refers to: names in its body, and its bases."""

    names: frozenset[str]
    bases: frozenset[str]


def rank_classes(tree: ast.Module, stem: str, classes: Iterable[str], exampled: Mapping[str, int]) -> list[str]:
    """`classes`, which are modules, the file's main one first. `exampled`: how many examples build each. `stem`: of the file's name."""
    uses = _uses(tree)
    known = [name for name in classes if name in uses]
    exported, functions, open_classes = _exported(tree), _function_uses(tree), _open_classes(tree)
    reach = {name: _reach(name, uses, functions) for name in known}
    position = {name: number for number, name in enumerate(known)}

    def score(name: str) -> float:
        is_part = any(
            name in reach[other] and other not in _subclasses(name, uses)
            for other in known
            if other != name and name not in uses[other].bases and not _AROUND.search(other)
        )
        inside = len([other for other in reach[name] if other in position])
        head = next((weight for pattern, weight in _HEADS if pattern.search(name)), None)
        alike = _alike(name, stem)
        # what the file is named after stays its main class where another of its classes is put around it
        total = (-1.0 if alike == _SAME and not _PART.search(name) else -4.0) * is_part + 2.0 * inside / max(1, len(known))
        total += 2.5 * min(alike, 1.0) + 1.5 * (name in exported)
        total += min(2.0, 0.7 * sum(name in names for names in functions.values()))
        total += 4.0 * (exampled.get(name, 0) > 0)
        total -= 5.0 * bool(_NO_MODEL.search(name)) + 1.5 * (bool(_PART.search(name)) and alike <= 0.5 and head is None)
        total -= 1.0 * name.startswith("_") + 1.0 * any(base != name and name.startswith(base) for base in uses[name].bases & set(known))
        total -= 3.0 * (name in open_classes and bool(_subclasses(name, uses)))  # one of those that fill it in is the model
        total += 0.6 * name.startswith("Generator")  # of a pair, it is the one that the file is kept for
        return total + (head or 0.0) + 0.5 * position[name] / max(1, len(known))

    return sorted(known, key=lambda name: (-score(name), position[name]))


def _uses(tree: ast.Module) -> dict[str, _Use]:
    """By class, what it refers to."""
    out = {}
    for node in _top_level(tree.body):
        if isinstance(node, ast.ClassDef):
            bases = frozenset(part.id for base in node.bases for part in ast.walk(base) if isinstance(part, ast.Name))
            names = {name for inner in node.body for name in _names(inner)}
            out[node.name] = _Use(frozenset((names | _annotated(node)) - {node.name}), bases)
    return out


def _open_classes(tree: ast.Module) -> set[str]:
    """The classes with a method that only raises NotImplementedError, which others have to fill in."""
    return {
        node.name
        for node in _top_level(tree.body)
        if isinstance(node, ast.ClassDef) and any(isinstance(inner, ast.FunctionDef) and _only_raises(inner) for inner in node.body)
    }


def _only_raises(method: ast.FunctionDef) -> bool:
    body = method.body[1:] if ast.get_docstring(method) is not None else method.body
    return len(body) == 1 and isinstance(body[0], ast.Raise) and "NotImplementedError" in ast.unparse(body[0])


def _names(node: ast.AST) -> Iterator[str]:
    """The names in a piece of code, without those that a value is only compared with: `isinstance(module, Net)` builds no `Net`."""
    todo = [node]
    while todo:
        part = todo.pop()
        if isinstance(part, ast.Name):
            yield part.id
        asked = isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in ("isinstance", "issubclass")
        todo += [] if asked else ast.iter_child_nodes(part)


def _annotated(node: ast.ClassDef) -> set[str]:
    """The names in the annotations of its constructor that are written as texts: `encoder: 'Encoder'`."""
    inits = [inner for inner in node.body if isinstance(inner, ast.FunctionDef) and inner.name == "__init__"]
    texts = [entry.annotation.value for init in inits for entry in init.args.args if isinstance(entry.annotation, ast.Constant)]
    return {word for text in texts if isinstance(text, str) for word in re.findall(r"[A-Za-z_]\w*", text)}


def _function_uses(tree: ast.Module) -> dict[str, frozenset[str]]:
    return {
        node.name: frozenset(part.id for part in ast.walk(node) if isinstance(part, ast.Name)) - {node.name}
        for node in _top_level(tree.body)
        if isinstance(node, ast.FunctionDef)
    }


def _top_level(body: list[ast.stmt]) -> list[ast.stmt]:
    out: list[ast.stmt] = []
    for node in body:
        out.append(node)
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            out += _top_level(node.body)
            out += _top_level(getattr(node, "orelse", []))
    return out


def _reach(name: str, uses: Mapping[str, _Use], functions: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """All classes and functions that `name` is built from, itself left out."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        current = todo.pop()
        use = uses.get(current)
        reached = use.names | use.bases if use is not None else functions.get(current, frozenset())
        fresh = {other for other in reached if other in uses or other in functions} - seen
        seen |= fresh
        todo += fresh
    return frozenset(seen - {name})


def _subclasses(name: str, uses: Mapping[str, _Use]) -> set[str]:
    found = {name}
    while True:
        more = {other for other, use in uses.items() if use.bases & found} - found
        if not more:
            return found - {name}
        found |= more


def _exported(tree: ast.Module) -> frozenset[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            return frozenset(part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant) and isinstance(part.value, str))
    return frozenset()


def _alike(name: str, stem: str) -> float:
    """How much of the shorter of class and file name is in the longer, 0 to 1; `_SAME` where it is the same but for capitals.

    `Model` alone is what the file is called after. `XModel` is as good as `X`, and `MoE` is `mixture_of_experts`.
    """
    one, two = (re.sub(r"[^a-z0-9]", "", text.lower().removeprefix("modeling")) for text in (name, stem))
    if not one or not two:
        return 0.0
    if one == two:
        return _SAME
    initials = "".join(word[0] for word in re.split(r"[^a-z0-9]+", stem.lower()) if word)
    if _WHOLE.sub("", one) in ("", _WHOLE.sub("", two)) or (len(initials) > 2 and one == initials):
        return 1.0
    short, long = sorted((one, two), key=len)
    return 0.8 * len(short) / len(long) + 0.2 if short in long and len(short) > 2 else 0.0
