"""An argument is a model, or the class of one: another class of the file or of those that it imports, else a small stand-in.

`GaussianDiffusion(Unet(...))` needs a `Unet`. A class that has to be built first stands as `<Unet>` in a construction; the search puts
the call that builds it in its place.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import attempt
from gradflow.capture.guess.construction.called import stored_and_called
from gradflow.capture.guess.expressions import is_model, namespace
from gradflow.capture.guess.subject import Construction, Subject, parameters_of, required
from gradflow.capture.guess.usual import annotation_of, usual_value

PLACE = re.compile(r"<([A-Za-z_]\w*)>")
"""A class that has to be built first, by its name in the file."""

_MODEL = re.compile(
    r"^(?!(?:d|n|h|dim|num|hidden|size|width)_?model$)(?:\w*_)?(model|net|network|unet|backbone|encoder|decoder|generator|discriminator"
    r"|transformer|vit|extractor|denoise_fn|denoiser|trunk|module|student|teacher|vae|autoencoder|image_model|text_model|vision_model|cnn"
    r"|body|core|actor|critic|policy|fn_approx)$"
)
_CLASS = re.compile(
    r"^(?!n_|num_|in_|out_)(?:(\w+_)?(block|unit|cell|layer|bottleneck)(_(class|type|cls|fn|layer|func))?$|base_encoder$|\w+_(class|cls)$)"
)
_FUNCTION = re.compile(r"act|norm|loss|criterion|_fn$|^fn$|func|transform|pool|sampl")
"""What is called and more often a function, or a layer that is made without arguments."""
_BLOCK = re.compile(r"Block|Bottleneck|Unit|Cell|Layer")
_STAND_INS = (
    "nn.Sequential(nn.Conv2d(3, 64, 3, 2, 1), nn.ReLU())",
    "nn.Linear(64, 64)",
    "nn.Sequential(nn.Flatten(), nn.LazyLinear(64))",
    "nn.Identity()",
)
_CLASS_STAND_INS = ("nn.ReLU", "nn.Identity", "lambda *args, **kwargs: nn.Sequential(nn.Flatten(), nn.LazyLinear(64))")
_MOST = 3
_SECONDS_TO_IMPORT = 10.0


def propose(subject: Subject) -> Iterator[Construction]:
    """With a model for each argument without a default that is called like one, the others as usual."""
    needed = required(parameters_of(subject.cls))
    parts = {entry.name: list(candidates(entry.name, annotation_of(entry), subject)) for entry in needed}
    if not any(parts.values()):
        return
    for number in range(_MOST):
        given = []
        for entry in needed:
            found = parts[entry.name]
            word = subject.words.get(entry.name)
            usual = repr(word) if type(word) is str else usual_value(entry.name, annotation_of(entry))
            text = found[min(number, len(found) - 1)] if found else usual
            given.append((entry.name, text))
        yield Construction(subject.name, tuple(given), "the usual values of its arguments")


def candidates(name: str, annotation: str, subject: Subject) -> Iterator[str]:
    """The models, or the classes of models, that argument `name` may mean; nothing where it means neither."""
    others = _others(subject)
    named = [other for other in others if re.search(rf"\b{other}\b", annotation)] or _of_the_kind(annotation, others, subject)
    wants_class = re.match(r"(typing\.)?(type|Type)\[", annotation) is not None
    if named:
        several = re.match(r"(typing\.)?(list|List|tuple|Tuple|Sequence|Iterable)\[", annotation) is not None
        yield from (other if wants_class else f"[<{other}>, <{other}>]" if several else f"<{other}>" for other in named)
    elif wants_class or (_CLASS.search(name) and annotation in ("", "Module", "nn.Module")):
        yield from [other for other in others if _BLOCK.search(other) or _alike(name, other)]
        if name.startswith("base_") and importlib.util.find_spec("torchvision") is not None:
            yield "__import__('torchvision').models.resnet18"
        yield from (text for text in (usual_value(name),) if re.fullmatch(r"nn\.[A-Z]\w*", text) and text not in _CLASS_STAND_INS)
        yield from _CLASS_STAND_INS
    elif (
        (_MODEL.search(name) and annotation in ("", "Module"))
        or re.search(r"nn\.Module|^Module$", annotation)
        or (_is_model(annotation, subject) or (not annotation and name in stored_and_called(subject.cls) and not _FUNCTION.search(name)))
    ):
        alike = [other for other in others if _alike(name, other)]
        is_whole = re.search(r"model|net|encoder|decoder|transformer|backbone", name) is not None
        whole = [other for other in others if is_whole and not _BLOCK.search(other) and other not in alike]
        whole.sort(key=lambda other: re.search(r"net|model|transformer|encoder", other, re.IGNORECASE) is None)
        found = [*alike, *_of_the_package(name, subject, imports=not alike and not whole), *whole]
        yield from (f"<{other}>" for other in found[:_MOST])
        yield from _STAND_INS
        if not found:
            yield from (f"<{other}>" for other in others[:_MOST] if not _BLOCK.search(other))


def _annotated_class(annotation: str, subject: Subject) -> type | None:
    """The class of models that an annotation names in the module of the class itself, which need not be the one that uses it."""
    scope = {**vars(sys.modules.get(subject.cls.__module__, sys)), **subject.scope}
    found = (scope.get(word) for word in re.findall(r"[A-Za-z_]\w*", annotation))
    return next(
        (value for value in found if inspect.isclass(value) and issubclass(value, torch.nn.Module) and value is not torch.nn.Module), None
    )


def _is_model(annotation: str, subject: Subject) -> bool:
    return _annotated_class(annotation, subject) is not None


def _of_the_kind(annotation: str, others: list[str], subject: Subject) -> list[str]:
    """Those of the classes that are of the kind that the annotation names, where it is not known by name here."""
    kind = _annotated_class(annotation, subject)
    return [other for other in others if kind is not None and issubclass(subject.scope[other], kind)]


def _others(subject: Subject) -> list[str]:
    """The models' classes that the file knows by name, its own first and the main one of these first; torch's and `subject` left out."""
    own = [other.name for other in subject.siblings if other.cls is not subject.cls]
    imported = [name for name, value in subject.scope.items() if is_model(value) and not _is_torch(value) and name not in own]
    return [
        name for name in (*own, *imported) if not issubclass(subject.scope[name], subject.cls) and not _is_abstract(subject.scope[name])
    ]


def _of_the_package(name: str, subject: Subject, *, imports: bool) -> list[str]:
    """The models that the package of the file hands out, those alike first. Where it was not, it may be imported, which takes time."""
    if imports:
        _import_package(subject)
    beside = {other: value for other, value in namespace(subject.scope).items() if isinstance(value, type) and other not in subject.scope}
    found = [other for other, value in beside.items() if issubclass(value, torch.nn.Module) and not _is_abstract(value)]
    named = [other for other in found if _alike(name, other) or re.search(r"net$|transformer", other, re.IGNORECASE)]
    return sorted(named, key=lambda other: (not _alike(name, other), len(other)))


def models_of_the_package(subject: Subject) -> dict[str, type]:
    """Every model's class that a construction may name, by its name: the file's, those that it imports, and those of its package."""
    _import_package(subject)
    return {
        name: value
        for name, value in namespace(subject.scope).items()
        if is_model(value) and not _is_torch(value) and not _is_abstract(value)
    }


def _import_package(subject: Subject) -> None:
    """Imports the package of the file, which takes time; nothing where it has none."""
    package = subject.scope.get("__package__") or ""
    if package:
        attempt(lambda: importlib.import_module(package), _SECONDS_TO_IMPORT)


def _is_torch(cls: type) -> bool:
    return cls.__module__.startswith("torch.")


def _is_abstract(cls: type) -> bool:
    return cls is torch.nn.Module or inspect.isabstract(cls) or vars(cls).get("forward", cls.forward) is torch.nn.Module.forward  # type: ignore[attr-defined]


def _alike(argument: str, cls: str) -> bool:
    word = re.sub(r"_|\d", "", argument.lower()).removesuffix("fn").removesuffix("model") or argument.lower()
    return word in cls.lower()
