"""Parameters as a person would name them: the topmost modules that hold just these, and the user's own expression for each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from gradflow.graph.recording import ParameterFact

_TOKEN = re.compile(r"[^.\[\]]+|\[[^\]]*\]")
_SHOWN = 4  # names in one sentence: more is a list, and the finding has that already


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters under one path: `path` is a module's path, a parameter's name, or empty for the whole root."""

    root: str
    path: str
    members: tuple[int, ...]

    @property
    def label(self) -> str:
        """What to call it in a sentence."""
        return self.path or self.root


def tokens(path: str) -> list[str]:
    """The parts of a path.

    >>> tokens("enc.layers[0].weight")
    ['enc', 'layers', '[0]', 'weight']
    """
    return _TOKEN.findall(path)


def joined(parts: Sequence[str]) -> str:
    """The path of `parts`: the reverse of `tokens`.

    >>> joined(["enc", "layers", "[0]"])
    'enc.layers[0]'
    """
    return "".join(part if part.startswith("[") or not number else f".{part}" for number, part in enumerate(parts))


def topmost(facts: Sequence[ParameterFact], chosen: Collection[int], neutral: Collection[int] = ()) -> list[Group]:
    """`chosen` grouped by the topmost modules that hold no other parameters than chosen and neutral ones; in order of first member."""
    chosen, neutral = frozenset(chosen), frozenset(neutral)
    others = Counter(
        prefix for number, fact in enumerate(facts) if number not in chosen and number not in neutral for prefix in _prefixes(fact)
    )
    groups: dict[tuple[str, str], list[int]] = {}
    for number in sorted(chosen):
        prefixes = _prefixes(facts[number])
        key = next((prefix for prefix in prefixes if not others[prefix]), prefixes[-1])
        groups.setdefault(key, []).append(number)
    return [Group(root, path, tuple(members)) for (root, path), members in groups.items()]


def _prefixes(fact: ParameterFact) -> list[tuple[str, str]]:
    parts = tokens(fact.name)
    # A leaf of the script itself has no root, and so no whole to be grouped under.
    return [(fact.root, joined(parts[:length])) for length in range(0 if fact.root else 1, len(parts) + 1)]


def listed(names: Iterable[str], shown: int = _SHOWN) -> str:
    """Names in backticks as a part of a sentence; beyond `shown` only their number.

    >>> listed(["a", "b", "c"]), listed("abcdef")
    ('`a`, `b` and `c`', '`a`, `b`, `c`, `d` and 2 more')
    """
    every = [f"`{name}`" for name in names]
    if len(every) > shown:
        return f"{', '.join(every[:shown])} and {len(every) - shown} more"
    return " and ".join(filter(None, (", ".join(every[:-1]), every[-1]))) if every else ""


def spoken(facts: Sequence[ParameterFact], chosen: Collection[int]) -> str:
    """`chosen` as the subject of a sentence: the one parameter's name, or how many there are and of which modules."""
    names = list(dict.fromkeys(facts[number].name for number in sorted(chosen)))
    if len(names) == 1:
        return listed(names)
    return f"{len(names)} parameters of {listed(group.label for group in topmost(facts, chosen))}"


def expression(root: str, path: str, *, prefixed: bool) -> str:
    """The Python expression by which the user's program reaches `path`; `prefixed`: names begin with the root's variable.

    >>> expression("model", "h.5.attn", prefixed=False), expression("netG", "netG.0", prefixed=True)
    ('model.h[5].attn', 'netG[0]')
    """
    parts = tokens(path)
    if prefixed and parts[:1] == [root]:
        parts = parts[1:]
    text = root
    for number, part in enumerate(parts):
        if part.startswith("["):
            text += part
        elif part.isdigit():
            text += f"[{part}]"
        elif part.isidentifier():
            text += f".{part}" if text else part
        else:
            return f'{text}.get_submodule("{joined(parts[number:])}")'
    return text


def freeze(facts: Sequence[ParameterFact], chosen: Collection[int]) -> str:
    """The statement that freezes just `chosen`, written on the user's own variables."""
    prefixed = len({fact.root for fact in facts if fact.root}) > 1
    neutral = [number for number, fact in enumerate(facts) if not fact.requires_grad]
    each = [expression(group.root, group.path, prefixed=prefixed) for group in topmost(facts, chosen, neutral)]
    folded = _fold(each)
    if len(each) == 1:
        return f"{each[0]}.requires_grad_(False)"
    if len(folded) == 1:
        return f"for m in {folded[0].removeprefix('*')}: m.requires_grad_(False)"
    return f"for m in ({', '.join(folded)}): m.requires_grad_(False)"


def _fold(expressions: list[str]) -> list[str]:
    """Three or more neighbours `h[0]`, `h[1]`, `h[2]` as one slice `*h[0:3]`."""
    folded: list[str] = []
    run: list[str] = []
    for item in [*expressions, ""]:
        if run and _base(item) == _base(run[0]) and _index(item) == _index(run[-1]) + 1:
            run.append(item)
            continue
        folded += [f"*{_base(run[0])}[{_index(run[0])}:{_index(run[-1]) + 1}]"] if len(run) > 2 else run
        run = [item] if item and _index(item) >= 0 else []
        folded += [item] if item and not run else []
    return folded


def _base(item: str) -> str:
    return item.rpartition("[")[0]


def _index(item: str) -> int:
    digits = item.rpartition("[")[2].removesuffix("]")
    return int(digits) if item.endswith("]") and digits.isdigit() else -1
