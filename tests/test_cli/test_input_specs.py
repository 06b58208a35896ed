"""`--input`: what it means, and what is said of one that cannot be read."""

from __future__ import annotations

import pytest
import torch

from gradflow.capture.launch.inputs import DTYPES, TensorSpec, build_inputs, parse_input
from gradflow.errors import UsageError


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("x=float32[2,3,32,32]", TensorSpec("x", "float32", (2, 3, 32, 32))),
        ("int64[2,16]<100", TensorSpec("", "int64", (2, 16), 100)),
        (" mask = bool[ 4 , 0 ] ", TensorSpec("mask", "bool", (4, 0))),
        ("t=float64[]", TensorSpec("t", "float64", ())),
    ],
)
def test_an_input_has_a_name_a_dtype_sizes_and_a_bound(text: str, spec: TensorSpec) -> None:
    assert parse_input(text) == spec


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "--input '': expected name=dtype[sizes], as in 'x=float32[2,3,32,32]' or 'tokens=int64[2,16]<100'"),
        ("x=float32", "--input 'x=float32': expected name=dtype[sizes], as in 'x=float32[2,3,32,32]' or 'tokens=int64[2,16]<100'"),
        ("2x=float32[1]", "--input '2x=float32[1]': expected the name of an argument of `forward` before `=`, found '2x'"),
        ("=float32[1]", "--input '=float32[1]': expected the name of an argument of `forward` before `=`, found ''"),
        ("x=float[1]", f"--input 'x=float[1]': expected a dtype of {', '.join(DTYPES)}; found 'float'"),
        ("x=float32[2,...]", "--input 'x=float32[2,...]': expected sizes as whole numbers, as in [2,3,32,32]; found '...'"),
        ("x=float32[-1]", "--input 'x=float32[-1]': expected sizes as whole numbers, as in [2,3,32,32]; found '-1'"),
        ("x=float32[1]<3", "--input 'x=float32[1]<3': a bound (`<3`) goes with an integer dtype, found float32"),
        ("x=int64[1]<0", "--input 'x=int64[1]<0': expected a whole number above 0 after `<`, found '0'"),
        ("x=int64[1]<many", "--input 'x=int64[1]<many': expected a whole number above 0 after `<`, found 'many'"),
    ],
)
def test_each_malformed_input_is_told_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_input(text)
    assert str(error.value) == sentence


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_can_be_built(dtype: str) -> None:
    (value,), kwargs = build_inputs([parse_input(f"{dtype}[3,2]")])
    assert (value.dtype, tuple(value.shape), kwargs) == (getattr(torch, dtype), (3, 2), {})


def test_named_inputs_are_keywords_and_integers_stay_below_their_bound() -> None:
    args, kwargs = build_inputs([parse_input("float32[1]"), parse_input("ids=int64[1000]<5")])
    assert len(args) == 1 and list(kwargs) == ["ids"]
    assert sorted(set(kwargs["ids"].tolist())) == [0, 1, 2, 3, 4]


def test_inputs_are_the_same_each_time_and_leave_the_global_rng_alone() -> None:
    state = torch.get_rng_state()
    (one,), (two,) = (build_inputs([parse_input("float32[8]")])[0] for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(state, torch.get_rng_state())
