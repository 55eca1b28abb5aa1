"""``nnx.vmap`` beside ``jax.vmap``: axes, and the same functions in the calls of both libraries."""

from __future__ import annotations

import numpy as np
import pytest

import nnx

pytestmark = pytest.mark.parity


@pytest.fixture
def jax():
    """JAX in double precision; imported only where it is compared with."""
    jax = pytest.importorskip("jax", reason="JAX, which vmap is compared with, is not installed")
    jax.config.update("jax_enable_x64", True)
    return jax


RANDOM = np.random.default_rng(7)
X = RANDOM.uniform(0.2, 1.5, size=(4, 3))
Y = RANDOM.uniform(0.2, 1.5, size=(4, 3))
M = RANDOM.normal(size=(4, 3, 3)) + 3.0 * np.eye(3)

NAMES = """
    sin cos tan exp log sqrt tanh arctan floor sign square abs sum mean max min prod var std argmax argsort
    sort cumsum cumprod diff flip
"""


def called(name):
    return lambda xp, x: getattr(xp, name)(x)


ONE = {  # of one vector
    **{name: called(name) for name in NAMES.split()},
    "norm": lambda xp, x: xp.linalg.norm(x),
    "logsumexp": lambda xp, x: xp.log(xp.sum(xp.exp(x))),
    "softmax": lambda xp, x: xp.exp(x) / xp.sum(xp.exp(x)),
    "roll": lambda xp, x: xp.roll(x, 1),
    "repeat": lambda xp, x: xp.repeat(x, 2),
    "tile": lambda xp, x: xp.tile(x, (2, 2)),
    "reshape": lambda xp, x: xp.reshape(x, (3, 1)) * x,
    "slices": lambda xp, x: x[1:] * x[:-1] + x[..., -1],
    "concatenate": lambda xp, x: xp.concatenate([x, x[:1] ** 2]),
    "stack": lambda xp, x: xp.stack([x, 2.0 * x], axis=1),
    "where": lambda xp, x: xp.where(x > 0.8, x, -x),
    "clip": lambda xp, x: xp.clip(x, 0.4, 1.0),
    "outer": lambda xp, x: xp.outer(x, x),
    "einsum": lambda xp, x: xp.einsum("i,j->ji", x, x + 1.0),
    "fft": lambda xp, x: xp.abs(xp.fft.rfft(x)),
    "any": lambda xp, x: xp.any(x > 1.0),
    "interp": lambda xp, x: xp.interp(x, xp.linspace(0.0, 2.0, 5), xp.linspace(1.0, 3.0, 5) ** 2),
    "polyval": lambda xp, x: xp.polyval(x, 1.5),
    "median": lambda xp, x: xp.median(x),
}
TWO = {  # of two vectors
    "add": lambda xp, x, y: x + y,
    "divide": lambda xp, x, y: x / y,
    "power": lambda xp, x, y: x**y,
    "maximum": lambda xp, x, y: xp.maximum(x, y),
    "hypot": lambda xp, x, y: xp.hypot(x, y),
    "arctan2": lambda xp, x, y: xp.arctan2(x, y),
    "dot": lambda xp, x, y: xp.dot(x, y),
    "cross": lambda xp, x, y: xp.cross(x, y),
    "kron": lambda xp, x, y: xp.kron(x, y),
    "tensordot": lambda xp, x, y: xp.tensordot(x, y, axes=0),
}
MATRIX = {  # of a matrix and a vector
    "product": lambda xp, a, x: a @ x,
    "product from the left": lambda xp, a, x: x @ a,
    "solve": lambda xp, a, x: xp.linalg.solve(a, x),
    "inverse": lambda xp, a, x: xp.linalg.inv(a) @ x,
    "determinant": lambda xp, a, x: xp.linalg.det(a),
    "eigenvalues": lambda xp, a, x: xp.linalg.eigvalsh(a + a.T),
    "singular values": lambda xp, a, x: xp.linalg.svd(a, compute_uv=False),
    "cholesky": lambda xp, a, x: xp.linalg.cholesky(a @ a.T),
    "trace": lambda xp, a, x: xp.trace(a) * x,
    "transposed": lambda xp, a, x: (a.T * x).sum(axis=0),
    "diagonal": lambda xp, a, x: xp.diagonal(a) + x,
    "triangle": lambda xp, a, x: xp.tril(a) @ x,
}
CASES = [
    *[(name, f, (X,)) for name, f in ONE.items()],
    *[(name, f, (X, Y)) for name, f in TWO.items()],
    *[(name, f, (M, X)) for name, f in MATRIX.items()],
]
# Both compute in double precision, in another order: matrices of condition below 1e3.
CLOSE = {"rtol": 1e-9, "atol": 1e-11}


def both(jax, f, args, in_axes=0, out_axes=0):
    """What nnx and JAX give for ``f(xp, ...)``."""
    ours = nnx.vmap(lambda *a: f(np, *a), in_axes, out_axes)(*args)
    theirs = jax.vmap(lambda *a: f(jax.numpy, *a), in_axes, out_axes)(*args)
    return ours, theirs


@pytest.mark.filterwarnings("error::nnx.errors.LoopWarning")
@pytest.mark.parametrize("name, f, args", CASES, ids=[name for name, _, _ in CASES])
def test_functions_and_axes_as_in_jax(name, f, args, jax):
    moved = tuple(np.moveaxis(a, 0, -1) for a in args)
    np.testing.assert_allclose(*both(jax, f, moved, -1, -1), **CLOSE)
    if len(args) == 2:
        np.testing.assert_allclose(*both(jax, f, (moved[0], args[1][0]), (-1, None), 0), **CLOSE)


@pytest.mark.parametrize("name", ["norm", "softmax", "median", "where", "fft", "einsum"])
def test_nested_with_derivatives_as_in_jax(name, jax):
    f, jnp = ONE[name], jax.numpy
    ours = nnx.vmap(nnx.hessian(lambda x: np.sum(f(np, x) ** 2)))(X)
    theirs = jax.vmap(jax.hessian(lambda x: jnp.sum(f(jnp, x) ** 2)))(X)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    ours = nnx.grad(lambda x: np.sum(nnx.vmap(nnx.vmap(lambda a, r: np.sum(a * f(np, r)), (0, None)))(x, x)))(
        X
    )
    theirs = jax.grad(
        lambda x: jnp.sum(jax.vmap(jax.vmap(lambda a, r: jnp.sum(a * f(jnp, r)), (0, None)))(x, x))
    )(X)
    np.testing.assert_allclose(ours, theirs, **CLOSE)


def test_containers_of_axes_as_in_jax(jax):
    tree = {"a": X, "b": (Y.T, 2.0)}
    in_axes, out_axes = ({"a": 0, "b": (-1, None)},), {"c": 1, "d": None}

    def f(xp, t):
        return {"c": t["a"] * t["b"][0] + t["b"][1], "d": t["b"][1]}

    ours, theirs = both(jax, f, (tree,), in_axes, out_axes)
    np.testing.assert_allclose(ours["c"], theirs["c"], **CLOSE)
    assert ours["d"] == theirs["d"]
