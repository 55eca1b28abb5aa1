"""What the parts of layers that multiply by a kernel have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnx.backend.ending import Ending
from nnx.layers.base import Layer


class Product(Layer):
    """Base of the parts that multiply by a kernel and add a bias."""

    def ended(self, p: Mapping[str, Any], x: Any, ending: Ending) -> Any:
        """The output for arrays that no transform follows: without the bias, and with the ``ending``."""
        raise NotImplementedError
