"""What the tests of this folder share: the type of the fixture `load`, and the imports that every model file starts with."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

HEADER = "import torch\nfrom torch import nn\n\n"

Load = Callable[..., ModuleType]
