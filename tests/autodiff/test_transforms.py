"""What the transforms promise: structure, orders, levels, containers, clear errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.autodiff import fused
from nnx.backend import namespace, to_numpy
from nnx.errors import DerivativeError, ShapeError


def test_derivatives_to_fifth_order():
    f = np.exp
    for order in range(1, 6):
        f = nnx.grad(f)
        # exp is its own derivative; rounding only.
        assert float(f(0.7)) == pytest.approx(np.exp(0.7), rel=1e-14), order


def test_perturbations_of_nested_transforms_are_not_confused():
    # d/dx [x · d/dy (x + y)] = 1, not 2 (Siskind and Pearlmutter 2005).
    assert float(nnx.grad(lambda x: x * nnx.grad(lambda y: x + y)(1.0))(3.0)) == 1.0
    inner = lambda x: nnx.jvp(lambda y: x * y * y, (x,), (1.0,))[1]  # noqa: E731  2x·x
    assert float(nnx.grad(inner)(3.0)) == 12.0
    assert float(nnx.jvp(nnx.grad(lambda x: x**3), (2.0,), (1.0,))[1]) == 12.0


def test_forward_over_forward_over_reverse():
    f = lambda x: np.sum(x**4)  # noqa: E731
    x, v = np.asarray([1.0, 2.0]), np.asarray([1.0, 1.0])
    third = nnx.jvp(lambda x: nnx.jvp(nnx.grad(f), (x,), (v,))[1], (x,), (v,))[1]
    np.testing.assert_allclose(third, 24 * x)


def test_hessian_hvp_and_jacobian_agree(backend):
    def f(x):
        xp = namespace(x)
        return xp.sum(xp.sin(x) * x[0]) * x[1]

    x = backend.asarray([0.3, -0.7, 1.1], dtype="float64")
    v = backend.asarray([1.0, 2.0, -1.0], dtype="float64")
    h = nnx.hessian(f)(x)
    np.testing.assert_allclose(to_numpy(h), to_numpy(nnx.jacobian(nnx.grad(f))(x)), rtol=1e-13)
    np.testing.assert_allclose(to_numpy(h), to_numpy(h).T, rtol=1e-13)
    np.testing.assert_allclose(to_numpy(nnx.hvp(f, x, v)), to_numpy(h) @ to_numpy(v), rtol=1e-13)


def test_results_stay_in_library_and_device(backend):
    x = backend.asarray([1.0, 2.0], dtype="float32")
    g = nnx.grad(lambda x: namespace(x).sum(x * x))(x)
    assert type(g) is type(x)
    assert g.dtype == x.dtype
    assert nnx.backend.device_of(g) == nnx.backend.device_of(x)


@dataclass
class Net:
    w: Any
    b: Any


def test_containers_argnums_and_aux():
    def f(p, x, net):
        y = np.sum(p["w"] * x) + p["parts"][0] * 2.0 + np.sum(net.w) * net.b
        return y, {"seen": y, "n": 3}

    p = {"w": np.asarray([1.0, 2.0]), "parts": (5.0, None)}
    net = Net(np.asarray([1.0, 1.0]), 3.0)
    (value, aux), g = nnx.value_and_grad(f, argnums=(0, 2), has_aux=True)(p, np.asarray([3.0, 4.0]), net)
    assert float(value) == 11.0 + 10.0 + 6.0
    assert float(aux["seen"]) == float(value)
    assert aux["n"] == 3
    np.testing.assert_array_equal(g[0]["w"], [3.0, 4.0])
    assert float(g[0]["parts"][0]) == 2.0
    assert g[0]["parts"][1] is None
    np.testing.assert_array_equal(g[1].w, [3.0, 3.0])
    assert float(g[1].b) == 2.0


def test_jacobian_of_containers():
    j = nnx.jacobian(lambda p: {"y": p["a"] * 2.0, "z": p["a"] * p["b"]})({"a": np.ones(2), "b": 3.0})
    np.testing.assert_array_equal(j["y"]["a"], 2.0 * np.eye(2))
    np.testing.assert_array_equal(j["z"]["b"], [1.0, 1.0])
    np.testing.assert_array_equal(j["z"]["a"], 3.0 * np.eye(2))


def test_pullback_may_be_used_again():
    _, pullback = nnx.vjp(lambda x: np.stack([x[0] * x[1], x[0]]), np.asarray([2.0, 3.0]))
    for _ in range(2):
        np.testing.assert_array_equal(pullback(np.asarray([1.0, 0.0]))[0], [3.0, 2.0])


def test_lecture_examples():
    assert [float(g) for g in nnx.grad(lambda x, y: x + y, argnums=(0, 1))(2.0, 3.0)] == [1.0, 1.0]
    assert [float(g) for g in nnx.grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)] == [3.0, 2.0]
    assert [float(g) for g in nnx.grad(np.maximum, argnums=(0, 1))(2.0, 3.0)] == [0.0, 1.0]
    g = nnx.grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2))(-2.0, 5.0, -4.0)
    assert [float(d) for d in g] == [-4.0, -4.0, 3.0]

    def neuron(w, x):
        return 1.0 / (1.0 + np.exp(-(w[0] * x[0] + w[1] * x[1] + w[2])))

    dw, dx = nnx.grad(neuron, argnums=(0, 1))(np.asarray([2.0, -3.0, -3.0]), np.asarray([-1.0, -2.0]))
    np.testing.assert_allclose(dx, [0.3932238664829637, -0.5898357997244456], rtol=0, atol=1e-15)
    expected = [-0.19661193324148185, -0.3932238664829637, 0.19661193324148185]
    np.testing.assert_allclose(dw, expected, rtol=0, atol=1e-15)


def test_plain_numpy_code_is_differentiable():
    x = np.linspace(-1.0, 1.0, 12).reshape(3, 4)
    f = lambda w: np.sum(np.tanh(x @ w) ** 2) + np.mean(np.float64(2.0) * np.concatenate([w, w]))  # noqa: E731
    nnx.check_derivatives(f, np.linspace(0.0, 1.0, 8).reshape(4, 2))


def test_control_flow_on_comparisons():
    def newton_root(a):
        x = a
        while np.max(abs(nnx.stop_gradient(x * x - a))) > 1e-14:
            x = 0.5 * (x + a / x)
        return x

    assert float(nnx.grad(newton_root)(2.0)) == pytest.approx(0.5 / np.sqrt(2.0), rel=1e-12)


@pytest.mark.parametrize(
    ("leak", "words"),
    [
        (lambda x: float(x), r"float\(x\)"),
        (lambda x: x if x else -x, "bool"),
        (lambda x: np.asarray(x), "np.asarray"),
        (lambda x: np.array([x, x]), "np.asarray"),
        (lambda x: [1, 2][x], "index"),
        (lambda x: np.exp(x, out=np.zeros(())), "out="),
    ],
)
def test_what_would_cut_the_gradient_is_refused(leak, words):
    with pytest.raises(DerivativeError, match=words):
        nnx.grad(leak)(1.0)


def test_adding_into_a_plain_array_is_refused():
    def f(x):
        total = np.zeros(2)
        total += x
        return np.sum(total)

    with pytest.raises(DerivativeError, match="a = a \\+ b"):
        nnx.grad(f)(np.ones(2))


def test_misuse_is_explained():
    with pytest.raises(DerivativeError, match="one number, got an array of shape"):
        nnx.grad(lambda x: x * 2.0)(np.ones(3))
    with pytest.raises(DerivativeError, match="real floating"):
        nnx.grad(lambda x: np.sum(x))(np.arange(3))
    with pytest.raises(DerivativeError, match="argnums=3"):
        nnx.grad(lambda x: x, argnums=3)(1.0)
    with pytest.raises(DerivativeError, match="unique_values"):
        nnx.grad(lambda x: np.sum(namespace(x).unique_values(x)))(np.ones(2))
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        nnx.jvp(np.sin, (np.ones(3),), (np.ones(2),))
    with pytest.raises(DerivativeError, match="has_aux"):
        nnx.grad(lambda x: x, has_aux=True)(1.0)


def test_escaped_array_is_refused():
    kept = []

    def f(x):
        kept.append(x * 2.0)
        return x * x

    nnx.grad(f)(1.0)
    with pytest.raises(DerivativeError, match="returned"):
        nnx.grad(lambda x: x * kept[0])(1.0) if False else kept[0] * 2.0


def test_independent_output_has_zero_gradient():
    np.testing.assert_array_equal(nnx.grad(lambda x: 1.0)(np.ones(2)), [0.0, 0.0])
    np.testing.assert_array_equal(nnx.grad(lambda x: np.sum(nnx.stop_gradient(x)))(np.ones(2)), [0.0, 0.0])


def test_nothing_is_recorded_outside_a_transform():
    x = np.ones(3)
    assert type(nnx.autodiff.space_of(x).tanh(x)) is np.ndarray


def test_check_derivatives_finds_a_wrong_derivative():
    @fused(derivative=lambda xp, x, y: 2.0 * x * x)
    def wrong(x):
        return x * x * x

    with pytest.raises(DerivativeError, match="forward mode of f disagrees"):
        nnx.check_derivatives(wrong, np.asarray([1.0, 2.0]))

    @fused(reverse=lambda xp, g, needs, y, a, b: (g * b, 2.0 * g * a))
    def half_wrong(a, b):
        return a * b

    with pytest.raises(DerivativeError, match="reverse mode of f disagrees"):
        nnx.check_derivatives(half_wrong, np.asarray([1.0]), np.asarray([2.0]), modes=("reverse",))


def test_fused_serves_both_modes_and_any_order(backend):
    @fused(reverse=lambda xp, g, needs, y, a, b: (g * b * xp.cos(a) if needs[0] else None, g * xp.sin(a)))
    def f(a, b):
        return namespace(a, b).sin(a) * b

    a, b = (backend.asarray(v, dtype="float64") for v in ([0.3, 0.8], [1.5, -0.4]))
    nnx.check_derivatives(f, a, b, order=3)
    nnx.check_derivatives(lambda a: f(a, b), a)


def test_gradients_are_the_callers_own(backend):
    x = backend.asarray([1.0, 2.0, 3.0], dtype="float64")

    def total(x, y):
        return namespace(x).sum(x + y)

    a, b = nnx.grad(total, argnums=(0, 1))(x, x)
    a[0] = 7.0  # a stretched array (the pullback of sum) would change everywhere, or not be writable
    np.testing.assert_array_equal(to_numpy(a), [7.0, 1.0, 1.0])
    np.testing.assert_array_equal(to_numpy(b), np.ones(3))
    g = backend.xp.ones(3, dtype=x.dtype, device=backend.device)
    same = nnx.vjp(lambda x: x, x)[1](g)[0]
    same[0] = 5.0
    np.testing.assert_array_equal(to_numpy(g), np.ones(3))
