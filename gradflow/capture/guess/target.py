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

from gradflow.capture.guess.compared import compared_words
from gradflow.capture.guess.examples import Example, find_examples, find_further_examples, mentions
from gradflow.capture.guess.expressions import namespace
from gradflow.capture.guess.ranking import rank_classes
from gradflow.capture.guess.subject import Subject


def subjects_of(module: ModuleType) -> list[Subject]:
    """The classes of models that the file of `module` defines, its main one first."""
    classes = model_classes(module)
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
        and not issubclass(value, torch.jit.ScriptModule)
        and value.forward is not torch.nn.Module.forward
    }


def factories(tree: ast.Module, module: ModuleType, classes: set[str]) -> dict[str, str]:
    """By name, the file's functions that make one of the classes: those that name it, or call a function that does."""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and callable(getattr(module, node.name, None))}
    names = {name: {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} for name, node in functions.items()}
    makes: dict[str, str] = {}
    for _ in range(3):
        for name, used in names.items():
            direct = sorted(used & classes, key=lambda other: _returned(functions[name], other), reverse=True)
            through = [makes[other] for other in used if other in makes]
            if name not in makes and (direct or through):
                makes[name] = (direct or through)[0]
    returning = {
        name for name, node in functions.items() if any(isinstance(part, ast.Return) and part.value is not None for part in ast.walk(node))
    }
    return {name: made for name, made in makes.items() if name in returning}


def _returned(function: ast.FunctionDef, name: str) -> bool:
    """Whether the function calls `name` rather than only naming it."""
    return any(isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == name for part in ast.walk(function))


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
