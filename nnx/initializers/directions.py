"""Initial weights with a geometry: orthogonal directions, and regions that share out the input space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnx.errors import OptionError, ShapeError
from nnx.initializers.base import FINITE, SEED, host, registry, source
from nnx.options import Number

Array = Any
Shape = Sequence[int]


@registry.register(
    "OrthogonalInitializer",
    checks={"gain": FINITE, **SEED},
    formula=r"W^T W = g^2 I",
    use="Recurrent and very deep networks.",
)
def orthogonal(shape: Shape, random: Any = None, *, gain: float = 1.0, seed: int | None = None) -> Array:
    """A random matrix whose columns (or rows, if it has fewer) are orthogonal and of length ``gain``.

    It is evenly distributed over all such matrices: the Q of a normal random matrix = QR, with signs that
    make R's diagonal positive. More axes are taken as one, but the last. Raises
    :class:`nnx.errors.ShapeError` for fewer than two axes.
    Shapes: (n, ..., m).
    Source: A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks", ICLR 2014.

    >>> w = nnx.initializers.orthogonal((5, 3))
    >>> np.allclose(w.T @ w, np.eye(3))
    True
    """
    if len(shape) < 2:
        raise ShapeError(f"orthogonal needs two axes or more, asked for shape {tuple(shape)}.")
    xp, rows, columns = host(), math.prod(shape[:-1]), shape[-1]
    tall = (max(rows, columns), min(rows, columns))
    q, r = xp.linalg.qr(source(random, seed).standard_normal(tall))
    q = gain * q * xp.sign(xp.linalg.diagonal(r))
    return xp.reshape(q if rows >= columns else xp.matrix_transpose(q), tuple(shape))


@registry.register(
    checks={"inputs": Number(least=1, whole=True, optional=True), "active_range": FINITE, **SEED},
    formula=r"\lVert \theta_j \rVert = \lambda, \; \beta_j = \lambda \left(\frac{2j}{S-1} - 1\right), \;"
    r" \lambda = 0.7 \, r \, S^{1/R}",
    use="Regression by one layer of tanh neurons, with inputs in [−1, 1]: each starts on its own interval.",
)
def nguyen_widrow(
    shape: Shape,
    random: Any = None,
    *,
    inputs: int | None = None,
    active_range: float = 2.0,
    seed: int | None = None,
) -> Array:
    """Kernel or bias of a layer of S neurons with R inputs whose active regions cover [−1, 1]ᴿ evenly.

    For a kernel's shape (R, S): columns in random directions, of length 0.7·active_range·S^(1/R). For a
    bias' shape (S,): evenly spaced from minus to plus that length (0 for one neuron), which needs R as
    ``inputs``. Use both together::

        Dense(20, "tanh", kernel_initializer="nguyen_widrow", bias_initializer=NguyenWidrow(inputs=3))

    MATLAB's ``initnw`` gives b_j the sign of the first weight of neuron j. Here the first weights are made
    positive instead, so that kernel and bias need not know each other: to an odd activation that is the same,
    but for the sign of the output. ``active_range`` 2 is where tanh is active (MATLAB: 4 for the logistic
    sigmoid). Raises :class:`nnx.errors.OptionError` for a bias without ``inputs``.
    Shapes: (inputs, units) or (units,).
    Source: D. Nguyen, B. Widrow, "Improving the learning speed of 2-layer neural networks by choosing initial
    values of the adaptive weights", IJCNN 1990, vol. 3, 21–26.

    >>> nnx.initializers.NguyenWidrow(inputs=1)((3,))
    array([-4.2,  0. ,  4.2])
    >>> nnx.initializers.nguyen_widrow((1, 3))
    array([[4.2, 4.2, 4.2]])
    """
    xp = host()
    if len(shape) < 2:
        if inputs is None or len(shape) != 1:
            raise OptionError(
                f"nguyen_widrow: for a bias (shape {tuple(shape)}) say how many inputs a neuron has: "
                f"NguyenWidrow(inputs=...), a whole number ≥ 1, got {inputs!r}."
            )
        n = shape[0]
        reach = 0.7 * active_range * n ** (1.0 / inputs)
        return xp.linspace(-reach, reach, n, dtype=xp.float64) if n != 1 else xp.zeros(1, dtype=xp.float64)
    rows, n = math.prod(shape[:-1]), shape[-1]
    direction = source(random, seed).standard_normal((rows, n))
    direction = direction * xp.where(direction[:1, :] < 0.0, -1.0, 1.0)
    length = xp.sqrt(xp.sum(direction * direction, axis=0))
    return xp.reshape(0.7 * active_range * n ** (1.0 / rows) * direction / length, tuple(shape))
