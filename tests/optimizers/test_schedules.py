"""Learning-rate schedules: formulas, limits, files. That they equal Keras' is tested in test_keras.py."""

from __future__ import annotations

import copy
import math
import pickle
from itertools import pairwise

import numpy as np
import pytest

import nnx
from nnx.errors import OptionError
from nnx.optimizers import schedules
from nnx.optimizers.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
    PowerDecay,
    WarmUp,
)
from nnx.optimizers.state import State
from nnx.options import made_with
from nnx.registry import from_config, to_config

EXAMPLES = [
    PowerDecay(0.1, 10, 0.5),
    InverseTimeDecay(0.1, 10, 0.5, staircase=True),
    ExponentialDecay(0.1, 10, 0.9),
    PiecewiseConstantDecay([5, 20], [0.1, 0.01, 0.001]),
    PolynomialDecay(0.1, 10, power=2.0, cycle=True),
    CosineDecay(0.1, 10, alpha=0.1),
    CosineDecay(0.0, 10, warmup_target=0.1, warmup_steps=5),
    CosineDecayRestarts(0.1, 10),
    WarmUp(CosineDecay(0.1, 10), 5),
]


def test_every_schedule_has_an_example_here():
    assert {type(e) for e in EXAMPLES} == {entry.target for entry in schedules.registry}


@pytest.mark.parametrize("entry", list(schedules.registry), ids=lambda entry: entry.name)
def test_the_formula_is_that_of_the_docstring(entry):
    assert entry.traits.formula
    assert entry.traits.formula in entry.target.__doc__.replace("``", "")


@pytest.mark.parametrize("schedule", EXAMPLES, ids=str)
def test_rates_are_pythons_numbers_and_never_negative(schedule):
    rates = [schedule(i) for i in (*range(200), 10**6, 10**9)]
    assert {type(rate) for rate in rates} == {float}
    assert all(0.0 <= rate <= 0.1 + 1e-15 for rate in rates)


@pytest.mark.parametrize("schedule", EXAMPLES, ids=str)
def test_what_a_file_says_makes_the_same_schedule(schedule):
    again = from_config(to_config(schedule))
    assert again == schedule
    assert hash(again) == hash(schedule)
    assert schedules.registry.get(schedule) is schedule


def test_power_scheduling_is_the_formula_of_the_lectures():
    schedule = PowerDecay(0.5, decay_steps=20, power=1.5)
    assert schedule(30) == 0.5 / (1 + 30 / 20) ** 1.5
    assert PowerDecay(0.5, 20, staircase=True)(39) == 0.25


def test_the_old_decay_of_keras_is_its_special_case():
    for i in (0, 1, 7, 1000):
        old = 0.01 / (1 + 1e-4 * i)
        assert PowerDecay(0.01, decay_steps=1 / 1e-4)(i) == pytest.approx(old, rel=1e-15)
        assert InverseTimeDecay(0.01, 1.0, 1e-4)(i) == pytest.approx(old, rel=1e-15)


@pytest.mark.parametrize("t_mul", [1.0, 1.5, 2.0, 3.0, 10.0])
def test_restarts_come_at_their_very_step(t_mul):
    # 3: log(243)/log(3) is 4.999..., so a logarithm alone misses the fifth restart
    schedule, start, length = CosineDecayRestarts(0.1, 4, t_mul, m_mul=0.5), 0.0, 4.0
    for period in range(8):
        if start == int(start):
            assert schedule(int(start)) == pytest.approx(0.1 * 0.5**period, rel=1e-12)
        if period and start == int(start):
            assert schedule(int(start) - 1) < 0.1 * 0.5 ** (period - 1)
        start, length = start + length, length * t_mul


def test_a_restart_schedule_never_leaves_its_period():
    schedule = CosineDecayRestarts(1.0, 7, 1.37)
    fractions = [math.acos(2.0 * schedule(i) - 1.0) / math.pi for i in range(3000)]
    falls = sum(b < a for a, b in pairwise(fractions))
    start, periods = 0.0, 0
    while start + 7 * 1.37**periods < 3000:
        start, periods = start + 7 * 1.37**periods, periods + 1
    assert falls == periods


def test_powers_beyond_every_float_are_infinite_and_refused_as_a_rate():
    for schedule in (ExponentialDecay(0.1, 1, 2.0), CosineDecayRestarts(0.1, 1, t_mul=1.0, m_mul=2.0)):
        assert schedule(1100) == math.inf
        with pytest.raises(OptionError, match="got inf from its schedule in step 1100"):
            nnx.optimizers.SGD(schedule).rate(State(None, {}, step=1100))
    assert PowerDecay(0.1, 1, power=1000)(2000) == 0.0


def test_arrays_are_sequences_of_numbers(backend):
    steps, rates = [5, 20], [0.5, 0.25, 0.125]
    made = PiecewiseConstantDecay(backend.asarray(np.asarray(steps)), backend.asarray(np.asarray(rates)))
    assert made == PiecewiseConstantDecay(steps, rates) and type(made(6)) is float
    for wrong in (np.float64(5.0), np.asarray([[5.0, 20.0]]), np.asarray(["a", "b"])):
        with pytest.raises(OptionError, match="boundaries must be several numbers, each a"):
            PiecewiseConstantDecay(wrong, rates)


def test_warm_up_is_that_of_keras_cosine():
    ours = WarmUp(CosineDecay(0.2, 30), steps=9, start=0.01)
    keras = CosineDecay(0.01, 30, warmup_target=0.2, warmup_steps=9)
    for i in range(60):
        assert ours(i) == pytest.approx(keras(i), rel=1e-14, abs=1e-17)


@pytest.mark.parametrize(
    "schedule",
    [
        PowerDecay(0.1, 1e-200, 2.0, staircase=True),
        InverseTimeDecay(0.1, 1e-200, 1.0, staircase=True),
        ExponentialDecay(0.1, 1e-200, 0.5, staircase=True),
        PolynomialDecay(0.1, 1e-200, cycle=True),
        CosineDecay(0.1, 1e-200),
        CosineDecayRestarts(0.1, 1e-200),
        CosineDecayRestarts(0.1, 1e-200, t_mul=1.0),
        CosineDecayRestarts(0.1, 1e-200, t_mul=1e300),
        CosineDecayRestarts(0.1, 10, t_mul=1e300),
    ],
    ids=str,
)
def test_the_shortest_lengths_give_rates_at_every_step(schedule):
    assert all(0.0 <= schedule(step) <= 0.1 for step in (0, 1, 10, 10**6, 2**53))


def test_warm_up_of_a_number_and_of_no_steps():
    assert [WarmUp(0.5, 2)(i) for i in range(4)] == [0.0, 0.25, 0.5, 0.5]
    assert WarmUp(0.5, 0)(0) == 0.5


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: PowerDecay(-0.1, 10), "initial_learning_rate must be a finite number >= 0, got -0.1"),
        (lambda: PowerDecay(0.1, 0), "decay_steps must be a finite number > 0, got 0"),
        (lambda: PowerDecay(0.1, 1e-305), "decay_steps must not be below 1e-200 steps, got 1e-305"),
        (lambda: CosineDecayRestarts(0.1, 1e-305), "first_decay_steps must not be below 1e-200 steps"),
        (lambda: WarmUp(0.1, 10**400), "steps must be a whole number >= 0, got 1000"),
        (lambda: ExponentialDecay(0.1, 10, float("nan")), "decay_rate"),
        (lambda: ExponentialDecay(0.1, 10, 0.9, staircase=1), "staircase must be True or False"),
        (lambda: PiecewiseConstantDecay([5, 20], [0.1, 0.01]), "one value more than boundaries"),
        (lambda: PiecewiseConstantDecay([20, 5], [0.1, 0.01, 0.001]), "boundaries must increase"),
        (
            lambda: PiecewiseConstantDecay([5], [0.1, -0.01]),
            "each a finite number >= 0, got",
        ),
        (lambda: PiecewiseConstantDecay(5, [0.1]), "boundaries must be several numbers"),
        (lambda: CosineDecayRestarts(0.1, 10, t_mul=0.5), "t_mul"),
        (lambda: WarmUp(0.1, 2.5), "steps must be a whole number >= 0"),
        (lambda: WarmUp(-1.0, 2), "schedule must be a finite number >= 0 or a schedule"),
        (lambda: WarmUp(0.1, warmup_steps=5), "Use steps."),
    ],
)
def test_arguments_that_cannot_be_are_refused(make, says):
    with pytest.raises(OptionError) as error:
        make()
    assert says in str(error.value)


@pytest.mark.parametrize("given", [None, "a", True, [0.1], math.nan, -1.0])
@pytest.mark.parametrize("wrap", [lambda f: f, lambda f: WarmUp(f, 0)], ids=["plain", "warm up"])
def test_what_a_schedule_may_not_give_is_an_error(given, wrap):
    model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    model.compile(nnx.optimizers.SGD(wrap(lambda step: given)), "mse")
    before = model.get_weights()
    with pytest.raises(OptionError, match=r"finite number >= 0, got .* from its schedule in step 0"):
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


class HandWritten(schedules.Schedule):
    """With an ``__init__`` of its own, as in Keras' guides: no dataclass."""

    def __init__(self, top=0.1, *, rate=1.0):
        self.top, self.rate = top, rate

    def __call__(self, step):
        return self.top / (1.0 + self.rate * step)


def test_a_schedule_with_an_init_of_its_own_is_one_like_others(run):
    own, same = HandWritten(0.5, rate=2.0), schedules.InverseTimeDecay(0.5, 1, 2.0)
    w, _ = run(nnx.optimizers.SGD(own), 5)
    np.testing.assert_array_equal(w, run(nnx.optimizers.SGD(same), 5)[0])
    assert schedules.WarmUp(own, 3)(1) == schedules.WarmUp(same, 3)(1)
    assert copy.deepcopy(nnx.optimizers.Adam(own)).learning_rate(1) == own(1)
    assert pickle.loads(pickle.dumps(own))(7) == own(7)
    assert made_with(own) == {"top": 0.5, "rate": 2.0}


def test_a_schedule_with_an_init_of_its_own_is_saved_or_refused_in_words():
    entries, names = dict(schedules.registry._entries), dict(schedules.registry._names)
    try:
        for register in (False, True):
            if register:
                schedules.registry.register()(HandWritten)
            try:
                config = to_config(nnx.optimizers.SGD(HandWritten(0.5, rate=2.0)))
            except OptionError as error:
                assert "Cannot save" in str(error)
                assert "HandWritten" in str(error)
            else:
                assert register
                assert from_config(config).learning_rate(3) == HandWritten(0.5, rate=2.0)(3)
    finally:
        schedules.registry._entries, schedules.registry._names = entries, names


def test_a_schedule_that_says_no_learning_rate_is_refused():
    class Silent(schedules.Schedule):
        pass

    with pytest.raises(NotImplementedError, match="Silent must say its learning rate"):
        Silent()(0)
