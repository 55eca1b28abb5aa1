"""Arguments that do not exist, were renamed, or cannot be."""

from __future__ import annotations

import copy
import operator
import pickle
from dataclasses import replace

import numpy as np
import pytest

from nnx import optimizers
from nnx.errors import OptionError, UnknownName
from nnx.optimizers import SGD, Adam, AdamW, AMSGrad, RMSprop, Rprop, schedules
from nnx.registry import from_config, to_config


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: SGD(lr=0.1),
            "SGD has no argument 'lr'. Use learning_rate. Its arguments: learning_rate,",
        ),
        (lambda: optimizers.get("sgd").__class__(lr=0.1), "Use learning_rate"),
        (lambda: optimizers.registry.entry("sgd").create(lr=0.1), "Use learning_rate"),
        (lambda: SGD(decay=1e-4), "Use learning_rate=PowerDecay(0.01, decay_steps=1 / decay)"),
        (lambda: SGD(decay=1e-4), "or weight_decay"),
        (lambda: Adam(beta1=0.9), "Use beta_1."),
        (lambda: Adam(betas=(0.9, 0.99)), "Use beta_1 and beta_2."),
        (lambda: Adam(eps=1e-8), "Use epsilon."),
        (lambda: Adam(alpha=0.1), "Use learning_rate."),
        (lambda: RMSprop(alpha=0.9), "Use rho."),
        (lambda: SGD(momentun=0.9), "Use momentum."),
        (lambda: SGD(clip_norm=1.0), "Use clipnorm"),
        (lambda: SGD(name="sgd"), "need no name"),
        (lambda: SGD(gradient_accumulation_steps=4), "batch_size"),
        (lambda: Adam(mu=0.9), "Adam has no argument 'mu'. Its arguments"),
        (lambda: AMSGrad(amsgrad=False), "no argument 'amsgrad'"),
        (lambda: Rprop(etaminus=0.5), "Use etas="),
        (lambda: SGD(0.1, 0.9, True, 0.1), "without a name (learning_rate, momentum, nesterov), got 4"),
        (lambda: schedules.CosineDecay(lr=0.1, decay_steps=1), "Use initial_learning_rate."),
    ],
)
def test_an_argument_that_does_not_exist_names_the_one_that_does(make, says):
    with pytest.raises(OptionError) as error:
        make()
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("option", "values"),
    [
        (
            "learning_rate",
            [-0.1, float("nan"), float("inf"), "0.1", None, True, [0.1], np.ones(2), complex(1)],
        ),
        ("momentum", [-0.1, 1.0, float("nan"), None, "0.9"]),
        ("nesterov", [1, None, "yes"]),
        ("weight_decay", [-1e-3, float("nan"), "l2"]),
        ("clipnorm", [0.0, -1.0, float("inf")]),
        ("clipvalue", [0.0, -1.0]),
        ("global_clipnorm", [0, "1"]),
        ("use_ema", [1, None]),
        ("ema_momentum", [-0.1, 1.1]),
        ("ema_overwrite_frequency", [0, 1.5, True]),
        ("exclude_from_weight_decay", [3, ("(",), (3,)]),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_is_allowed(option, values):
    for value in values:
        with pytest.raises(OptionError, match=rf"^SGD: {option} must be .*, got ") as error:
            SGD(**{option: value})
        assert repr(value) in str(error.value)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Adam(beta_1=1.0), "beta_1 must be a finite number >= 0 and < 1, got 1.0"),
        (lambda: Adam(beta_2=-0.5), "beta_2"),
        (lambda: Adam(epsilon=-1e-9), "epsilon"),
        (lambda: AdamW(weight_decay=None), "weight_decay"),
        (lambda: Rprop(etas=(1.5, 0.5)), "0 < η⁻ < 1 < η⁺"),
        (lambda: Rprop(etas=0.5), "etas must be 2 numbers, each a finite number >= 0, got 0.5"),
        (lambda: Rprop(step_sizes=(1.0, 0.1)), "(least, most)"),
        (lambda: Rprop(schedules.PowerDecay(0.1, 10)), "would have no effect"),
        (lambda: Adam(clipnorm=1.0, clipvalue=2.0), "only one of clipnorm, clipvalue, global_clipnorm"),
    ],
)
def test_options_of_single_optimizers_are_checked(make, says):
    with pytest.raises(OptionError) as error:
        make()
    assert says in str(error.value)


def test_numbers_of_numpy_become_pythons_own():
    # a NumPy scalar would turn single precision into double
    optimizer = SGD(np.float32(0.5), momentum=np.float64(0.5), ema_overwrite_frequency=np.int64(3))
    assert [type(x) for x in (optimizer.learning_rate, optimizer.momentum)] == [float, float]
    assert type(optimizer.ema_overwrite_frequency) is int
    assert type(SGD(1).learning_rate) is float


def test_arguments_without_a_name_stand_in_the_order_of_keras():
    assert (SGD(0.1, 0.9, True).momentum, SGD(0.1, 0.9, True).nesterov) == (0.9, True)
    assert AdamW(0.1, 0.2, 0.3, 0.4, 0.5) == AdamW(
        learning_rate=0.1, weight_decay=0.2, beta_1=0.3, beta_2=0.4, epsilon=0.5
    )
    rms = RMSprop(0.1, 0.2, 0.3, 0.4, True)
    assert (rms.rho, rms.momentum, rms.epsilon, rms.centered) == (0.2, 0.3, 0.4, True)


def test_an_optimizer_can_be_changed_copied_and_pickled():
    adam = Adam(schedules.WarmUp(0.1, 5), exclude_from_weight_decay="bias")
    assert adam.exclude_from_weight_decay == ("bias",)
    assert replace(adam, beta_1=0.5).beta_1 == 0.5
    for same in (copy.copy(adam), copy.deepcopy(adam), pickle.loads(pickle.dumps(adam))):
        assert same == adam
    with pytest.raises(OptionError):
        replace(adam, beta_1=2.0)


def test_a_name_that_does_not_exist_is_refused_with_those_that_are_near():
    with pytest.raises(UnknownName, match="'adam'"):
        optimizers.get("adamm")
    with pytest.raises(AttributeError, match="Tiger"):
        operator.attrgetter("Tiger")(optimizers)


def test_what_is_not_registered_cannot_be_written_to_a_file():
    with pytest.raises(OptionError, match="Cannot save"):
        to_config(SGD(lambda step: 0.1))
    assert from_config(to_config(SGD(mask=np.ones(3, dtype=bool)))).mask == [True] * 3
