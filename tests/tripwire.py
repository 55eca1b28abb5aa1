"""array-api-strict made to behave as a GPU does: what would wait for the device, raises.

``float(x)``, ``bool(x)``, ``int(x)``, ``list[x]`` of an array on a GPU stop the host until the device has
computed it. On array-api-strict's ``device1`` they work and cost nothing, so a mistake would stay unseen
on a machine without a GPU; inside :func:`like_a_gpu` they raise :class:`HostSync`.
Reading results with ``nnx.to_numpy`` stays possible: it moves them to the CPU device first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import array_api_strict as xp
import pytest
from array_api_strict._array_object import Array

_CONVERSIONS = ("__bool__", "__float__", "__int__", "__index__", "__complex__")


class HostSync(AssertionError):
    """The code under test waited for the device."""


@contextmanager
def like_a_gpu() -> Iterator[None]:
    """No conversion of a device's array to a Python number, no boolean indexing, no data-dependent shapes."""
    flags = xp.ArrayAPIStrictFlags(boolean_indexing=False, data_dependent_shapes=False)
    with flags, pytest.MonkeyPatch.context() as patch:
        for name in _CONVERSIONS:
            patch.setattr(Array, name, _only_on_the_cpu(name))
        yield


@contextmanager
def no_reads() -> Iterator[None]:
    """For a training step: moving arrays to another device (``to_numpy`` does) is forbidden as well."""

    def refuse(self: Array, device: Any, /, stream: Any = None) -> Array:
        if self.device != device:
            raise HostSync(f"an array of shape {self.shape} was moved from {self.device} to {device}")
        return self

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Array, "to_device", refuse)
        yield


def _only_on_the_cpu(name: str) -> Callable[[Array], Any]:
    original = getattr(Array, name)

    def convert(self: Array) -> Any:
        if self.device != xp.Device("CPU_DEVICE"):
            raise HostSync(f"{name} of an array on {self.device}: on a GPU the host would wait for it")
        return original(self)

    return convert
