"""What a model is called with: each argument as text in the grammar of `--input`, so that it can be pasted back."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gradflow.capture.launch.inputs import build_inputs, parse_input

_TENSOR = re.compile(r"(\w+)\[([\d,\s]*)\](?:\s*(<|==)\s*(-?[\d.]+|True|False))?$")
_SIZES = re.compile(r"\b\w+\[([\d,\s]*)\]")
"""The sizes of a tensor wherever it stands in the text of an argument."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One tensor of a call, as written: `int64[2,16]<100` is ("int64", (2, 16), "<100")."""

    dtype: str
    sizes: tuple[int, ...]
    rest: str = ""

    @property
    def text(self) -> str:
        """As written."""
        return f"{self.dtype}[{','.join(map(str, self.sizes))}]{self.rest}"

    def with_size(self, index: int, size: int) -> Shape:
        """The same with another size in one dimension, which may be counted from the end."""
        sizes = list(self.sizes)
        sizes[index] = size
        return replace(self, sizes=tuple(sizes))


def shape_of(text: str) -> Shape | None:
    """The tensor that `text` describes, None where it is something else."""
    match = _TENSOR.match(text.strip())
    if match is None:
        return None
    sizes = tuple(int(part) for part in match[2].split(",") if part.strip())
    return Shape(match[1], sizes, f"{match[3]}{match[4]}" if match[3] else "")


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of one call, (name, text) each; an empty name is a positional one. `rule`: where they come from."""

    arguments: tuple[tuple[str, str], ...]
    rule: str = ""
    evaluating: bool = False
    seed: int = 0

    @property
    def options(self) -> tuple[str, ...]:
        """The values of `--input`, one an argument."""
        return tuple(f"{name}={text}" if name else text for name, text in self.arguments)

    @property
    def text(self) -> str:
        """In words for a message."""
        return ", ".join(self.options) or "nothing"

    def given(self) -> dict[str, str]:
        """The named arguments."""
        return {name: text for name, text in self.arguments if name}

    def build(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """(args, kwargs), the same values each time."""
        return build_inputs([parse_input(option) for option in self.options], self.seed)

    def with_argument(self, name: str, text: str) -> Call:
        """The same with one argument changed or added."""
        given = [(known, text if known == name else value) for known, value in self.arguments]
        if name not in {known for known, _ in given}:
            given.append((name, text))
        return replace(self, arguments=tuple(given))

    def with_arguments(self, texts: Mapping[str, str]) -> Call:
        """The same with other texts for some of its arguments."""
        return replace(self, arguments=tuple((name, texts.get(name, text)) for name, text in self.arguments))

    def resized(self, change: Callable[[tuple[int, ...]], tuple[int, ...]], names: Iterable[str] | None = None) -> Call:
        """The same with other sizes of all its tensors, or of those among `names`. What has no dimension stays as it is."""
        tensors = self.tensors()
        chosen = {name: shape for name, shape in tensors.items() if shape.sizes and (names is None or name in names)}
        return self.with_arguments({name: Shape(shape.dtype, change(shape.sizes), shape.rest).text for name, shape in chosen.items()})

    def without(self, name: str) -> Call:
        """The same without one argument."""
        return replace(self, arguments=tuple(entry for entry in self.arguments if entry[0] != name))

    def in_order(self, names: Sequence[str]) -> Call:
        """The same with these arguments first; it stays as it is where an argument has no name, which is given by its place."""
        if not all(name for name, _ in self.arguments):
            return self
        places = {name: place for place, name in enumerate(names)}
        return replace(self, arguments=tuple(sorted(self.arguments, key=lambda entry: places.get(entry[0], len(places)))))

    def tensors(self) -> dict[str, Shape]:
        """The arguments that are one tensor each."""
        return {name: shape for name, text in self.arguments if (shape := shape_of(text)) is not None}

    @property
    def elements(self) -> int:
        """Numbers in all its tensors together, those in lists and dicts too."""
        written = (sizes for _, text in self.arguments for sizes in _SIZES.findall(text))
        return sum(math.prod(int(size) for size in sizes.split(",") if size.strip()) for sizes in written)

    def in_eval(self) -> Call:
        """The same call of the model in eval mode."""
        return replace(self, evaluating=True)

    def in_other_mode(self) -> Call:
        """The same call of the model in eval mode where this one trains, and the other way round."""
        return replace(self, evaluating=not self.evaluating)

    def with_seed(self, seed: int) -> Call:
        """The same call with other random values."""
        return replace(self, seed=seed)
