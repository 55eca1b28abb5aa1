"""Room 5: files of other libraries, known to ``save`` and ``load`` by the suffixes of their names."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from nnx import models  # noqa: F401 (whole rooms first)
from nnx.models.formats import register_format


class _Later:
    """A kind of file whose code is imported when the first such file is read or written."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def __getattr__(self, method: str) -> Any:
        return getattr(getattr(import_module(self._module), self._name)(), method)


_KERAS = "nnx.interop.keras.files"
register_format(".keras", _Later(_KERAS, "WholeModel"))
register_format(".weights.h5", _Later(_KERAS, "WeightsAlone"))
for _suffix in (".h5", ".hdf5"):
    register_format(_suffix, _Later(_KERAS, "Legacy"))
