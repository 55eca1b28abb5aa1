"""The objective on all data: residuals, Jacobians in blocks, products and Hessians of a model in ``fit``."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.backend.numpy_adapter import NumpyAdapter
from nnx.errors import OptionError
from nnx.layers import Activation, Dense, Dropout, Maxout, PReLU
from nnx.models.objective import Batch

N = 7
NETWORKS = {
    "dense": lambda: [Dense(4, "tanh", input_shape=(3,)), Dense(2)],
    "deep": lambda: [Dense(3, "sigmoid", input_shape=(3,)), PReLU("ones"), Maxout(3), Dense(1, "tanh")],
    "frozen": lambda: [Dense(3, "tanh", input_shape=(3,), trainable=False), Activation("tanh"), Dense(2)],
    "dropout": lambda: [Dense(6, "tanh", input_shape=(3,)), Dropout(0.5), Dense(2)],
}


def problem(backend, layers, loss="mse", weighted=False, optimizer="levenberg_marquardt", n=N):
    """The problem of a model before its first step, its weights, and the batch that it is about."""
    model = nnx.Sequential(layers, backend=backend, dtype="float64", seed=2)
    model.compile(optimizer, loss)
    random = np.random.default_rng(0)
    shapes = (n, 3), (n, *model.output_shape[1:]), (n,)
    x, y, weight = (backend.asarray(random.uniform(0.5, 1.5, s), dtype="float64") for s in shapes)
    whole = model.trainer.problem
    whole.show(Batch((x,), (y,), (weight if weighted else None,)), 0)
    return whole, namespace(x).asarray(model.weights_vector, copy=True)


def residuals(whole):
    """The residuals as a function of the vector of weights, by the network's ordinary forward pass."""
    return lambda w: whole.residuals(whole.run(whole.params(whole.layout.views(w))))


def assembled(point, limit, columns):
    """The whole Jacobian and the residuals, made of the blocks; a block lasts until the next one."""
    blocks = [(to_numpy(j).copy(), to_numpy(r).copy()) for j, r in point.blocks(limit)]
    per_column = len(blocks) // columns
    parts = [blocks[k * per_column : (k + 1) * per_column] for k in range(columns)]
    stacked = [[np.concatenate([block[i] for block in part]) for part in parts] for i in (0, 1)]
    jacobian, residual = (np.stack(of_columns, axis=1) for of_columns in stacked)
    return jacobian.reshape(-1, jacobian.shape[-1]), residual.reshape(-1), len(blocks)


@pytest.mark.parametrize("loss, weighted", [("mse", False), ("mse", True), ("msle", True)])
@pytest.mark.parametrize("name", NETWORKS)
def test_blocks_are_the_jacobian_of_the_model(name, loss, weighted, backend):
    whole, w = problem(backend, NETWORKS[name](), loss, weighted)
    point, r = whole.at(w), residuals(whole)
    columns = to_numpy(r(w)).size // N
    jacobian, residual, _ = assembled(point, 1e9, columns)
    np.testing.assert_allclose(jacobian, to_numpy(nnx.jacobian(r)(w)), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(residual, to_numpy(r(w)), rtol=1e-13)
    np.testing.assert_allclose(0.5 * residual @ residual, to_numpy(point.value), rtol=1e-13)
    np.testing.assert_allclose(residual @ jacobian, to_numpy(point.gradient), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("rows", [1, 3])
def test_blocks_in_parts_equal_the_whole(name, rows, backend):
    whole, w = problem(backend, NETWORKS[name](), weighted=True)
    columns = whole.objective.network.output_shape[0]
    jacobian, residual, count = assembled(whole.at(w), rows * 8.0 * w.shape[0], columns)
    assert count == columns * -(-N // rows)
    for part, one in zip((jacobian, residual), assembled(whole.at(w), 1e9, columns), strict=False):
        np.testing.assert_allclose(part, one, rtol=1e-13, atol=1e-15)


def test_ways_in_parts_equal_the_whole(monkeypatch):
    backend = nnx.backend.make_backend("numpy")
    whole, w = problem(backend, NETWORKS["deep"](), n=400)  # 43 weights
    wanted = assembled(whole.at(w), 1e9, 1)
    monkeypatch.setattr(NumpyAdapter, "cached_entries", 43 * 150)
    in_parts, _ = problem(backend, NETWORKS["deep"](), n=400)
    point = in_parts.at(w)
    found = assembled(point, 1e9, 1)
    assert (wanted[2], found[2]) == (1, 2)
    for part, one in zip(found[:2], wanted[:2], strict=True):
        np.testing.assert_allclose(part, one, rtol=1e-13, atol=1e-15)
    output = whole.run(whole.params(point.x)).outputs[0]
    np.testing.assert_allclose(in_parts.ran(point).outputs[0], output, rtol=1e-14)


def test_products_are_those_of_the_jacobian(backend):
    whole, w = problem(backend, NETWORKS["dense"](), weighted=True)
    point, r = whole.at(w), residuals(whole)
    jacobian = to_numpy(nnx.jacobian(r)(w))
    random = np.random.default_rng(1)
    v, u = random.standard_normal(jacobian.shape[1]), random.standard_normal(jacobian.shape[0])
    on_v, on_u = (backend.asarray(a, dtype="float64") for a in (v, u))
    np.testing.assert_allclose(to_numpy(point.jvp(on_v)), jacobian @ v, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(to_numpy(point.vjp(on_u)), u @ jacobian, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("limit, kept", [(1e9, True), (200.0, False)])
def test_products_by_rows_that_are_kept_are_those_of_their_own_point(limit, kept, backend):
    """Of the last point whose rows were made whole; other points' are made anew."""
    whole, w = problem(backend, NETWORKS["dense"](), weighted=True)
    one, other, r = whole.at(w), whole.at(w + 0.1), residuals(whole)
    u = np.random.default_rng(1).standard_normal(to_numpy(r(w)).size)
    for first, second in ((one, other), (other, one)):
        list(first.blocks(limit))
        assert (whole.rows.times(first, backend.asarray(u, dtype="float64")) is not None) == kept
        assert whole.rows.times(second, backend.asarray(u, dtype="float64")) is None
        for point in (first, second):
            wanted = u @ to_numpy(nnx.jacobian(r)(point.w))
            product = point.vjp(backend.asarray(u, dtype="float64"))
            np.testing.assert_allclose(to_numpy(product), wanted, rtol=1e-11, atol=1e-13)


def test_the_ridge_is_what_penalties_add(backend):
    layers = [
        Dense(3, "tanh", input_shape=(3,), kernel_regularizer=nnx.regularizers.L2(0.3)),
        Dense(1, bias_regularizer=nnx.regularizers.L1L2(l1=0.0, l2=0.7)),
    ]
    whole, w = problem(backend, layers)
    point = whole.at(w + 0.1)
    ridge, weights, r = (to_numpy(a) for a in (point.ridge, point.w, point.residual))
    np.testing.assert_array_equal(ridge, [*[0.6] * 9, *[0.0] * 3, *[0.0] * 3, 1.4])
    np.testing.assert_allclose(0.5 * (r @ r + weights @ (ridge * weights)), to_numpy(point.value), rtol=1e-13)


def test_a_penalty_that_is_no_square_is_refused(backend):
    layers = [Dense(1, input_shape=(3,), kernel_regularizer=nnx.regularizers.L1(0.1))]
    with pytest.raises(OptionError, match=r"l1.*'dense/kernel' is no sum of squares.*lbfgs"):
        problem(backend, layers)


@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_hessian_and_products_are_those_of_nnx_hessian(loss, backend):
    whole, w = problem(backend, NETWORKS["dense"](), loss, optimizer="newton")

    def cost(w):
        return whole.cost(whole.layout.views(w))[0]

    point, wanted = whole.at(w), to_numpy(nnx.hessian(cost)(w))
    np.testing.assert_allclose(to_numpy(point.hessian), wanted, rtol=1e-10, atol=1e-12)
    v = np.random.default_rng(1).standard_normal(wanted.shape[0])
    product = point.hvp(backend.asarray(v, dtype="float64"))
    np.testing.assert_allclose(to_numpy(product), wanted @ v, rtol=1e-10, atol=1e-12)


def test_figures_of_merit_are_counted():
    whole, w = problem(nnx.backend.make_backend("numpy"), NETWORKS["dense"]())
    point = whole.at(w)
    assert whole.counts == {}  # nothing was asked for yet
    _ = point.residual, point.value, whole.ran(point)
    assert dict(whole.counts) == {"value": 1}
    list(point.blocks(1e9))
    list(point.blocks(100.0))
    assert dict(whole.counts) == {"value": 1, "jacobian": 2}
