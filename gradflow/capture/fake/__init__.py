"""Fake tensors: a model runs with shapes, types and autograd's graph, and no memory for its values. For models that fit no machine.

`with fake_mode() as mode:` stands round the construction of a model, its inputs and the audit. Where the program asks for a value that is
not there, the mode answers by the rules of `answers.py`, and `mode.notes` tells which lines asked.
"""

from gradflow.capture.fake.counting import GIANT, TooManyParameters, build, count_parameters, stopped_at
from gradflow.capture.fake.mode import FakeMode, enter_fake_mode, fake_mode

__all__ = ["GIANT", "FakeMode", "TooManyParameters", "build", "count_parameters", "enter_fake_mode", "fake_mode", "stopped_at"]
