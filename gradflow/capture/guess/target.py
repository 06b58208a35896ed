"""What a loaded file has to guess about: its classes in the order in which they are tried, each with what was written about it."""

from __future__ import annotations

import ast
import functools
import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from gradflow.capture.flow.opaque_calls import SCRIPTED
from gradflow.capture.guess.compared import compared_words
from gradflow.capture.guess.examples import Example, find_examples, find_further_examples, mentions
from gradflow.capture.guess.expressions import namespace
from gradflow.capture.guess.ranking import rank_classes
from gradflow.capture.guess.subject import Subject

_DEEPEST = 3
"""Functions that call each other to make a model."""


def subjects_of(module: ModuleType) -> list[Subject]:
    """The classes of models that the file of `module` defines, its main one first."""
    classes = _concrete(model_classes(module))
    file = getattr(module, "__file__", None) or ""
    source = Path(file).read_text("utf-8", errors="replace") if file else ""
    tree = ast.parse(source)
    makers = factories(tree, module, set(classes))
    names = frozenset([*classes, *makers])
    examples = find_examples(source, file, names) if file else []
    mentioned = mentions(file, names) if file and len(classes) > 1 else set()
    called = (example.callee.partition(".")[0] for example in examples if not example.inside)
    exampled = Counter(makers.get(name, name) for name in (*called, *mentioned))
    ranked = rank_classes(tree, Path(file).stem, classes, exampled)
    further = functools.cache(lambda: tuple(find_further_examples(file, names)) if file else ())
    siblings: list[Subject] = []
    words = compared_words(tree)
    siblings += [_subject(classes[name], name, module, examples, makers, further, siblings, words) for name in ranked]
    return siblings


def subject_of(module: ModuleType, name: str) -> Subject | None:
    """The one of them that is called `name`; a class that the module only imports is one too."""
    found = getattr(module, name, None)
    if not isinstance(found, type):
        return None
    home = inspect.getmodule(found) or module
    for subject in subjects_of(home) if getattr(home, "__file__", None) and home is not torch else []:
        if subject.cls is found:
            return subject
    return Subject(name, found, namespace(vars(module)))


def model_classes(module: ModuleType) -> dict[str, type]:
    """By name, the `nn.Module` classes that are defined in the module itself and have a forward of some kind."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, torch.nn.Module)
        and value.__module__ == module.__name__
        and not issubclass(value, SCRIPTED)
        and value.forward is not torch.nn.Module.forward
    }


def scripted_classes(module: ModuleType) -> list[str]:
    """The names of the module's own classes that are TorchScript, whose operations cannot be followed."""
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and issubclass(value, SCRIPTED)
    ]


def _concrete(classes: dict[str, type]) -> dict[str, type]:
    """Those that lack no method, which can be built; all of them where each lacks one."""
    return {name: value for name, value in classes.items() if not inspect.isabstract(value)} or classes


def factories(tree: ast.Module, module: ModuleType, classes: set[str]) -> dict[str, str]:
    """By name, the file's functions that make one of the classes: those that call it, that call a function which does, or that name it."""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and callable(getattr(module, node.name, None))}
    # in the order in which they stand, and not as sets: two runs have to choose the same
    names = {name: list(dict.fromkeys(_names_in_order(node))) for name, node in functions.items()}
    within = {name: [other for other in used if other in classes] for name, used in names.items()}
    makes = {name: made for name, node in functions.items() if (made := _made_by(node, within[name]))}
    _passed_on(makes, names, {name for name, node in functions.items() if _returned(node, within[name])})
    makes.update({name: named[0] for name, named in within.items() if name not in makes and len(named) == 1})
    _passed_on(makes, names, set(functions) - {name for name, named in within.items() if not named})
    returning = {
        name for name, node in functions.items() if any(isinstance(part, ast.Return) and part.value is not None for part in ast.walk(node))
    }
    return {name: made for name, made in makes.items() if name in returning}


def _passed_on(makes: dict[str, str], names: Mapping[str, list[str]], unclear: set[str]) -> None:
    """Adds to `makes` the functions that call one which is in it, however far; those in `unclear` return classes of their own."""
    for _ in range(_DEEPEST):
        for name, used in names.items():
            through = [makes[other] for other in used if other in makes and other != name]
            if name not in makes and name not in unclear and through:
                makes[name] = through[0]


def _names_in_order(function: ast.FunctionDef) -> list[str]:
    found = [part for part in ast.walk(function) if isinstance(part, ast.Name)]
    return [part.id for part in sorted(found, key=lambda part: (part.lineno, part.col_offset))]


def _made_by(function: ast.FunctionDef, classes: Sequence[str]) -> str:
    """The one class that the function returns, or that it says it returns; else the only one that it calls. Empty where that is unclear."""
    said = function.returns.id if isinstance(function.returns, ast.Name) else ""
    if said in classes:
        return said
    called = [name for name in classes if any(_is_call_of(part, name) for part in ast.walk(function))]
    found = _returned(function, classes) or called
    return found[0] if len(found) == 1 else ""


def _returned(function: ast.FunctionDef, classes: Sequence[str]) -> list[str]:
    """The classes whose calls the function returns, at once or by way of a variable."""
    values = [part.value for part in ast.walk(function) if isinstance(part, ast.Return) and part.value is not None]
    variables = {value.id for value in values if isinstance(value, ast.Name)}
    for part in ast.walk(function):
        if isinstance(part, ast.Assign) and any(isinstance(target, ast.Name) and target.id in variables for target in part.targets):
            values.append(part.value)
    return [name for name in classes if any(_is_call_of(value, name) for value in values)]


def _is_call_of(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _subject(
    cls: type,
    name: str,
    module: ModuleType,
    examples: list[Example],
    makers: dict[str, str],
    further: Callable[[], tuple[Example, ...]],
    siblings: Sequence[Subject],
    words: Mapping[str, Any],
) -> Subject:
    own = tuple(maker for maker, made in makers.items() if made == name and not maker.startswith("_") and not _wants_values(maker))
    callees = {name, *own}
    about = tuple(example for example in examples if example.callee.partition(".")[0] in callees)
    beside = lambda: tuple(example for example in further() if example.callee.partition(".")[0] in callees)  # noqa: E731
    return Subject(name, cls, namespace(vars(module)), about, own, siblings, beside, words)


def _wants_values(name: str) -> bool:
    return name.startswith(("test", "main", "train", "load_", "convert", "init_", "checkpoint"))
