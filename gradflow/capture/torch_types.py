"""The torch types that signatures outside this package speak of. Imported under TYPE_CHECKING only."""

from torch import Tensor
from torch.nn import Module
from torch.optim import Optimizer

__all__ = ["Module", "Optimizer", "Tensor"]
