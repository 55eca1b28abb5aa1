"""Plain NumPy code on traced arrays: NumPy hands its calls over by its own protocols (NEP 13, NEP 18).

``np.tanh(t)`` and ``a @ t`` arrive as ufuncs, ``np.sum(t)`` and ``np.concatenate([t, t])`` as functions, and
``t.sum()`` as an attribute that the standard's arrays lack. A function is known by its name alone, so that
NumPy itself is not needed here and arrays of CuPy, which speak the same protocols, are served as well.

Each name is in one of four states: it leads to a function of the standard (``names``), is written in such
functions with NumPy's signature (the other files, by topic), is constant, or is refused with a reason.
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
