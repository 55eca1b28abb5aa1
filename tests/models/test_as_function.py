"""A model as a pure function of its weights and inputs, for what ``fit`` cannot say."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import ShapeError
from nnx.layers import Dense, Dropout, Flatten, GaussianNoise, Maxout
from nnx.optimizers import ResidualProblem


def network(backend=None, *layers, **options):
    layers = layers or (Dense(4, "tanh", input_shape=(2,)), Dense(1))
    return nnx.Sequential(layers, backend=backend, dtype="float64", seed=3, **options)


def line(backend):
    return nnx.Sequential([Dense(1, input_shape=(1,))], backend=backend, dtype="float64", seed=1)


def inputs(backend, n=6, shape=(2,)):
    return backend.asarray(np.random.default_rng(5).normal(size=(n, *shape)), dtype="float64")


def square(r):
    return namespace(r).sum(r * r)


def test_values_are_those_of_predict(backend):
    model, x = network(backend), inputs(backend)
    f, w = model.as_function()
    assert {name: tuple(a.shape) for name, a in w.items()} == {
        "dense/kernel": (2, 4),
        "dense/bias": (4,),
        "dense_1/kernel": (4, 1),
        "dense_1/bias": (1,),
    }
    np.testing.assert_allclose(to_numpy(f(w, x)), to_numpy(model.predict(x)), rtol=1e-14)
    vector = namespace(x).asarray(model.weights_vector, copy=True)
    np.testing.assert_array_equal(to_numpy(f(vector, x)), to_numpy(f(w, x)))


def test_gradients_are_those_of_fit(backend):
    model, x = network(backend), inputs(backend)
    f, w = model.as_function()
    g = nnx.grad(lambda w: square(f(w, x) - 1.0) / 6)(w)
    model.compile(nnx.optimizers.SGD(1.0), "mse")
    model.fit(x, np.ones((6, 1)), batch_size=6, epochs=1, verbose=0)
    after = model.as_function()[1]
    for name in w:  # one step of length 1 against the gradient
        np.testing.assert_allclose(to_numpy(w[name] - after[name]), to_numpy(g[name]), atol=1e-14)


def test_random_layers_are_off_and_fixed_weights_are_inside(backend):
    frozen = Dense(3, "tanh", trainable=False)
    model = network(backend, Dense(8, input_shape=(2,)), Dropout(0.5), frozen, GaussianNoise(1.0), Dense(1))
    f, w = model.as_function()
    x = inputs(backend)
    assert set(w) == {"dense/kernel", "dense/bias", "dense_2/kernel", "dense_2/bias"}
    np.testing.assert_allclose(to_numpy(f(w, x)), to_numpy(model.predict(x)), rtol=1e-14)


def test_function_and_weights_are_independent_of_the_model(backend):
    model, x = network(backend, Dense(2, trainable=False, input_shape=(2,)), Dense(1)), inputs(backend)
    f, w = model.as_function()
    before = to_numpy(f(w, x))
    model.set_weights([2.0 * a + 1.0 for a in model.get_weights()])
    np.testing.assert_array_equal(to_numpy(f(w, x)), before)
    assert not np.allclose(to_numpy(model.predict(x)), before)


def test_weights_go_back_by_name(backend):
    model, x = network(backend), inputs(backend)
    f, w = model.as_function()
    doubled = {name: 2.0 * w[name] for name in reversed(w)}  # names count, not their order
    model.set_weights(doubled)
    np.testing.assert_allclose(to_numpy(model.predict(x)), to_numpy(f(doubled, x)), rtol=1e-14)


def wrong(w):
    kernel = w["dense/kernel"]
    missing = {name: w[name] for name in w if name != "dense/bias"}
    return {
        "missing": (missing, "got those called dense/kernel, dense_1/kernel, dense_1/bias"),
        "foreign": (w | {"dense_7/bias": w["dense/bias"]}, "dense_7/bias"),
        "empty": ({}, "nothing"),
        "transposed": (w | {"dense/kernel": kernel.T}, r"'dense/kernel' has shape \(2, 4\).*\(4, 2\)"),
        "number": (w | {"dense/bias": 1.0}, r"'dense/bias' has shape \(4,\).*\(\)"),
        "copies": ({name: np.stack([w[name]] * 6) for name in w}, r"shape \(2, 4\).*\(6, 2, 4\)"),
    }


@pytest.mark.parametrize("case", ["missing", "foreign", "empty", "transposed", "number", "copies"])
def test_wrong_names_and_shapes_are_named(case):
    model = network()
    f, w = model.as_function()
    weights, message = wrong(w)[case]
    with pytest.raises(ShapeError, match=message):
        f(weights, np.ones((6, 2)))
    if case != "number":
        with pytest.raises(ShapeError, match=message):
            model.set_weights(weights)
    np.testing.assert_array_equal(model.as_function()[1]["dense/kernel"], w["dense/kernel"])


def test_a_vector_of_another_length_is_refused():
    f, _ = network().as_function()
    with pytest.raises(ShapeError, match="17 numbers"):
        f(np.zeros(16), np.ones((6, 2)))


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "newton", "adam"])
def test_minimize_takes_and_gives_the_dict(backend, method):
    model = line(backend)
    f, w = model.as_function()
    x = inputs(backend, 8, (1,))
    options = {"learning_rate": 0.1, "maxiter": 400} if method == "adam" else {}
    result = nnx.minimize(lambda w: square(f(w, x) - 2.0 * x - 1.0), w, method=method, options=options)
    model.set_weights(result.x)
    kernel, bias = model.get_weights()
    # Adam's steps are as long as its rate, so it only comes near.
    tolerance = 1e-3 if method == "adam" else 1e-6
    np.testing.assert_allclose([kernel[0, 0], bias[0]], [2.0, 1.0], atol=tolerance)
    if method == "adam":
        first = nnx.minimize(
            lambda w: square(f(w, x) - 2.0 * x - 1.0), w, method=method, options=options | {"maxiter": 20}
        )
        assert first.nfev == first.njev == first.nit + 1  # no point is computed twice
        assert result.nfev == result.njev  # those of second looks, where the gradient is small, included


def test_one_model_for_two_sets_of_data(backend):
    # Each set has one input: alone it does not say what the line is.
    model = line(backend)
    f, w = model.as_function()
    a, b = (backend.asarray(np.full((3, 1), x), dtype="float64") for x in (0.5, -0.5))
    result = nnx.least_squares(lambda w: {"a": f(w, a) - 2.0, "b": 3.0 * f(w, b)}, w)
    model.set_weights(result.x)
    np.testing.assert_allclose([p.item() for p in model.get_weights()], [2.0, 1.0], atol=1e-7)


def test_a_constraint_as_a_penalty(backend):
    # The line through noisy points that is to pass through the origin: b² with a factor of 1e4.
    model, factor = line(backend), 1e4
    f, w = model.as_function()
    x = np.linspace(0.0, 1.0, 9)
    y = 2.0 * x + 0.5 + 0.1 * np.sin(40.0 * x)
    own_x, own_y = (backend.asarray(v[:, None], dtype="float64") for v in (x, y))
    origin = backend.asarray(np.zeros((1, 1)), dtype="float64")
    result = nnx.minimize(lambda w: square(f(w, own_x) - own_y) + factor * square(f(w, origin)), w)
    rows = np.stack([x, np.ones_like(x)], axis=1)
    exact = np.linalg.solve(rows.T @ rows + np.diag([0.0, factor]), rows.T @ y)
    model.set_weights(result.x)
    np.testing.assert_allclose([p.item() for p in model.get_weights()], exact, atol=1e-6)
    assert abs(exact[1]) < 1e-3


def of_kind(backend, kind):
    """A network and the shape of its inputs."""
    shape, layers = (2,), (Dense(4, "tanh", input_shape=(2,)), Dense(3))
    if kind == "no bias":
        layers = (Dense(4, "tanh", use_bias=False, input_shape=(2,)), Dense(3, use_bias=False))
    elif kind == "maxout":
        layers = (Maxout(4, pieces=2, input_shape=(2,)), Dense(3))
    elif kind == "sequence":
        shape, layers = (5, 2), (Dense(4, "tanh", input_shape=(5, 2)), Dense(3, "softmax"), Flatten())
    elif kind == "activations":
        layers = (Dense(4, "gelu", input_shape=(2,)), Dense(6, "glu"), Dense(3, "softmax"))
    return network(backend, *layers), shape


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("kind", ["dense", "no bias", "maxout", "sequence", "activations"])
def test_jacobians_of_the_samples_come_in_one_pass(backend, kind, n):
    model, shape = of_kind(backend, kind)
    f, w = model.as_function()
    x = inputs(backend, n, shape)
    found = nnx.per_sample_jacobian(f, stacked=True)(w, x)
    wanted = nnx.per_sample_jacobian(lambda w, x: f(w, x[None, ...])[0, ...])(w, x)
    for name in w:
        # sums in another order
        np.testing.assert_allclose(to_numpy(found[name]), to_numpy(wanted[name]), rtol=1e-11, atol=1e-13)


def poisson(f, units):
    """Δu + |x|² for the network u, by forward mode twice along each unit vector."""

    def residual(w, x):
        total = namespace(x).sum(x * x, axis=1, keepdims=True)
        for v in units:
            total = total + nnx.jvp(lambda x, v=v: nnx.jvp(lambda x: f(w, x), (x,), (v,))[1], (x,), (v,))[1]
        return total

    return residual


def equation_and_edge(backend):
    """Residuals of two kinds with 6 and 3 points, and the weights."""
    f, w = network(backend).as_function()
    x = inputs(backend)
    units = [backend.asarray(np.tile(unit, (6, 1)), dtype="float64") for unit in np.eye(2)]
    equation, edge = poisson(f, units), x[:3, :]
    return lambda w: [equation(w, x), f(w, edge)], w


def problem_of(residuals, w):
    layout = nnx.parameters.Layout(tuple(w), tuple(tuple(a.shape) for a in w.values()))
    problem = ResidualProblem(residuals, layout, lambda pieces: dict(zip(w, pieces, strict=True)))
    return problem, problem.at(layout.pack(list(w.values())))


def test_the_jacobian_of_a_differential_equation_comes_in_one_pass(backend):
    residuals, w = equation_and_edge(backend)
    problem, point = problem_of(residuals, w)
    xp = namespace(point.w)
    eye = backend.asarray(np.eye(9), dtype="float64")
    wanted = np.stack([to_numpy(problem.vjp(point, eye[i, :])) for i in range(9)])
    calls = count_pullbacks(problem)
    assert tuple(point.jacobian.shape) == (9, 17)
    np.testing.assert_allclose(to_numpy(point.jacobian), wanted, rtol=1e-11, atol=1e-13)  # other sums
    # 4 rows at a time: the last of the first residuals together with the first of the second
    blocks = list(problem.at(xp.asarray(point.w, copy=True)).blocks(4 * 17 * 8.0))
    assert [tuple(rows.shape) for rows, _ in blocks] == [(4, 17), (4, 17), (1, 17)]
    found = np.concatenate([to_numpy(rows) for rows, _ in blocks])
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13)
    assert not calls


def count_pullbacks(problem):
    """A list that grows with every pullback of a single row, or product by forward mode."""
    calls, pullback, pushed = [], problem._pullback, problem._pushed
    problem._pullback = lambda point: calls.append("back") or pullback(point)
    problem._pushed = lambda point, v: calls.append("forward") or pushed(point, v)
    return calls


@pytest.mark.parametrize("units", [9, 1])
def test_samples_that_mix_take_the_old_way(backend, units):
    """Bit for bit, by rows or (for fewer weights) by columns."""
    f, w = network(backend, Dense(units, "tanh", input_shape=(2,)), Dense(1)).as_function()
    x = inputs(backend, 40)

    def residuals(w):
        xp = namespace(*w.values())
        return xp.flip(f(w, x), axis=0) - f(w, x)

    problem, point = problem_of(residuals, w)
    calls = count_pullbacks(problem)
    found, n = to_numpy(point.jacobian), point.w.shape[0]
    assert calls == (["forward"] * n if units == 1 else ["back"])
    if units == 1:
        units = [to_numpy(problem.jvp(point, column)) for column in _columns(backend, n)]
        np.testing.assert_array_equal(found, np.stack(units, axis=1))
    else:
        rows = [to_numpy(problem.vjp(point, row)) for row in _columns(backend, 40)]
        np.testing.assert_array_equal(found, np.stack(rows))


def _columns(backend, n):
    eye = backend.asarray(np.eye(n), dtype="float64")
    return [eye[i, :] for i in range(n)]


def test_a_step_with_the_jacobian_of_nnx_is_one_with_the_same_matrix_given(backend):
    residuals, w = equation_and_edge(backend)
    options = {"maxiter": 1, "geodesic": False}
    found = nnx.least_squares(residuals, w, options=options)
    again = nnx.least_squares(residuals, w, jac=nnx.jacobian(residuals), options=options)
    assert tuple(found.jac.shape) == (9, 17)
    assert found.nit == again.nit == 1
    # After the same step: sums in another order, which the linear system of the step makes more of.
    np.testing.assert_allclose(to_numpy(again.jac), to_numpy(found.jac), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda w: {"kernel": np.ones((3, 1))}, "What jac returned"),
        (lambda w: np.ones((2, 3)), "What jac returned"),
        (lambda w: {"kernel": np.ones((3, 1, 1)), "bias": np.ones((3, 1))}, r"shape \(3, 1, 1, 1\)"),
    ],
)
def test_a_jacobian_of_another_form_is_refused(given, message):
    x, start = np.ones((3, 1)), {"kernel": np.ones((1, 1)), "bias": np.ones(1)}
    with pytest.raises(ShapeError, match=message):
        nnx.least_squares(lambda w: x @ w["kernel"] + w["bias"], start, jac=given)
