"""What SciPy's users write out although it asks for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: options of SciPy that nnx does not have, with the values that ask for nothing beyond what it does
_NOTHING: dict[str, tuple[Any, ...]] = {
    "diff_step": (None,),
    "disp": (None, 0),
    "f_scale": (1.0,),
    "finite_diff_rel_step": (None,),
    "hess_inv0": (None,),
    "iprint": (-1, None),
    "jac_sparsity": (None,),
    "loss": ("linear",),
    "max_nfev": (None,),
    "maxfun": (None,),
    "nan_policy": (None, "raise"),
    "norm": (float("inf"),),
    "return_all": (False,),
    "tr_options": (None, {}),
    "tr_solver": (None,),
    "verbose": (0, False),
    "workers": (None,),
    "x_scale": (None, 1.0, "jac"),
    "xrtol": (0,),
}


def that_ask(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without those that only write out a default of SciPy's.

    >>> from nnx.optimizers.functions.defaults import that_ask
    >>> that_ask({"loss": "linear", "verbose": 0, "gtol": 1e-9})
    {'gtol': 1e-09}
    """
    return {name: value for name, value in options.items() if not _asks_nothing(name, value)}


def _asks_nothing(name: str, value: Any) -> bool:
    return any(value is known or _equal(value, known) for known in _NOTHING.get(name, ()))


def _equal(value: Any, known: Any) -> bool:
    """Whether two plain values are the same; 0 is not False, and an array is nothing of the kind."""
    plain = isinstance(value, bool | int | float | str | dict)
    return plain and isinstance(value, bool) == isinstance(known, bool) and bool(value == known)
