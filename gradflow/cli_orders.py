"""What the command line asks to be audited: its words become orders, each a target with the arguments of its audit."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from gradflow.capture.launch.files import model_files
from gradflow.capture.launch.inputs import parse_input
from gradflow.capture.launch.scale import Scale
from gradflow.capture.launch.target import parse_function, parse_target
from gradflow.cli_pictures import wants_backward_drawing
from gradflow.errors import TargetError, UsageError
from gradflow.many import Order
from gradflow.screening import FailOn


def order_of(options: argparse.Namespace, rest: Sequence[str]) -> Order:
    """The audit of the target that `rest` names.

    Raises:
        UsageError: the words have none of the forms, or an option does not go with the target.
        TargetError: the target is not there.
    """
    inputs = [(text, parse_input(text)) for text in options.input]
    spec = parse_target(rest)
    if options.loss:
        parse_function(options.loss, "--loss")
    if (inputs or options.loss or options.init) and not spec.is_attribute:
        option = "--input" if inputs else "--loss" if options.loss else "--init"
        raise UsageError(f"{option} goes with a model, as in `model.py:Net`; `{spec.place}` is run as a program, which has its own")
    return Order(
        spec,
        {
            "steps": options.steps,
            "timeout": options.timeout,
            "inputs": inputs,
            "loss": options.loss,
            "fail_on": FailOn.NEVER,  # the level is applied to what is left after screening
            "quiet": options.quiet_script,
            "seed": options.seed,
            "compiles": options.compile,
            "scale": Scale(options.fake, options.batch, options.seq),
            "init": options.init,
            "evaluates": options.eval,
            "draws": wants_backward_drawing(options),
            "param": getattr(options, "param", ()),
        },
    )


def orders_of_folder(options: argparse.Namespace, folder: str) -> list[Order]:
    """One order for each file of the directory that defines or trains a model.

    Raises:
        TargetError: there is none.
    """
    files = model_files(folder)
    if not files:
        raise TargetError(f"`{folder}` is a directory without a Python file that defines or trains a model; expected such files")
    return [order_of(options, [file]) for file in files]


def name_of(order: Order) -> str:
    """What the target is called, as it stands on the command line."""
    spec = order.spec
    return f"{spec.place}:{spec.attribute}" if spec.is_attribute else spec.place
