"""Names for things: aliases, class names, options, near matches, configurations."""

from __future__ import annotations

import dataclasses
import functools
import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import nnx
from nnx.errors import FileFormatError, OptionError, UnknownName
from nnx.registry import Choice, Registry, from_config, snake_case, to_config


@pytest.fixture
def shapes(monkeypatch):
    """A registry of its own, with a plain function, one with options, and a class."""
    monkeypatch.setattr(Registry, "kinds", {})
    registry = Registry("shape")

    @registry.register("disc", "o", class_name="Circle", formula="3r²")
    def circle(r, *, scale=1.0):
        return scale * 3.0 * r * r

    @registry.register()
    def half_open(x, *, low=0.0, high=1.0):
        return low <= x < high

    @registry.register("rect")
    @dataclass(frozen=True)
    class BoxShape:
        kind: ClassVar[str] = "shape"
        width: float = 1.0
        inner: object = None
        corners: tuple = ()

    registry.circle, registry.half_open, registry.BoxShape = circle, half_open, BoxShape
    return registry


class TestNames:
    @pytest.mark.parametrize("name", ["circle", "Circle", "disc", "o"])
    def test_a_function_is_found_by_its_name_class_name_and_aliases(self, shapes, name):
        assert name in shapes
        assert shapes.get(name)(2.0) == 12.0
        assert shapes.get(name) == shapes.get("circle")

    @pytest.mark.parametrize("name", ["half_open", "HalfOpen", "halfopen"])
    def test_the_class_name_is_made_from_the_functions_where_none_is_given(self, shapes, name):
        assert shapes.get(name)(0.5) is True

    @pytest.mark.parametrize("name", ["box_shape", "BoxShape", "boxshape", "rect", "BOX_SHAPE", "Rect"])
    def test_a_class_is_found_the_same_way_and_gives_an_instance(self, shapes, name):
        assert shapes.get(name) == shapes.BoxShape()

    @pytest.mark.parametrize(
        ("wrong", "near"),
        [("cirle", "circle"), ("CIRCEL", "circle"), ("halfOpn", "half_open"), ("box_shap", "box_shape")],
    )
    def test_an_unknown_name_is_answered_with_the_nearest_and_all_known_ones(self, shapes, wrong, near):
        with pytest.raises(UnknownName) as caught:
            shapes.get(wrong)
        message = str(caught.value)
        assert f"Unknown shape '{wrong}'. Did you mean " in message
        assert repr(near) in message
        assert message.endswith("Known: box_shape, circle, half_open.")

    def test_nothing_near_means_no_hint(self, shapes):
        with pytest.raises(UnknownName) as caught:
            shapes.get("qqqqqq")
        assert str(caught.value) == "Unknown shape 'qqqqqq'. Known: box_shape, circle, half_open."

    def test_a_name_that_belongs_to_another_entry_is_refused_and_changes_nothing(self, shapes):
        def sphere(r):
            return r

        with pytest.raises(OptionError, match="'disc' is circle already"):
            shapes.register("ball", "disc")(sphere)
        assert "ball" not in shapes
        assert "sphere" not in shapes

    def test_the_same_name_again_replaces_as_when_a_notebook_cell_is_run_twice(self, shapes):
        @shapes.register("disc")
        def circle(r):
            return 0.0

        assert shapes.get("disc")(1.0) == 0.0

    def test_a_registry_can_be_walked(self, shapes):
        assert [entry.name for entry in shapes] == ["circle", "half_open", "box_shape"]
        assert shapes.class_names() == ["Circle", "HalfOpen", "BoxShape"]
        assert shapes.entry("disc").facts == {"formula": "3r²"}

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("LeCunNormal", "le_cun_normal"),
            ("RMSprop", "rmsprop"),
            ("Dense", "dense"),
            ("PReLU", "pre_lu"),
            ("L1L2", "l1l2"),
        ],
    )
    def test_snake_case(self, name, expected):
        assert snake_case(name) == expected


class TestOptions:
    def test_the_factory_takes_options_by_name_and_in_order(self, shapes):
        assert shapes.factory("Circle")(scale=2.0)(1.0) == 6.0
        assert shapes.factory("HalfOpen")(0.5, 0.7) == shapes.factory("HalfOpen")(high=0.7, low=0.5)

    def test_no_such_class_is_an_attribute_error_for_a_modules_getattr(self, shapes):
        with pytest.raises(AttributeError, match="no shape called 'circle'"):
            shapes.factory("circle")

    @pytest.mark.parametrize(
        ("args", "options", "message"),
        [
            ((), {"size": 2.0}, "Circle has no option 'size'. Its options: scale."),
            ((1.0, 2.0), {}, "takes 1 options"),
            ((1.0,), {"scale": 2.0}, "'scale' twice"),
        ],
    )
    def test_wrong_options_are_refused_by_name(self, shapes, args, options, message):
        with pytest.raises(OptionError, match=message):
            shapes.factory("Circle")(*args, **options)


class TestGet:
    def test_what_needs_no_looking_up_passes_through(self, shapes):
        choice, box = shapes.get("circle"), shapes.BoxShape(2.0)
        assert shapes.get(None) is None
        assert shapes.get(choice) is choice
        assert shapes.get(box) is box
        assert shapes.get(3) == 3

    def test_a_class_gives_its_instance_and_a_configuration_the_thing(self, shapes):
        assert shapes.get(shapes.BoxShape) == shapes.BoxShape()
        assert shapes.get(to_config(shapes.BoxShape(2.0))) == shapes.BoxShape(2.0)

    def test_a_registered_function_is_the_entry_and_one_around_it_a_users_own(self, shapes):
        @functools.wraps(shapes.circle)
        def outer(r):
            return -shapes.circle(r)

        assert shapes.get(shapes.circle) == shapes.get("circle")
        assert shapes.get(outer)(1.0) == -shapes.circle(1.0)
        assert shapes.get(outer).facts == {}

    def test_whatever_can_be_called_is_a_function(self, shapes):
        class Square:
            def __call__(self, r):
                return r * r

            def area(self, r):
                return r * r

        made = [shapes.get(f) for f in (np.square, functools.partial(pow, exp=2), Square(), Square().area)]
        assert [f(3.0) for f in made] == [9.0] * 4
        assert [f.name for f in made] == ["square", "partial", "square", "area"]
        assert all(f.facts == {} for f in made)

    def test_a_users_function_is_taken_as_it_is_even_if_a_registered_one_has_its_name(self, shapes):
        def circle(r):
            return -r

        choice = shapes.get(circle)
        assert choice(2.0) == -2.0
        assert choice.facts == {}
        assert choice != shapes.get("circle")
        assert shapes.get("circle").facts == {"formula": "3r²"}

    def test_two_lambdas_are_two_things(self, shapes):
        one, two = shapes.get(lambda r: r), shapes.get(lambda r: 2 * r)
        assert one != two
        assert len({one, two}) == 2


class TestConfigurations:
    def test_a_thing_comes_back_from_json_equal(self, shapes):
        circle = shapes.factory("Circle")(scale=2.0)
        thing = shapes.BoxShape(0.5, inner=circle, corners=(1, "a", None, shapes.BoxShape()))
        assert from_config(json.loads(json.dumps(to_config(thing)))) == thing

    @pytest.mark.parametrize("value", [None, True, 3, 0.1, "text", {"a": {"b": 1.5}}, (1, (2, "x"))])
    def test_plain_values_come_back_too(self, shapes, value):
        assert from_config(json.loads(json.dumps(to_config(value)))) == value

    def test_unregistered_things_are_refused_with_what_to_do(self, shapes):
        def circle(r):  # has the name of a registered one, and must not be saved as that
            return -r

        @dataclass(frozen=True)
        class BoxShape:
            kind: ClassVar[str] = "shape"

        for thing in (shapes.get(circle), shapes.get(lambda r: r), BoxShape()):
            with pytest.raises(OptionError, match="not registered"):
                to_config(thing)
        for thing in (np.tanh, object()):
            with pytest.raises(OptionError, match="only registered things"):
                to_config(thing)

    @pytest.mark.parametrize(
        "config",
        [
            {},
            {"kind": "shape"},
            {"kind": "shape", "name": "circle", "options": 3},
            {"kind": "sound", "options": {}},
        ],
    )
    def test_what_nnx_did_not_write_is_refused(self, shapes, config):
        with pytest.raises(FileFormatError, match="Not a configuration"):
            from_config(config)

    def test_names_and_options_in_a_configuration_are_checked(self, shapes):
        with pytest.raises(UnknownName, match="circle"):
            from_config({"kind": "shape", "name": "cirle", "options": {}})
        with pytest.raises(OptionError, match="'size'"):
            from_config({"kind": "shape", "name": "circle", "options": {"size": 1}})


def test_choices_with_equal_options_are_equal_and_can_be_keys():
    def plus(x, *, by):
        return x + by

    one, same, other = (Choice("sum", "plus", plus, {"by": b}) for b in (1, 1, 2))
    assert one == same != other
    assert {one: "found"}[same] == "found"


def test_arrays_and_numbers_of_numpy_become_what_json_has():
    assert to_config([np.float32(0.5), np.zeros(2), np.bool_(True)]) == [0.5, [0.0, 0.0], True]


@pytest.mark.parametrize(
    ("made", "name", "instead"),
    [
        (nnx.optimizers.Adam(), "learning_rate", r"set by model\.learning_rate"),
        (
            nnx.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5),
            "decay_rate",
            r"dataclasses\.replace\(it, decay_rate=\.\.\.\) makes another",
        ),
    ],
)
def test_what_stays_as_it_was_made_says_what_to_do_instead(made, name, instead):
    with pytest.raises(dataclasses.FrozenInstanceError, match=f"'{name}' of a .* cannot be set.*{instead}"):
        setattr(made, name, 0.25)
    assert getattr(dataclasses.replace(made, **{name: 0.25}), name) == 0.25
