"""Clipping, weight decay, masks, the average of the weights, and schedules: the same for every optimizer."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nnx.backend import to_numpy
from nnx.errors import DtypeError, OptionError, ShapeError
from nnx.optimizers import SGD, Adam, FunctionProblem, RMSprop, schedules
from nnx.parameters import Layout

LAYOUT = Layout(("a/kernel", "a/bias", "b/kernel"), ((2, 2), (2,), (2,)))
G = np.asarray([3.0, 4.0, 0.0, 0.0, 0.1, 0.2, -6.0, 8.0])  # norms of the pieces: 5, √0.05, 10


def one_step(optimizer, gradient=G, layout=LAYOUT, **more):
    w = np.zeros(len(gradient))
    point = SimpleNamespace(value=0.0, gradient=np.asarray(gradient))
    problem = SimpleNamespace(layout=layout, at=lambda w: point, **more)
    return optimizer.step(problem, w, optimizer.init(problem, w))[0]


class TestClipping:
    def test_by_value_cuts_each_number(self):
        np.testing.assert_array_equal(one_step(SGD(1.0, clipvalue=3.5)), -np.clip(G, -3.5, 3.5))

    def test_by_norm_scales_each_piece_that_is_too_long(self):
        expected = np.concatenate([G[:4] / 5.0, G[4:6], G[6:] / 10.0])
        np.testing.assert_allclose(one_step(SGD(1.0, clipnorm=1.0)), -expected, rtol=1e-15)

    def test_by_global_norm_scales_all_alike(self):
        expected = G * 2.0 / np.sqrt(G @ G)
        np.testing.assert_allclose(one_step(SGD(1.0, global_clipnorm=2.0)), -expected, rtol=1e-15)

    def test_by_norm_without_names_is_by_the_norm_of_all(self):
        both = [one_step(SGD(1.0, **{name: 2.0}), layout=None) for name in ("clipnorm", "global_clipnorm")]
        np.testing.assert_array_equal(*both)

    @pytest.mark.parametrize("name", ["clipnorm", "global_clipnorm"])
    def test_a_zero_gradient_and_a_short_one_stay(self, name):
        for g in (np.zeros(8), G / 1000.0):
            np.testing.assert_array_equal(one_step(SGD(1.0, **{name: 1.0}), g), -g)

    @pytest.mark.parametrize("name", ["clipnorm", "global_clipnorm"])
    def test_a_gradient_whose_square_overflows_is_clipped_to_the_norm(self, name):
        large = np.float32(2.0**70) * G.astype(np.float32)  # squares up to 6e43 · float32 ends at 3e38
        top = np.where(np.arange(8) < 4, 3.4e38, 0.0).astype(np.float32)  # no float32 holds even its norm
        for g in (large, top):
            exact = g.astype(np.float64)
            pieces = [slice(0, 4), slice(4, 6), slice(6, 8)] if name == "clipnorm" else [slice(0, 8)]
            for part in pieces:
                exact[part] *= 2.0 / max(np.sqrt(exact[part] @ exact[part]), 2.0)
            for library in (np, pytest.importorskip("torch")):
                point = SimpleNamespace(value=0.0, gradient=library.asarray(g))
                problem = SimpleNamespace(layout=LAYOUT, at=lambda w, point=point: point)
                w, sgd = library.zeros(8, dtype=library.float32), SGD(1.0, **{name: 2.0})
                w = sgd.step(problem, w, sgd.init(problem, w))[0]
                np.testing.assert_allclose(to_numpy(w), -exact, rtol=1e-6)  # float32 rounds to 6e-8

    @pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
    def test_a_gradient_that_is_not_finite_is_not_hidden(self, bad):
        g = G.copy()
        g[0] = bad
        assert np.all(np.isnan(one_step(SGD(1.0, global_clipnorm=1.0), g)))
        w = one_step(SGD(1.0, clipnorm=1.0), g)
        assert np.all(np.isnan(w[:4]))
        assert np.all(np.isfinite(w[4:]))


class TestMask:
    MOVES = np.asarray([True, False, True, True, False, False, True, True])

    @pytest.mark.parametrize("options", [{}, {"weight_decay": 0.5}, {"use_ema": True}, {"clipvalue": 1.0}])
    def test_masked_weights_stay_and_the_others_move_as_without_a_mask(self, options, run):
        problem = FunctionProblem(lambda w: np.sum((w - 1.0) ** 4), LAYOUT)
        start = np.linspace(-1.0, 2.5, 8)
        free, _ = run(Adam(0.1, **options), 10, of=problem, start=start)
        held, _ = run(Adam(0.1, mask=self.MOVES, **options), 10, of=problem, start=start)
        np.testing.assert_array_equal(held[~self.MOVES], start[~self.MOVES])
        np.testing.assert_array_equal(held[self.MOVES], free[self.MOVES])

    def test_names_of_pieces_say_what_moves(self):
        w = one_step(SGD(1.0, mask=("a/", "nothing")))
        np.testing.assert_array_equal(w, -np.concatenate([G[:6], np.zeros(2)]))

    def test_numbers_and_lists_will_do(self):
        for mask in (self.MOVES.tolist(), self.MOVES.astype(int), self.MOVES.astype("float32")):
            np.testing.assert_array_equal(one_step(SGD(1.0, mask=mask)), np.where(self.MOVES, -G, 0.0))

    def test_the_mask_of_the_problem_counts_as_well(self):
        own = np.arange(8) < 3
        w = one_step(SGD(1.0, mask=self.MOVES), mask=own)
        np.testing.assert_array_equal(w, np.where(self.MOVES & own, -G, 0.0))
        np.testing.assert_array_equal(one_step(SGD(1.0), mask=own), np.where(own, -G, 0.0))

    def test_norms_are_those_of_the_weights_that_move(self):
        g = G.copy()
        g[1] = np.nan  # nor does a frozen weight's gradient do any harm
        w = one_step(SGD(1.0, mask=self.MOVES, global_clipnorm=1.0), g)
        kept = np.where(self.MOVES, G, 0.0)
        np.testing.assert_allclose(w, -kept / np.linalg.norm(kept), rtol=1e-15)

    @pytest.mark.parametrize(
        ("mask", "error", "text"),
        [
            (np.ones(3, dtype=bool), ShapeError, r"\(8,\), got \(3,\)"),
            (("gamma",), OptionError, "none of the weights: a/kernel, a/bias, b/kernel"),
        ],
    )
    def test_a_mask_that_does_not_fit_is_refused(self, mask, error, text):
        with pytest.raises(error, match=text):
            one_step(SGD(mask=mask))


class TestWeightDecay:
    def test_weights_shrink_by_the_rate_times_the_decay_before_the_rule(self, problem, run):
        w, _ = run(SGD(0.1, weight_decay=0.5), 1)
        expected = problem.start * 0.95 - 0.1 * problem.gradient(problem.start)
        np.testing.assert_allclose(w, expected, rtol=1e-15)

    def test_names_are_spared(self, problem, run):
        w, _ = run(SGD(0.1, weight_decay=0.5, exclude_from_weight_decay=("bias", "out/")), 1)
        decay = np.where(np.arange(20) < 12, 0.95, 1.0)
        np.testing.assert_allclose(
            w, problem.start * decay - 0.1 * problem.gradient(problem.start), rtol=1e-15
        )

    def test_names_need_a_layout(self):
        optimizer = SGD(weight_decay=0.5, exclude_from_weight_decay="bias")
        with pytest.raises(OptionError, match="no names"):
            one_step(optimizer, layout=None)


class TestAverage:
    def test_it_is_the_moving_average_of_the_weights_and_starts_from_the_first(self, run):
        optimizer, average = SGD(0.05, use_ema=True, ema_momentum=0.8), None
        for n in range(1, 6):
            w, state = run(optimizer, n)
            average = w if average is None else 0.8 * average + 0.2 * w
            np.testing.assert_allclose(state.memory["ema"], average, rtol=1e-14)
        np.testing.assert_array_equal(optimizer.finalize(w, state), state.memory["ema"])

    def test_it_takes_the_place_of_the_weights_every_so_many_steps(self, run):
        optimizer = SGD(0.05, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=3)
        for n in range(1, 8):
            w, state = run(optimizer, n)
            assert np.array_equal(w, state.memory["ema"]) == (n in (1, 3, 6))  # the first is w itself

    def test_without_it_finalize_changes_nothing(self, run):
        w, state = run(SGD(), 3)
        np.testing.assert_array_equal(SGD().finalize(w.copy(), state), w)


class TestSchedule:
    def test_step_i_has_the_rate_of_i(self, problem):
        schedule = schedules.PiecewiseConstantDecay([1, 3], [0.1, 0.01, 0.001])
        optimizer, w = SGD(schedule), problem.start.copy()
        state, rates = optimizer.init(problem, w), []
        for _ in range(6):
            rates.append(optimizer.step(problem, w, state)[2].learning_rate)
        assert rates == [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]

    def test_any_function_of_the_step_will_do_also_one_of_numpy(self, problem):
        optimizer, w = SGD(lambda i: np.float64(0.5) / (1 + i)), problem.start.astype("float32")
        info = optimizer.step(problem, w, optimizer.init(problem, w))[2]
        assert (type(info.learning_rate), info.learning_rate) == (float, 0.5)

    def test_a_rate_that_cannot_be_is_an_error_in_its_step(self, problem):
        optimizer, w = SGD(lambda i: 1.0 - i), problem.start.copy()
        state = optimizer.init(problem, w)
        optimizer.step(problem, w, state)
        optimizer.step(problem, w, state)
        before = w.copy()
        with pytest.raises(OptionError, match=r"got -1\.0 from its schedule in step 2"):
            optimizer.step(problem, w, state)
        np.testing.assert_array_equal(w, before)


class TestWeights:
    def test_they_are_one_vector_of_floating_point_numbers_as_long_as_the_layout(self):
        problem = SimpleNamespace(layout=None)
        with pytest.raises(ShapeError, match=r"\(2, 3\)"):
            SGD().init(problem, np.zeros((2, 3)))
        with pytest.raises(DtypeError, match="int64"):
            SGD().init(problem, np.zeros(3, dtype="int64"))
        with pytest.raises(ShapeError, match="8 weights, the vector has 3"):
            SGD().init(SimpleNamespace(layout=LAYOUT), np.zeros(3))

    def test_what_was_given_is_not_kept(self, backend):
        # the average and the slots are arrays of their own
        w = backend.xp.asarray(backend.asarray([1.0, 2.0], dtype="float64"), copy=True)
        problem = FunctionProblem(lambda w: w @ w)
        optimizer = RMSprop(use_ema=True)
        state = optimizer.init(problem, w)
        w[...] = 5.0
        np.testing.assert_array_equal(to_numpy(state.memory["ema"]), [1.0, 2.0])
