"""Models: ``Sequential`` for a stack of layers, ``Model`` for graphs, ``load_model`` for saved ones."""

from nnx import callbacks, layers, losses, optimizers, utils  # noqa: F401 (whole rooms first)
from nnx.models.loading import load_model
from nnx.models.model import Model
from nnx.models.sequential import Sequential
from nnx.models.written import clone_model, model_from_json

__all__ = ["Model", "Sequential", "clone_model", "load_model", "model_from_json"]
