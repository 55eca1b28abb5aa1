"""User-defined rules, recomputation, implicit and per-sample derivatives."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import DerivativeError, ShapeError

POINT = np.asarray([0.3, -1.2, 2.1])


def rule(which):
    """x² · sin(y) with a rule of one's own in the named mode."""

    def forward(xp, directions, z, x, y):
        dx, dy = directions
        total = xp.zeros_like(z)
        if dx is not None:
            total = total + dx * (2.0 * x * xp.sin(y))
        if dy is not None:
            total = total + dy * (x * x * xp.cos(y))
        return total

    def reverse(xp, g, needs, z, x, y):
        return (
            g * (2.0 * x * xp.sin(y)) if needs[0] else None,
            g * (x * x * xp.cos(y)) if needs[1] else None,
        )

    rules = {"forward": {"forward": forward}, "reverse": {"reverse": reverse}}
    rules["both"] = rules["forward"] | rules["reverse"]

    @nnx.custom_derivative(**rules[which])
    def product(x, y):
        xp = namespace(x, y)
        return x * x * xp.sin(y)

    return product


@pytest.mark.parametrize("which", ["forward", "reverse", "both"])
def test_one_rule_serves_both_modes_and_every_order(backend, which):
    f = rule(which)
    x, y = (backend.asarray(a, dtype="float64") for a in (POINT, POINT[::-1] * 0.5))
    nnx.check_derivatives(f, x, y, order=3)
    nnx.check_derivatives(lambda x: f(x, y), x)
    nnx.check_derivatives(lambda y: f(x, y), y)


def test_the_body_may_be_any_code():
    @nnx.custom_derivative(derivative=lambda xp, x, y: 1.0 / (3.0 * y * y))
    def cube_root(x):
        out = np.empty_like(x)
        for i, v in enumerate(x.tolist()):
            out[i] = np.cbrt(v)
        return out

    nnx.check_derivatives(cube_root, POINT)


def test_rules_that_contradict_each_other_are_refused():
    with pytest.raises(TypeError, match="custom_derivative takes"):
        nnx.custom_derivative(derivative=lambda *_: 1.0, forward=lambda *_: 1.0)
    with pytest.raises(TypeError, match="custom_derivative takes"):
        nnx.custom_derivative()


@pytest.mark.parametrize(
    ("reverse", "said"),
    [
        (lambda xp, g, needs, y, x: 2.0 * g * x, "one cotangent for each of 1 arguments"),
        (lambda xp, g, needs, y, x: (g, g), "got tuple of 2"),
        (lambda xp, g, needs, y, x: (g[:2],), r"its shape, \(3,\), got \(2,\)"),
        (lambda xp, g, needs, y, x: (None,), "got NoneType"),
    ],
)
def test_cotangents_of_ones_own_are_checked(reverse, said):
    function = nnx.custom_derivative(reverse=reverse)(lambda x: x * x)
    with pytest.raises(DerivativeError, match=said):
        nnx.grad(lambda x: np.sum(function(x)))(POINT)


def test_a_closure_that_would_be_lost_is_refused():
    def f(x):
        return nnx.custom_derivative(derivative=lambda xp, z, y: 2.0 * z)(lambda z: z * x)(x)

    with pytest.raises(DerivativeError, match="closure"):
        nnx.grad(f)(2.0)


def numbers(ufunc):
    """The ufunc with floats for the objects that np.frompyfunc's give on plain arrays."""

    def call(*args):
        y = ufunc(*args)
        return y if isinstance(y, nnx.autodiff.Traced) else np.asarray(y, dtype=float)

    return call


def test_a_foreign_ufunc_can_be_taught():
    softplus = np.frompyfunc(lambda x: np.log1p(np.exp(x)), 1, 1)
    with pytest.raises(DerivativeError, match="lambda"):
        nnx.grad(lambda x: np.sum(softplus(x)))(POINT)
    nnx.register_ufunc(softplus, derivative=lambda xp, x, y: 1.0 / (1.0 + xp.exp(-x)))
    nnx.check_derivatives(numbers(softplus), POINT)
    two = np.frompyfunc(lambda a, b: a * b * b, 2, 1)
    nnx.register_ufunc(two, reverse=lambda xp, g, needs, y, a, b: (g * b * b, g * 2.0 * a * b))
    nnx.check_derivatives(numbers(two), POINT, POINT[::-1].copy())
    with pytest.raises(DerivativeError, match="ufunc"):
        nnx.register_ufunc(np.sum, derivative=lambda xp, x, y: 1.0)
    with pytest.raises(DerivativeError, match="knows"):
        nnx.register_ufunc(np.arctan, derivative=lambda xp, x, y: 0.0 * x)


# -- checkpoint ----------------------------------------------------------------------------------------------


def test_checkpoint_changes_no_derivative(backend):
    def body(p, x, *, power):
        xp = namespace(x)
        return {"y": xp.tanh(p["w"] * x) ** power, "n": xp.sum(x * p["b"])}

    def through(step):
        def f(w, b, x):
            out = step({"w": w, "b": b}, x, power=2)
            return out["y"] * out["n"]

        return f

    arrays = [backend.asarray(a, dtype="float64") for a in (POINT, POINT**2, POINT[::-1].copy())]
    nnx.check_derivatives(through(nnx.checkpoint(body)), *arrays)
    plain, kept = (nnx.vjp(through(step), *arrays) for step in (body, nnx.checkpoint(body)))
    for a, b in zip(plain[1](plain[0]), kept[1](kept[0]), strict=True):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-13)


def test_checkpoint_calls_again_and_keeps_nothing_between():
    calls = []

    @nnx.checkpoint
    def f(x):
        calls.append(type(x))
        return np.sin(np.exp(x))

    _, pullback = nnx.vjp(f, POINT)
    assert calls == [np.ndarray]  # the first time on plain arrays: nothing is recorded
    pullback(np.ones(3))
    assert len(calls) == 2


def test_checkpoint_saves_memory_at_once():
    """Not only when Python's collector comes by: what was recomputed is free when its piece is done."""

    def six(x):
        for _ in range(6):
            x = np.tanh(x) * 1.1
        return x

    def peak(step):
        def cost(x):
            for _ in range(6):
                x = step(x)
            return np.sum(x)

        slope, x = nnx.grad(cost), np.linspace(-1.0, 1.0, 50_000)
        slope(x)
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            slope(x)
            return tracemalloc.get_traced_memory()[1] / x.nbytes
        finally:
            tracemalloc.stop()
            gc.enable()

    # 36 tanh keep one array each at least; in six pieces 6 between them and 6 inside of one
    assert peak(six) > 36
    assert peak(nnx.checkpoint(six)) < 20


def test_truth_values_and_integers_of_a_checkpointed_function_are_constants(backend):
    def body(x):
        xp = namespace(x)
        return xp.tanh(x), x > 0.0, xp.argmax(x)

    def through(step):
        def cost(x):
            xp = namespace(x)
            y, positive, largest = step(x)
            assert type(positive) is type(x > 0.0)
            last = step_of(lambda y, mask: xp.where(mask, y, 0.5 * y * y))
            return xp.sum(last(y, positive)) + xp.take(x, xp.reshape(largest, (1,)))[0]

        step_of = nnx.checkpoint if step is not body else (lambda f: f)
        return cost

    x = backend.asarray(POINT)
    for order in (nnx.grad, nnx.hessian):
        plain, found = (to_numpy(order(through(step))(x)) for step in (body, nnx.checkpoint(body)))
        # float64: sums in another order
        np.testing.assert_allclose(found, plain, rtol=1e-13)


def test_checkpoint_refuses_what_it_would_lose():
    def in_a_container(w):
        parts = [w]
        return np.sum(nnx.checkpoint(lambda x: x * parts[0])(w * 2.0))

    def assigned_outside(w):
        total = 0.0

        def step(x):
            nonlocal total
            total = total + x
            return x * 2.0

        return np.sum(nnx.checkpoint(step)(w)) + np.sum(total)

    with pytest.raises(DerivativeError, match="container"):
        nnx.grad(in_a_container)(POINT)
    with pytest.raises(DerivativeError, match="nonlocal"):
        nnx.grad(assigned_outside)(POINT)


def test_the_closure_of_a_checkpointed_function_counts_as_it_is_when_called():
    def through(checkpoint):
        def f(w):
            y, count, buffer = w * 1.0, 0, np.zeros(3)

            def step(y):
                nonlocal count
                count += 1
                return np.sin(w * y * k) + buffer * y

            for k in (1.0, 2.0, 3.0):
                buffer[:] = k
                y = checkpoint(step)(y)
            assert count == 3
            return np.sum(y)

        return f

    kept, plain = through(nnx.checkpoint), through(lambda f: f)
    # the same operations but for the order of sums: rounding only
    np.testing.assert_allclose(nnx.grad(kept)(POINT), nnx.grad(plain)(POINT), rtol=1e-13)
    np.testing.assert_allclose(nnx.hessian(kept)(POINT), nnx.hessian(plain)(POINT), rtol=1e-12)


def test_a_checkpointed_function_cannot_write_into_its_closure():
    x = POINT.copy()

    def f(x):
        buffer, row = np.zeros_like(x), x[1:]

        def into_a_buffer(y):
            buffer[0] = y[0]
            return buffer * y

        def into_a_view(y):
            row[0] = 2.0
            return y

        for step in (into_a_buffer, into_a_view):
            with pytest.raises(ValueError, match="read-only"):
                nnx.checkpoint(step)(x)
        return np.sum(x)

    nnx.grad(f)(x)
    np.testing.assert_array_equal(x, POINT)


def test_views_that_a_checkpointed_function_returns_stay_views():
    def through(checkpoint):
        def f(x):
            a, scale = x * 1.0, np.ones(3)
            v, w = checkpoint(lambda a: (a[1:], a * scale))(a)
            scale[:] = 5.0
            a[1] = x[0] ** 3
            v[1] *= x[0]
            return np.sum(v * v) + np.sum(a * w)

        return f

    kept, plain = through(nnx.checkpoint), through(lambda f: f)
    assert float(nnx.value_and_grad(kept)(POINT)[0]) == float(plain(POINT.copy()))
    np.testing.assert_allclose(nnx.hessian(kept)(POINT), nnx.hessian(plain)(POINT), rtol=1e-13)
    nnx.check_derivatives(kept, POINT)


# -- implicit ------------------------------------------------------------------------------------------------


def newton(a):
    x = a
    for _ in range(60):
        x = 0.5 * (x + a / x)
    return x


CONDITIONS = {
    "root": {"root": lambda x, a: x * x - a},
    "fixed_point": {"fixed_point": lambda x, a: 0.5 * (x + a / x)},
    "minimum": {"minimum": lambda x, a: namespace(x).sum(x**3 / 3.0 - a * x)},
}


@pytest.mark.parametrize("which", CONDITIONS)
def test_implicit_square_root(backend, which):
    root = nnx.implicit(**CONDITIONS[which])(newton)
    a = backend.asarray([0.7, 2.0, 3.0], dtype="float64")
    if which == "fixed_point":  # its own derivative at the solution is zero: dx/da comes from the equation
        np.testing.assert_allclose(to_numpy(root(a)) ** 2, to_numpy(a), rtol=1e-14)
    nnx.check_derivatives(root, a)


def ridge(data, strength):
    x, y = data["x"], data["y"]
    return np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ y)


def cost(w, data, strength):
    residual = data["x"] @ w - data["y"]
    return 0.5 * np.sum(residual**2) + 0.5 * strength * np.sum(w**2)


@pytest.mark.parametrize("matrix_free", [False, True])
def test_implicit_minimum_of_several_arguments(matrix_free):
    random = np.random.default_rng(0)
    data = {"x": random.standard_normal((7, 3)), "y": random.standard_normal(7)}

    def conjugate_gradients(multiply, b):
        x = 0.0 * b
        r = p = b
        for _ in range(3):
            q = multiply(p)
            step = np.sum(r * r) / np.sum(p * q)
            x, new = x + step * p, r - step * q
            p, r = new + np.sum(new * new) / np.sum(r * r) * p, new
        return x

    solver = nnx.implicit(minimum=cost, solve=conjugate_gradients if matrix_free else None)(ridge)

    def f(x, y, strength):
        return np.sum(np.sin(solver({"x": x, "y": y}, strength)))

    point = (data["x"], data["y"], np.asarray(0.3))
    expected = nnx.grad(lambda *a: np.sum(np.sin(ridge({"x": a[0], "y": a[1]}, a[2]))), (0, 1, 2))(*point)
    for found, known in zip(nnx.grad(f, (0, 1, 2))(*point), expected, strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-10, atol=1e-12)
    if not matrix_free:
        nnx.check_derivatives(lambda s: f(*point[:2], s), point[2])


def test_implicit_says_what_is_wrong():
    with pytest.raises(DerivativeError, match="exactly one"):
        nnx.implicit()
    with pytest.raises(DerivativeError, match="exactly one"):
        nnx.implicit(root=newton, minimum=newton)
    with pytest.raises(DerivativeError, match="closure"):
        nnx.grad(lambda b: nnx.implicit(root=lambda x, a: x * x - a * b)(newton)(1.0))(4.0)
    bad = nnx.implicit(root=lambda x, a: np.sum(x * x - a))(newton)
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        nnx.grad(lambda a: np.sum(bad(a)))(np.ones(3))


# -- per sample ----------------------------------------------------------------------------------------------


def losses(p, x, y):
    xp = namespace(p["w"])
    hidden = xp.tanh(x @ p["w"] + p["b"])
    return xp.sum((hidden - y) ** 2, axis=1)


def loss(p, x, y):
    xp = namespace(p["w"])
    return xp.sum((xp.tanh(x @ p["w"] + p["b"]) - y) ** 2)


def small_network(backend):
    random = np.random.default_rng(1)
    p = {"w": random.standard_normal((3, 2)), "b": random.standard_normal(2)}
    data = random.standard_normal((5, 3)), random.standard_normal((5, 2))
    return (
        {k: backend.asarray(v, dtype="float64") for k, v in p.items()},
        *(backend.asarray(a, dtype="float64") for a in data),
    )


def test_gradients_of_samples_are_those_of_one_sample_at_a_time(backend):
    p, x, y = small_network(backend)
    slow = nnx.per_sample_grad(loss)(p, x, y)
    fast = nnx.per_sample_grad(losses, stacked=True)(p, x, y)
    whole = nnx.grad(lambda p: namespace(p["w"]).sum(losses(p, x, y)))(p)
    for k in p:
        assert tuple(fast[k].shape) == (5, *p[k].shape)
        np.testing.assert_allclose(to_numpy(fast[k]), to_numpy(slow[k]), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(to_numpy(fast[k]).sum(axis=0), to_numpy(whole[k]), rtol=1e-12)


def test_jacobians_of_samples(backend):
    p, x, _ = small_network(backend)

    def outputs(p, x):
        return namespace(p["w"]).tanh(x @ p["w"] + p["b"])

    fast = nnx.per_sample_jacobian(outputs, stacked=True)(p, x)
    slow = nnx.per_sample_jacobian(outputs)(p, x)
    for k in p:
        assert tuple(fast[k].shape) == (5, 2, *p[k].shape)
        np.testing.assert_allclose(to_numpy(fast[k]), to_numpy(slow[k]), rtol=1e-12, atol=1e-14)


def test_gradients_of_samples_are_differentiable(backend):
    """A penalty on the length of each sample's gradient: reverse and forward mode around it."""
    p, x, y = small_network(backend)

    def lengths(p, gradients):
        found = gradients(p, x, y)
        return sum(namespace(g).sum(g * g) for g in found.values())

    fast, slow = nnx.per_sample_grad(losses, stacked=True), nnx.per_sample_grad(loss)
    for k, g in nnx.grad(lambda p: lengths(p, slow))(p).items():
        found = nnx.grad(lambda p: lengths(p, fast))(p)[k]
        np.testing.assert_allclose(to_numpy(found), to_numpy(g), rtol=1e-11, atol=1e-13)
    along = [nnx.jvp(lambda p, g=g: lengths(p, g), (p,), (p,))[1] for g in (fast, slow)]
    np.testing.assert_allclose(*map(to_numpy, along), rtol=1e-11)


def test_gradients_of_samples_own_their_arrays(backend):
    p, x, _ = small_network(backend)

    def shifted(p, x):
        return namespace(x).sum(x, axis=1) + p["b"] + p["c"]

    p = {"b": p["b"][0], "c": p["b"][1]}
    found = nnx.per_sample_grad(shifted, stacked=True)(p, x)
    assert not nnx.autodiff.space_of(x).shares_memory(found["b"], found["c"])


@pytest.mark.parametrize(
    ("f", "named"),
    [
        (lambda w, x: np.cumsum(x @ w), "cumulative_sum"),
        (lambda w, x: nnx.activations.softmax((x @ w)[:, None], axis=0)[:, 0], "softmax"),
        (lambda w, x: (x @ w) - np.mean(x @ w), "mean"),
        (lambda w, x: ((x @ w)[:, None] * (x @ w)) @ x[:, 0], "multiply"),
        (lambda w, x: nnx.checkpoint(lambda w: x @ w)(w), "checkpoint"),
    ],
    ids=["running sum", "softmax", "mean", "gram matrix", "unknown"],
)
def test_samples_that_mix_are_refused_by_name(f, named):
    x = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(DerivativeError, match=rf"(?s)per_sample_grad.*({named}).*leave stacked=True out"):
        nnx.per_sample_grad(f, stacked=True)(np.ones(2), x)
    with pytest.raises(DerivativeError, match=named):
        nnx.per_sample_jacobian(lambda w, x: f(w, x)[:, None], stacked=True)(np.ones(2), x)


def test_samples_must_be_equally_many():
    with pytest.raises(ShapeError, match="equally many"):
        nnx.per_sample_grad(lambda w, x, y: w)(1.0, np.ones(3), np.ones(2))
    with pytest.raises(ShapeError, match="one loss for each"):
        nnx.per_sample_grad(lambda w, x: np.sum(w * x), stacked=True)(np.ones(2), np.ones((3, 2)))
