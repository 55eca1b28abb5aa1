"""Models: ``Sequential`` for a stack of layers, ``Model`` for graphs, ``load_model`` for saved ones."""

from nnx.models.loading import clone_model, load_model
from nnx.models.model import Model
from nnx.models.sequential import Sequential

__all__ = ["Model", "Sequential", "clone_model", "load_model"]
