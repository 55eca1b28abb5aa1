"""Plain NumPy code on traced arrays: NumPy passes calls on to them by its protocols (NEP 13, NEP 18).

``np.tanh(t)`` and ``a @ t`` arrive as ufuncs, ``np.sum(t)`` and ``np.concatenate([t, t])`` as functions, and
``t.sum()`` as an attribute that the standard's arrays lack. A function is found by its name alone: so NumPy
itself is not needed here, and CuPy's arrays, which have the same protocols, work too.

Each name is in one of four states: a function of the standard under NumPy's name (``names``), composed of
functions of the standard with NumPy's signature (the other files, by topic), constant, or refused with a
reason.
"""

from nnx.autodiff.numpy_api import (  # noqa: F401 (importing them fills the table)
    building,
    calculus,
    choosing,
    einsum,
    elementwise,
    fourier,
    joining,
    linalg,
    nans,
    padding,
    polynomials,
    products,
    questions,
    reductions,
    shapes,
    signals,
    statistics,
    writing,
)
from nnx.autodiff.numpy_api.protocol import attach
from nnx.autodiff.numpy_api.table import FOREIGN, FUNCTIONS

__all__ = ["FOREIGN", "FUNCTIONS", "attach"]
