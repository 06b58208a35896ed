"""A forecaster that takes `(x_enc, x_mark_enc, x_dec, x_mark_dec)`: past values, marks of their times, and the same for what is to come.

The convention of Informer and of all that came from it. A mark is one everywhere: a valid hour, day and month for an embedding.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from gradflow.capture.guess.call import Call
from gradflow.capture.guess.sizes import BATCH, stated
from gradflow.capture.guess.subject import Construction, Subject, parameters_of, required

_MARKS = {"h": 4, "t": 5, "s": 6, "m": 1, "a": 1, "w": 2, "d": 3, "b": 3}
"""Columns of time marks, by the model's frequency."""


def propose(model: torch.nn.Module, construction: Construction, subject: Subject | None) -> Iterator[Call]:
    """One call, in the lengths and widths that the model states."""
    names = [name for name in ("x_enc", "x_mark_enc", "x_dec", "x_mark_dec") if name in parameters_of(model.forward)]
    if len(names) < 2:
        yield from _only_past(model, construction)
        return
    past = stated(model, construction, ("seq_len", "input_len", "context_length")) or 64
    coming = stated(model, construction, ("pred_len", "out_len", "horizon", "prediction_length")) or past
    known = stated(model, construction, ("label_len",)) or past // 2
    wide = stated(model, construction, ("enc_in", "n_series", "in_channels", "c_in")) or 7
    wide_out = stated(model, construction, ("dec_in",)) or wide
    frequency = next((text for name, text in construction.given().items() if name.rpartition(".")[2] == "freq"), "'h'")
    marks = _MARKS.get(frequency.strip("'"), 4)
    texts = {
        "x_enc": f"float32[{BATCH},{past},{wide}]",
        "x_mark_enc": f"float32[{BATCH},{past},{marks}]==1",
        "x_dec": f"float32[{BATCH},{known + coming},{wide_out}]",
        "x_mark_dec": f"float32[{BATCH},{known + coming},{marks}]==1",
    }
    asked = [entry.name for entry in required(parameters_of(model.forward))]
    others = [name for name in asked if name not in texts]
    texts.update({name: texts["x_mark_dec"] if "mark" in name else texts["x_dec"] for name in others})
    yield Call(tuple((name, texts[name]) for name in dict.fromkeys([*names, *others])), "names of the arguments")


def _only_past(model: torch.nn.Module, construction: Construction) -> Iterator[Call]:
    """Past values alone, where the model states both how long and how wide they are."""
    asked = required(parameters_of(model.forward))
    past, wide = stated(model, construction, ("seq_len",)), stated(model, construction, ("enc_in",))
    if len(asked) == 1 and past and wide:
        yield Call(((asked[0].name, f"float32[{BATCH},{past},{wide}]"),), "the lengths and widths that it states")
