"""Rules that see one weight array at a time: the pieces that they are given, and what single ones promise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError
from nnx.optimizers import Adafactor, Adam, AdamW, FunctionProblem, Lamb, Muon, PerArray
from nnx.optimizers.first_order.muon import NewtonSchulz
from nnx.parameters import Layout

LAYOUT = Layout(
    ("embedding/table", "conv/kernel", "conv/bias", "dense/kernel", "dense/gain"),
    ((3, 2), (2, 1, 2, 3), (3,), (4, 2), ()),
)
WHOLE = [entry.target for entry in nnx.optimizers.registry if issubclass(entry.target, PerArray)]
each_optimizer = pytest.mark.parametrize("kind", WHOLE)
START = np.sin(np.arange(1.0, LAYOUT.size + 1.0))


def bowl(layout=LAYOUT):
    return FunctionProblem(lambda w: namespace(w).sum((w - 2.0) ** 4), layout)


def steps(optimizer, problem, start, count=5):
    w = np.array(start)
    state = optimizer.init(problem, w)
    for _ in range(count):
        w, state, _ = optimizer.step(problem, w, state)
    return w, state


def one_step(optimizer, w, g, layout, dtype="float64"):
    problem = SimpleNamespace(
        layout=layout, at=lambda w: SimpleNamespace(value=0.0, gradient=np.asarray(g, dtype=dtype))
    )
    return steps(optimizer, problem, np.asarray(w, dtype=dtype), 1)[0]


# -- the protocol -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Normalized(PerArray):
    """Gradient descent with steps of one length for each weight array, and a count for each row of it."""

    @property
    def rule(self):
        def rule(xp, w, g, rows, eta):
            return w - eta * g / xp.sqrt(xp.sum(g * g)), rows + 1.0

        return rule

    def slots(self):
        return {"rows": 0.0}

    def slot_shape(self, slot, name, shape):
        return shape[:1]


def test_a_rule_of_ones_own_is_one_class(backend):
    w = backend.xp.asarray(backend.asarray(START), copy=True)
    optimizer, problem = Normalized(0.25), bowl()
    state = optimizer.init(problem, w)
    for _ in range(3):
        before = to_numpy(backend.xp.asarray(w, copy=True))
        optimizer.step(problem, w, state)
        moved = LAYOUT.views(to_numpy(w) - before)
        np.testing.assert_allclose([np.linalg.norm(piece) for piece in moved], 0.25, rtol=1e-6)
    np.testing.assert_array_equal(to_numpy(state.slots["rows"]), np.full(3 + 2 + 3 + 4 + 1, 3.0))


@dataclass(frozen=True)
class Remembering(PerArray):
    """Gradient descent that keeps the last weights and gradient, as they were given to it."""

    @property
    def rule(self):
        return lambda xp, w, g, last, slope, eta: (w - eta * g, w, g)

    def slots(self):
        return {"last": 0.0, "slope": 0.0}


def test_what_a_rule_was_given_may_be_what_it_keeps(backend):
    w = backend.xp.asarray(backend.asarray(START), copy=True)
    optimizer, problem = Remembering(0.01), bowl()
    state = optimizer.init(problem, w)
    optimizer.step(problem, w, state)
    g = 4.0 * (START - 2.0) ** 3
    np.testing.assert_allclose(to_numpy(w), START - 0.01 * g, rtol=1e-6)
    np.testing.assert_allclose(to_numpy(state.slots["last"]), START, rtol=1e-6)
    np.testing.assert_allclose(to_numpy(state.slots["slope"]), g, rtol=1e-6)


@each_optimizer
def test_each_array_moves_as_if_it_were_alone(kind):
    together, _ = steps(kind(0.1), bowl(), START)
    for name, shape, piece, start in zip(
        LAYOUT.names, LAYOUT.shapes, LAYOUT.views(together), LAYOUT.views(START), strict=True
    ):
        alone, _ = steps(kind(0.1), bowl(Layout((name,), (shape,))), start.reshape(-1))
        np.testing.assert_array_equal(piece.reshape(-1), alone)


@each_optimizer
def test_weights_without_a_layout_are_one_vector(kind):
    plain, _ = steps(kind(0.1), bowl(None), START)
    named, _ = steps(kind(0.1), bowl(Layout(("x",), (START.shape,))), START)
    np.testing.assert_array_equal(plain, named)


@each_optimizer
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1, "use_ema": True}, {"clipvalue": 1.0}])
def test_masked_arrays_stay_and_the_others_move_as_without_a_mask(kind, options):
    free, _ = steps(kind(0.1, **options), bowl(), START)
    held, _ = steps(kind(0.1, mask=("conv/", "table"), **options), bowl(), START)
    for name, a, b, start in zip(
        LAYOUT.names, LAYOUT.views(free), LAYOUT.views(held), LAYOUT.views(START), strict=True
    ):
        np.testing.assert_array_equal(b, start if name.startswith("dense/") else a)


@each_optimizer
def test_masked_entries_of_an_array_stay_whatever_their_gradient(kind):
    moves = np.arange(LAYOUT.size) % 3 > 0
    problem = bowl()
    problem.at = lambda w: SimpleNamespace(value=0.0, gradient=np.where(moves, w - 2.0, np.nan))
    held, _ = steps(kind(0.1, mask=moves), problem, START)
    np.testing.assert_array_equal(held[~moves], START[~moves])
    assert np.all(np.isfinite(held)) and np.all(held[moves] != START[moves])


@each_optimizer
def test_arrays_without_entries_are_left_alone(kind):
    layout = Layout(("a/kernel", "b/kernel", "b/bias"), ((3, 0), (2, 3), (0,)))
    w, _ = steps(kind(0.1, use_ema=True, clipnorm=1.0), bowl(layout), np.zeros(6))
    assert np.all(w > 0.0)


@each_optimizer
def test_a_state_takes_the_precision_of_the_weights(kind):
    w, state = steps(kind(), bowl(), START.astype("float32"))
    saved = {name: x.astype("float64") for name, x in state.vectors().items()}
    again = kind().restore(bowl(), w, saved, state.numbers())
    assert {x.dtype for x in again.vectors().values()} == {np.dtype("float32")}


@each_optimizer
def test_names_need_a_layout_and_a_match(kind):
    with pytest.raises(OptionError, match="no names"):
        steps(kind(weight_decay=0.1, exclude_from_weight_decay="bias"), bowl(None), START)
    with pytest.raises(OptionError, match="matches none of the weights: embedding/table"):
        steps(kind(weight_decay=0.1, exclude_from_weight_decay="gamma"), bowl(), START)


@each_optimizer
def test_a_saved_model_goes_on_bit_for_bit(kind, tmp_path):
    x = np.linspace(-1.0, 1.0, 40).reshape(20, 2)
    model = nnx.Sequential([nnx.layers.Dense(4, "tanh", input_shape=(2,)), nnx.layers.Dense(1)], seed=1)
    model.compile(kind(0.01, clipnorm=1.0), "mse")
    model.fit(x, x[:, :1], epochs=2, shuffle=False, verbose=0)
    model.save(tmp_path / "model.safetensors")
    again = nnx.load_model(tmp_path / "model.safetensors")
    for each in (model, again):
        each.fit(x, x[:, :1], epochs=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


# -- LAMB ---------------------------------------------------------------------------------------------


def test_lamb_moves_each_array_by_the_rate_times_its_norm():
    g = np.cos(np.arange(LAYOUT.size))
    moved = LAYOUT.views(one_step(Lamb(0.1), START, g, LAYOUT) - START)
    for step, start in zip(moved, LAYOUT.views(START), strict=True):
        np.testing.assert_allclose(np.linalg.norm(step), 0.1 * np.linalg.norm(start), rtol=1e-12)


def test_lamb_moves_zeros_as_adam_does():
    g = np.cos(np.arange(LAYOUT.size))
    adam = one_step(Adam(0.1, epsilon=0.0), np.zeros(LAYOUT.size), g, LAYOUT)
    lamb = one_step(Lamb(0.1, epsilon=0.0), np.zeros(LAYOUT.size), g, LAYOUT)
    np.testing.assert_allclose(lamb, adam, rtol=1e-14)


def test_lamb_without_a_gradient_stays():
    np.testing.assert_array_equal(one_step(Lamb(0.1), START, np.zeros(LAYOUT.size), LAYOUT), START)


# -- Adafactor ----------------------------------------------------------------------------------------


def test_adafactor_remembers_rows_and_columns_of_matrices_and_all_of_vectors():
    state = Adafactor().init(bowl(), START.copy())
    sizes = {name: vector.shape for name, vector in state.slots.items()}
    assert sizes == {"row": (3 + 2 * 1 * 2 + 4,), "column": (2 + 2 * 1 * 3 + 2,), "velocity": (3 + 1,)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1.0, 1e-12, 1e12])
def test_adafactor_takes_rows_and_columns_without_gradient(dtype, size):
    # an input that is always 0 and a unit that is always off: V̂ is ε₁² there, which single precision has not
    g = size * (1.0 + np.arange(12.0)).reshape(4, 3)
    g[2, :], g[:, 1] = 0.0, 0.0
    w = one_step(Adafactor(0.1), np.ones(12), g.reshape(-1), Layout(("kernel",), ((4, 3),)), dtype)
    still = (g == 0.0).reshape(-1)
    np.testing.assert_array_equal(w[still], 1.0)
    assert np.all(np.isfinite(w)) and np.all(w[~still] < 1.0)


@pytest.mark.parametrize("relative", [True, False])
def test_adafactor_lowers_the_rate_itself_only_where_it_may(relative):
    rates = []
    optimizer = Adafactor(0.5, relative_step=relative, clip_threshold=1e9)
    problem = SimpleNamespace(layout=None, at=lambda w: SimpleNamespace(value=0.0, gradient=np.ones(4)))
    w = np.ones(4)
    state = optimizer.init(problem, w)
    for _ in range(10):
        size = np.sqrt(np.mean(w * w))
        before = w.copy()
        optimizer.step(problem, w, state)
        rates.append((before - w)[0] / max(size, 1e-3))  # u is 1: the gradient never changes
    expected = [min(0.5, 1.0 / math.sqrt(t)) if relative else 0.5 for t in range(1, 11)]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


def test_adafactor_is_pytorchs_but_for_how_it_avoids_zero():
    torch = pytest.importorskip("torch")
    w = torch.tensor(START)
    parts = [torch.nn.Parameter(w[p].reshape(s)) for p, s in zip(LAYOUT.slices, LAYOUT.shapes, strict=True)]
    peer = torch.optim.Adafactor(parts, lr=0.2, eps=(1e-150, 1e-3))
    for _ in range(50):
        for part in parts:
            part.grad = 4.0 * (part.detach() - 2.0) ** 3
        peer.step()
    mine, _ = steps(Adafactor(0.2, epsilon_1=1e-300), bowl(), START, 50)
    theirs = torch.cat([part.detach().reshape(-1) for part in parts]).numpy()
    np.testing.assert_allclose(mine, theirs, rtol=1e-11)


# -- Muon ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (4, 4), (1, 5), (5, 1)])
def test_newton_schulz_makes_all_singular_values_one(shape, backend):
    x = np.random.default_rng(0).standard_normal(shape)
    u, s, v = np.linalg.svd(x, full_matrices=False)
    given = backend.asarray(x, dtype="float64")
    exact = NewtonSchulz(1.5, -0.5, 0.0, 60)(namespace(given), given)  # Newton's own, which converges
    np.testing.assert_allclose(to_numpy(exact), u @ v, rtol=0.0, atol=1e-13)
    near = to_numpy(NewtonSchulz(3.4445, -4.775, 2.0315, 5)(namespace(given), given))
    values = np.linalg.svd(near, compute_uv=False)
    assert np.min(s) > 0.01 * np.linalg.norm(x)
    assert np.min(values) > 0.68 and np.max(values) < 1.14
    # the same directions as X, each with a value of its own
    np.testing.assert_allclose(u.T @ near @ v.T, np.diag(np.diag(u.T @ near @ v.T)), atol=1e-12)


def test_muon_gives_its_step_the_size_of_adams():
    g = np.random.default_rng(0).standard_normal((40, 30))
    layout = Layout(("kernel",), ((40, 30),))
    moved = one_step(Muon(1.0, weight_decay=None), np.zeros(1200), g.reshape(-1), layout)
    # singular values of one have the root mean square 1/√max(n, k), and 0.2 of Adam's is its usual size
    assert 0.68 < np.sqrt(np.mean(moved**2)) / 0.2 < 1.14


def test_muon_moves_by_adamw_whatever_is_no_matrix_of_a_hidden_layer():
    w, state = steps(Muon(0.1, exclude_layers=["^conv/"]), bowl(), START)
    adam, _ = steps(AdamW(0.1), bowl(), START)
    for name, a, b in zip(LAYOUT.names, LAYOUT.views(w), LAYOUT.views(adam), strict=True):
        assert np.array_equal(a, b) is (name != "dense/kernel")
    assert state.slots["velocity"].shape == (LAYOUT.size - 8,)
    everything, _ = steps(Muon(0.1, exclude_layers=["dense"]), bowl(), START)
    np.testing.assert_array_equal(everything, adam)
    with_embeddings = Muon(exclude_embeddings=False).init(bowl(), START.copy())
    assert with_embeddings.slots["velocity"].shape == (LAYOUT.size - 8 - 6,)


def test_names_of_layers_that_muon_leaves_out_must_be_there():
    with pytest.raises(OptionError, match=r"Muon: exclude_layers.*no names"):
        steps(Muon(exclude_layers=["out"]), bowl(None), START)
    with pytest.raises(OptionError, match=r"Muon: exclude_layers.*matches none of the weights"):
        steps(Muon(exclude_layers=["out"]), bowl(), START)
    with pytest.raises(OptionError, match="names or regular expressions"):
        Muon(exclude_layers=3)
