"""An argument was not given that is needed after all, or one was given that is not known."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradflow.capture.guess.attempt import Failure
from gradflow.capture.guess.call import Call
from gradflow.capture.guess.first_layer import input_of_first_layer
from gradflow.capture.guess.inputs.dimensions import likely_input
from gradflow.capture.guess.inputs.usual_inputs import NO_TENSOR, usual_input
from gradflow.capture.guess.sizes import Sizes
from gradflow.capture.guess.subject import parameters_of


def mend(call: Call, failure: Failure, model: torch.nn.Module, sizes: Sizes) -> Iterator[Call]:
    """Optional arguments that the error names, or that are None where something is read from them, are given."""
    if isinstance(failure.error, KeyError) and any(entry.kind.name == "VAR_KEYWORD" for entry in parameters_of(model.forward).values()):
        wanted = str(failure.error.args[0]) if failure.error.args else ""
        if wanted.isidentifier() and wanted not in call.given():
            yield call.with_argument(wanted, usual_input(wanted, "", sizes) or input_of_first_layer(model, sizes))
    parameters = {name: entry for name, entry in parameters_of(model.forward).items() if not entry.kind.name.startswith("VAR_")}
    parameters = {name: entry for name, entry in parameters.items() if not NO_TENSOR.search(name)}
    given = call.given()
    unknown = re.search(r"unexpected keyword argument '(\w+)'", failure.message)
    if unknown and unknown[1] in given:
        yield call.without(unknown[1])
    named = [name for name in re.findall(r"[A-Za-z_]\w*", failure.message) if name in parameters and name not in given]
    if "None" in failure.message and "decoder_input_ids" in parameters and "decoder_input_ids" not in given:
        named.insert(0, "decoder_input_ids")
    if "None" in failure.message or re.search(r"specify|provide|must be|required|missing|expected", failure.message):
        lines = " ".join(spot.text for spot in reversed(failure.own))
        named += [name for name in re.findall(r"[A-Za-z_]\w*", lines) if name in parameters and name not in given]
    for name in list(dict.fromkeys(named))[:4]:
        text = likely_input(model, parameters[name], sizes) or input_of_first_layer(model, sizes)
        yield call.with_argument(name, text)
        if named.index(name) == 0 and len(set(named)) > 1:
            both = call
            for other in list(dict.fromkeys(named))[:4]:
                both = both.with_argument(other, likely_input(model, parameters[other], sizes) or text)
            yield both
