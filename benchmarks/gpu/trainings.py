"""Section: trainings of each kind beside the same on NumPy, with the same seeds, so with the same masks.

Rounding differs (the order of sums, fused multiplication and addition), and training magnifies it from step
to step; the tolerances are a hundred times what array libraries on one CPU differ by, or more.
"""

from __future__ import annotations

import importlib.util
import math
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from checks import Check, Skip, against_numpy
from machine import Machine

FIRST_ORDER = {
    "rmsprop": {"learning_rate": 0.003},
    "adam": {"learning_rate": 0.01, "clipnorm": 1.0, "use_ema": True},
    "sgd": {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
}
#: Epochs that are compared. Soon after, a rounding error decides what a search or a trust region does next.
WHOLE = {
    "lbfgs": 10, "levenberg_marquardt": 15, "bayesian_regularization": 15, "scaled_conjugate_gradient": 10,
    "conjugate_gradient": 10, "bfgs": 10, "one_step_secant": 10, "newton_cg": 8, "dogleg": 4,
}  # fmt: skip


def checks(machine: Machine) -> Iterator[Check]:
    """One of each kind first, then more of each."""
    for dtype, tolerance in (("float32", 2e-3), ("float64", 1e-9)):
        for name in FIRST_ORDER:
            what = f"{name} with dropout, {dtype}"
            yield against_numpy(what, partial(first_order, name=name, dtype=dtype), tolerance, tolerance)
    for name in ("lbfgs", "levenberg_marquardt", "bayesian_regularization"):
        yield whole(name)
    yield against_numpy("minimize", minimize, 1e-6, 1e-6)
    yield against_numpy("least_squares", least_squares, 1e-6, 1e-6)
    yield against_numpy("curve_fit", curve_fit, 1e-6, 1e-6)
    yield Check("evaluate and predict, in the kind of array that was given", kinds)
    yield Check("steps and evaluations are recorded: bits and times", recorded, twice=False)
    yield Check("save, load, and train on bit for bit", saved, twice=False)
    yield Check("a training that diverges ends with finite weights", diverging)
    yield against_numpy("class numbers, weights of samples and classes", sparse, 2e-3, 2e-3)
    yield from (whole(name) for name in list(WHOLE)[3:])


def spiral() -> tuple[np.ndarray, np.ndarray]:
    import nnx

    return nnx.datasets.spiral(300, n_classes=3, noise=0.1, seed=1)


def classifier(b: Any, dtype: str, optimizer: Any, loss: str = "categorical_crossentropy") -> Any:
    import nnx
    from nnx.layers import Dense, Dropout, GaussianNoise

    layers = [
        Dense(32, "relu", input_shape=(2,)), Dropout(0.2), Dense(16, "tanh", kernel_regularizer="l2"),
        GaussianNoise(0.1), Dropout(0.1), Dense(3, "softmax"),
    ]  # fmt: skip
    model = nnx.Sequential(layers, backend=b, dtype=dtype, seed=3)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def outcome(model: Any, history: Any, x: np.ndarray) -> dict[str, Any]:
    """What is compared: the curves, the weights, and predictions."""
    curves = {k: np.asarray(v, dtype="float64") for k, v in history.history.items()}
    return {"curves": curves, "weights": model.get_weights(), "predictions": model.predict(x)}


def first_order(b: Any, name: str, dtype: str) -> Any:
    import nnx

    x, labels = spiral()
    model = classifier(b, dtype, nnx.optimizers.registry.entry(name).create(**FIRST_ORDER[name]))
    history = model.fit(x, np.eye(3)[labels], batch_size=32, epochs=5, validation_split=0.2, verbose=0)
    return outcome(model, history, x)


def whole(name: str) -> Check:
    """A method on all data, on a regression: the curve of its cost."""

    def compute(b: Any) -> Any:
        import nnx

        x = np.linspace(-1.0, 1.0, 60)[:, None]
        layers = [nnx.layers.Dense(3, "tanh", input_shape=(1,)), nnx.layers.Dense(1)]
        model = nnx.Sequential(layers, backend=b, dtype="float64", seed=1)
        model.compile(name, "mse")
        history = model.fit(x, np.sin(np.pi * x), epochs=WHOLE[name], verbose=0)
        return {"loss": np.asarray(history.history["loss"]), "predictions": model.predict(x)}

    return against_numpy(name, compute, 1e-6, 1e-6)


def rosenbrock(x: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def minimize(b: Any) -> Any:
    """Plain NumPy calls on arrays of the backend; the array API's where these have no NumPy protocol."""
    import nnx

    f = rosenbrock if b.name in ("numpy", "cupy") else _rosenbrock_of_the_standard
    start = b.asarray([-1.2, 1.0, 0.5, -0.3], dtype="float64")
    found = {m: nnx.minimize(f, start, method=m) for m in ("bfgs", "lbfgs", "newton", "newton_cg")}
    return {method: (result.x, result.success) for method, result in found.items()}


def _rosenbrock_of_the_standard(x: Any) -> Any:
    from nnx.backend import namespace

    return namespace(x).sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def _decay() -> tuple[np.ndarray, np.ndarray]:
    s = np.linspace(0.0, 2.0, 30)
    return s, 2.0 * np.exp(-1.5 * s) + 0.01 * np.cos(40.0 * s)


def least_squares(b: Any) -> Any:
    import nnx
    from nnx.backend import namespace

    s, y = (b.asarray(a) for a in _decay())
    start = b.asarray([1.0, 1.0], dtype="float64")
    result = nnx.least_squares(lambda p: p[0] * namespace(p).exp(-p[1] * s) - y, start)
    return result.x, result.success


def curve_fit(b: Any) -> Any:
    import nnx
    from nnx.backend import namespace

    s, y = (b.asarray(a) for a in _decay())
    start = b.asarray([1.0, 1.0], dtype="float64")
    popt, pcov = nnx.curve_fit(lambda s, p, q: p * namespace(p, s, q).exp(-q * s), s, y, start)
    return popt, pcov


def kinds(machine: Machine) -> str:
    import nnx
    from nnx.backend import device_of, make_backend

    b, (x, labels) = machine.backend, spiral()
    model, reference = (classifier(c, "float64", "adam") for c in (b, make_backend("numpy")))
    there = b.asarray(x)
    answers = {"NumPy's": model.predict(x), "the device's": model.predict(there)}
    assert isinstance(answers["NumPy's"], np.ndarray), type(answers["NumPy's"])
    assert type(answers["the device's"]) is type(there), type(answers["the device's"])
    assert device_of(answers["the device's"]) == b.device
    for y in answers.values():
        np.testing.assert_allclose(nnx.to_numpy(y), reference.predict(x), rtol=1e-10)
    targets = np.eye(3)[labels]
    found = [m.evaluate(x, targets, verbose=0) for m in (model, reference)]
    found.append(model.evaluate(there, b.asarray(targets), verbose=0))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10)
    np.testing.assert_allclose(found[2], found[1], rtol=1e-10)
    return f"loss {found[0][0]:.6f} from both kinds of array"


def recorded(machine: Machine) -> str:
    """Trainings with recorded steps and without: the same bits; the time of their last epoch."""
    import nnx
    from nnx.jitting import replayed

    x, labels = spiral()
    x, y, before, found = x[:288], np.eye(3)[labels[:288]], replayed.BEFORE, []
    for calls in (10**9, before):
        replayed.BEFORE = calls
        try:
            model = classifier(machine.backend, "float32", "adam")
            model.fit(
                x, y, batch_size=32, epochs=6, validation_data=(x, y), validation_batch_size=32, verbose=0
            )
            start = time.perf_counter()
            loss = model.fit(x, y, batch_size=32, epochs=4, verbose=0).history["loss"][-1]
            seconds = time.perf_counter() - start
        finally:
            replayed.BEFORE = before
        found.append((loss, [nnx.to_numpy(w) for w in model.get_weights()], seconds))
    assert model.step_plan.startswith("program(") and "computed as" not in model.step_plan, model.step_plan
    assert not model._evaluation.function.reason, model._evaluation.function.reason
    assert found[0][0] == found[1][0], f"losses {found[0][0]} and, recorded, {found[1][0]}"
    for a, b in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_array_equal(a, b)
    plain, quick = (seconds / 36 * 1e6 for *_, seconds in found)
    return f"{plain:.0f} µs a step as it is, {quick:.0f} µs recorded"


def saved(machine: Machine) -> str:
    if importlib.util.find_spec("safetensors") is None:
        raise Skip("safetensors is not installed: models cannot be saved here")
    import nnx

    x, labels = spiral()
    y, ends = np.eye(3)[labels], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model = classifier(machine.backend, "float32", "adam")
        model.fit(x, y, epochs=2, verbose=0)
        model.save(path)
        with nnx.use_backend(machine.name):
            again = nnx.load_model(path)
    for m in (model, again):
        history = m.fit(x, y, epochs=2, verbose=0)
        ends.append((history.history["loss"], m.get_weights()))
    assert ends[0][0] == ends[1][0], f"losses {ends[1][0]} after loading instead of {ends[0][0]}"
    for a, c in zip(ends[0][1], ends[1][1], strict=True):
        np.testing.assert_array_equal(nnx.to_numpy(a), nnx.to_numpy(c))
    return f"the same losses {ends[0][0]}"


def diverging(machine: Machine) -> str:
    import nnx

    x, labels = spiral()
    model = classifier(machine.backend, "float32", nnx.optimizers.SGD(1e30))
    try:
        model.fit(x, np.eye(3)[labels], epochs=3, verbose=0)
    except nnx.errors.NonFiniteError as error:
        weights = [nnx.to_numpy(w) for w in model.get_weights()]
        assert all(np.isfinite(w).all() for w in weights), "the weights are not finite afterwards"
        return str(error).splitlines()[0][:120]
    raise AssertionError("no NonFiniteError was raised")


def sparse(b: Any) -> Any:
    x, labels = spiral()
    model = classifier(b, "float32", "adam", "sparse_categorical_crossentropy")
    weights = 0.5 + np.arange(len(x)) % 3
    history = model.fit(
        x, labels, batch_size=50, epochs=3, sample_weight=weights, verbose=0, validation_data=(x, labels)
    )
    assert math.isfinite(history.history["val_loss"][-1])
    return outcome(model, history, x)
