"""The live race computes what nnx computes."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from docs.live_javascript import run

import nnx
from docs_build.live import functions, rules
from docs_build.live.scripts import race_script
from nnx.optimizers import FirstOrder, FunctionProblem, registry

RULES = {rule.key: rule for rule in rules.rules()}
LANDSCAPES = {landscape.key: landscape for landscape in functions.LANDSCAPES}
#: other options, so that every branch of every step is taken
VARIANTS = {
    "adafactor": {"learning_rate": 0.5, "clip_threshold": 0.25},
    "adaptive_learning_rate": {"learning_rate": 0.3, "momentum": 0.5},
    "adam_w": {"weight_decay": 0.5, "learning_rate": 0.02},
    "ftrl": {"learning_rate_power": -0.75, "l1_regularization_strength": 0.1, "beta": 1.0},
    "irprop_plus": {"learning_rate": 0.3},
    "lamb": {"beta_1": 0.8, "epsilon": 1e-3},
    "rprop": {"learning_rate": 0.3},
    "schedule_free_adam_w": {"warmup_steps": 20.0, "learning_rate": 0.05},
    "sgd_momentum": {"momentum": 0.5},
    "sgd_nesterov": {"momentum": 0.5, "learning_rate": 0.001},
}
STEPS = 100


def options_of(rule, **changed):
    own = {name: getattr(rule.method, name) for name in rules.option_names(rule.method)}
    assert changed.keys() <= own.keys()
    return own | changed


def paths_in_javascript(rule, options, starts, steps=STEPS):
    """The points of the paths from ``starts``: function → (steps, 2)."""
    return run(f"""{race_script()}
        const {{rules, landscapes}} = globalThis.nnxLive, rule = rules.{rule.key};
        const options = {json.dumps(options)}, starts = {json.dumps(starts)}, result = {{}};
        for (const [name, start] of Object.entries(starts)) {{
          let state = rule.start(Float64Array.from(start), options);
          result[name] = Array.from({{length: {steps}}}, () => {{
            state = rule.step(state, options, landscapes[name]);
            return state.w;
          }});
        }}""")


def path_in_nnx(rule, options, landscape, steps=STEPS):
    method, w = dataclasses.replace(rule.method, **options), np.asarray(landscape.start)
    problem = FunctionProblem(functions.value_of_both(landscape))
    state, points = method.init(problem, w), []
    with np.errstate(all="ignore"):
        for _ in range(steps):
            w, state, _ = method.step(problem, w, state)
            points.append(w.copy())
    return np.asarray(points)


def test_every_registered_rule_of_first_order_races():
    assert {e.target for e in registry if issubclass(e.target, FirstOrder)} == {
        type(rule.method) for rule in RULES.values()
    }
    assert len(RULES) == len(rules.rules())


def assert_the_same_paths(rule, options):
    starts = {key: landscape.start for key, landscape in LANDSCAPES.items()}
    found = paths_in_javascript(rule, options, starts)
    for key, landscape in LANDSCAPES.items():
        expected, got = path_in_nnx(rule, options, landscape), np.asarray(found[key], dtype=float)
        # Too long steps leave through infinity, here as there.
        np.testing.assert_array_equal(np.isfinite(got), np.isfinite(expected), err_msg=f"{rule.key}, {key}")
        finite = np.isfinite(expected).all(axis=1)
        # All operations are rounded alike: the bits are the same, except where a power with a broken exponent
        # (Adafactor's t^−0.8) differs in its last one, which 100 steps enlarge. Relative to the path so far.
        size = np.maximum.accumulate(np.max(np.abs(expected[finite]), axis=1))
        difference = np.max(np.abs(got[finite] - expected[finite]), axis=1)
        assert np.all(difference <= 1e-12 * size), (rule.key, key, np.max(difference / size))


@pytest.mark.parametrize("rate", [0.001, 0.05])
@pytest.mark.parametrize("key", RULES)
def test_the_page_takes_the_steps_of_nnx(key, rate):
    assert_the_same_paths(RULES[key], options_of(RULES[key], learning_rate=rate))


@pytest.mark.parametrize("key", VARIANTS)
def test_with_other_options_too(key):
    assert_the_same_paths(RULES[key], options_of(RULES[key], **VARIANTS[key]))


def test_the_steps_are_those_of_minimize():
    """The recorded method is the one that users call."""
    landscape, rule = LANDSCAPES["beale"], RULES["adam"]
    options = options_of(rule, learning_rate=0.05)
    found = paths_in_javascript(rule, options, {"beale": landscape.start}, 50)["beale"][-1]
    method = nnx.optimizers.Adam(0.05)
    result = nnx.minimize(
        functions.value_of_both(landscape), landscape.start, method=method, options={"maxiter": 50}
    )
    np.testing.assert_allclose(found, result.x, rtol=1e-12)


def test_values_and_gradients_are_those_of_nnx():
    random = np.random.default_rng(0)
    for key, landscape in LANDSCAPES.items():
        x0, x1, y0, y1 = landscape.window
        points = random.uniform((x0, y0), (x1, y1), (50, 2))
        found = run(f"""{race_script()}
            const l = globalThis.nnxLive.landscapes.{key};
            const result = {json.dumps(points.tolist())}.map((w) => [l.value(w), ...l.gradient(w)]);""")
        for w, got in zip(points, found, strict=True):
            value, gradient = nnx.value_and_grad(functions.value_of_both(landscape))(w)
            # products and sums alone, in the same order: the same bits
            np.testing.assert_array_equal(got, [value, *gradient])


def test_goals_are_where_the_gradient_vanishes():
    for landscape in LANDSCAPES.values():
        for goal in landscape.goals:
            slope = nnx.grad(functions.value_of_both(landscape))(np.asarray(goal))
            np.testing.assert_allclose(
                slope, 0.0, atol=1e-12
            )  # rounding of goals to 16 digits, times H ≤ 100


@pytest.mark.parametrize(
    ("key", "changed", "words"),
    [
        ("adam", {"learning_rate": -1.0}, "Adam: the learning rate of a step must be .* got -1 .* in step 0"),
        ("ftrl", {"learning_rate": 0.0}, "Ftrl divides by the learning rate"),
        ("sgd_momentum", {"momentum": 0.0}, "SGD with this option is another rule of the list"),
    ],
)
def test_what_nnx_refuses_the_page_refuses(key, changed, words):
    message = run(f"""{race_script()}
        const rule = globalThis.nnxLive.rules.{key}, f = globalThis.nnxLive.landscapes.beale;
        const options = {json.dumps(options_of(RULES[key], **changed))};
        let result = "nothing";
        try {{ rule.step(rule.start(Float64Array.of(1, 1), options), options, f); }}
        catch (error) {{ result = `${{error.name}} ${{error.message}}`; }}""")
    assert re.search(f"RangeError {words}", message)
