"""Room 4: models, their training and their files."""

from nnx.models.loading import load_model
from nnx.models.model import Model
from nnx.models.sequential import Sequential

__all__ = ["Model", "Sequential", "load_model"]
