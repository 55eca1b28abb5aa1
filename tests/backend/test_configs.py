"""What can be written to a file: what was registered, with the options that it was made with."""

from __future__ import annotations

import dataclasses
import functools
import json
from dataclasses import dataclass

import numpy as np
import pytest

import nnx
from nnx.errors import FileFormatError, OptionError, UnknownName
from nnx.options import Options, number
from nnx.registry import Choice, Registry, from_config, to_config


def there_and_back(thing, **options):
    return from_config(json.loads(json.dumps(to_config(thing))), **options)


@pytest.fixture
def registered():
    """Registers things for a test alone: ``registered(registry, thing)``."""
    before = {kind: (dict(r._entries), dict(r._names)) for kind, r in Registry.kinds.items()}
    yield lambda registry, thing, *names: registry.register(*names)(thing)
    for kind, (entries, names) in before.items():
        Registry.kinds[kind]._entries, Registry.kinds[kind]._names = entries, names


@pytest.fixture
def shapes():
    yield Registry("shape", module="shapes")
    del Registry.kinds["shape"]


# -- classes whose __init__ somebody wrote ----------------------------------------------------------------


class Plain:
    """A class without any base."""

    def __init__(self, width, *, height=1.0, **more):
        self.area, self.more = width * height, more


@dataclass(frozen=True)
class Base(Options):
    name: str | None = None
    trainable: bool = True
    size: float = number(1.0, least=0.0)


class Written(Base):
    """A base that is a dataclass, whose fields this __init__ does not all take."""

    def __init__(self, width, name="w", **more):
        super().__init__(name=name + "_")
        object.__setattr__(self, "width", (width, more))


class Derived(Written):
    """An __init__ that calls another one that somebody wrote."""

    def __init__(self, half):
        super().__init__(2 * half, "d")


def test_a_class_without_a_base_remembers_its_arguments(shapes):
    @shapes.register()
    class Mine(Plain):
        pass

    again = there_and_back(Mine(3.0, height=2.0, colour="red"))
    assert type(again) is Mine and (again.area, again.more) == (6.0, {"colour": "red"})
    assert there_and_back(Mine(3.0)).area == 3.0


def test_a_class_over_a_dataclass_remembers_them_too(shapes):
    shapes.register()(Written)
    again = there_and_back(Written(3.0, colour="red"))
    assert again == Written(3.0, colour="red") and again.width == (3.0, {"colour": "red"})
    assert to_config(again)["options"] == {"width": 3.0, "colour": "red"}


def test_the_outermost_arguments_count(shapes):
    shapes.register()(Derived)
    assert to_config(Derived(1.5))["options"] == {"half": 1.5}
    assert there_and_back(Derived(1.5)).width == (3.0, {})


def test_fields_that_were_changed_afterwards_are_kept(shapes):
    shapes.register()(Written)
    thing = Written(3.0)
    object.__setattr__(thing, "trainable", False)
    object.__setattr__(thing, "name", "other")
    config = to_config(thing)
    assert config["fields"] == {"name": "other", "trainable": False}
    again = there_and_back(thing)
    assert (again.name, again.trainable, again.width) == ("other", False, (3.0, {}))
    assert there_and_back(again) == again


def test_a_file_sets_no_attributes_that_are_not_fields(shapes):
    shapes.register()(Written)
    config = to_config(Written(3.0)) | {"fields": {"__class__": "Base"}}
    with pytest.raises(FileFormatError, match="no field '__class__'"):
        from_config(config)


def test_arguments_without_names_cannot_be_kept_and_it_is_said(shapes):
    @shapes.register()
    class Several:
        def __init__(self, *sizes):
            self.sizes = sizes

    with pytest.raises(OptionError, match=r"Several takes \*sizes, which cannot be kept: name its arguments"):
        to_config(Several(1, 2))
    assert to_config(Several())["options"] == {}


def test_a_dataclass_with_an_init_of_its_own_and_one_without(shapes):
    @shapes.register()
    @dataclass
    class Own:
        side: float

        def __init__(self, doubled):
            self.side = doubled / 2

    @shapes.register()
    @dataclass
    class Generated:
        side: float = 1.0

    assert there_and_back(Own(3.0)) == Own(3.0)
    assert to_config(Own(3.0))["options"] == {"doubled": 3.0}
    thing = Generated()
    thing.side = 4.0
    assert there_and_back(thing) == thing


# -- what nnx's rooms register ----------------------------------------------------------------------------


def layer(**options):
    return nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,), **options)], dtype="float64", seed=1)


def trained(model, optimizer="sgd"):
    model.compile(optimizer, "mse")
    model.fit(np.ones((8, 2)), np.ones(8), verbose=0)
    return model


def saved(model, path):
    model.save(path / "m.safetensors")
    again = nnx.load_model(path / "m.safetensors")
    for m in (model, again):
        m.fit(np.ones((8, 2)), np.ones(8), verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    return again


def test_a_function_registered_as_a_schedule_is_saved(registered, tmp_path):
    def warm(step):
        return 0.1 / (1 + step)

    registered(nnx.optimizers.schedules.registry, warm)
    saved(trained(layer(), nnx.optimizers.SGD(warm)), tmp_path)
    assert there_and_back(warm)(1) == 0.05


def test_a_class_registered_as_a_schedule_is_saved(registered, tmp_path):
    class Warm(nnx.optimizers.schedules.Schedule):
        def __init__(self, start):
            self.start = start

        def __call__(self, step):
            return self.start / (1 + step)

    registered(nnx.optimizers.schedules.registry, Warm)
    saved(trained(layer(), nnx.optimizers.SGD(Warm(0.2))), tmp_path)
    assert there_and_back(Warm(0.2))(1) == 0.1


class Penalty:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, w):
        return self.factor * (w * w).sum()


class Halved:
    def __init__(self, share=0.5):
        self.share = share

    def __call__(self, w):
        return w * self.share


class Filled:
    def __init__(self, value):
        self.value = value

    def __call__(self, shape, random=None):
        return np.full(shape, self.value)


class Scaled:
    def __init__(self, by):
        self.by = by

    def __call__(self, x):
        return self.by * x


CLASSES = [
    ("regularizers", "kernel_regularizer", Penalty(0.1)),
    ("constraints", "kernel_constraint", Halved(0.25)),
    ("initializers", "kernel_initializer", Filled(0.5)),
    ("activations", "activation", Scaled(3.0)),
]


@pytest.mark.parametrize(("module", "option", "thing"), CLASSES, ids=[c[0] for c in CLASSES])
def test_a_class_registered_for_a_layer_is_saved(module, option, thing, registered, tmp_path):
    class Mine(type(thing)):
        pass

    registered(getattr(nnx, module).registry, Mine, "of_mine")
    made = Mine(*vars(thing).values())
    again = saved(trained(layer(**{option: made})), tmp_path)
    found = getattr(again.layers[0], option)
    assert isinstance(found, Choice) and type(found.function) is Mine
    assert list(vars(thing).items()) == [(k, v) for k, v in vars(found.function).items() if k in vars(thing)]


@pytest.mark.parametrize(("module", "option", "thing"), CLASSES, ids=[c[0] for c in CLASSES])
def test_one_that_is_not_registered_is_named_with_the_registry_to_use(module, option, thing, tmp_path):
    model = trained(layer(**{option: thing}))
    with pytest.raises(
        OptionError, match=rf"{type(thing).__name__} is not registered.*nnx\.{module}\.registry"
    ):
        model.save(tmp_path / "m.safetensors")


@pytest.mark.parametrize(("module", "option"), [c[:2] for c in CLASSES], ids=[c[0] for c in CLASSES])
def test_a_function_registered_for_a_layer_is_saved(module, option, registered, tmp_path):
    def of_mine(a, random=None, *, share=0.5):
        if module == "initializers":
            return np.full(a, share)
        return share * ((a * a).sum() if module == "regularizers" else a)

    function = registered(getattr(nnx, module).registry, of_mine)
    saved(trained(layer(**{option: function})), tmp_path)
    other = getattr(nnx, module).OfMine(share=0.25)
    assert there_and_back(other) == other


def test_a_metric_and_a_loss_of_ones_own_are_saved(registered, tmp_path):
    class Counted(nnx.metrics.Metric):
        def __init__(self, above, name=None):
            super().__init__(name=name)
            object.__setattr__(self, "above", above)

        def statistics(self, y_true, y_pred, sample_weight=None):
            return (y_pred > self.above).sum()[None]

        def value(self, sums):
            return float(sums[0])

    class Cubic(nnx.losses.Loss):
        def __init__(self, scale, **options):
            super().__init__(**options)
            self.scale = scale

        def call(self, y_true, y_pred):
            return (self.scale * abs(y_pred - y_true) ** 3)[:, 0]

    registered(nnx.metrics.registry, Counted)
    registered(nnx.losses.registry, Cubic)
    model = layer()
    model.compile("sgd", Cubic(2.0, reduction="sum"), metrics=[Counted(0.5, "many")])
    model.fit(np.ones((8, 2)), np.ones(8), verbose=0)
    again = saved(model, tmp_path)
    assert again.metrics_names == ["loss", "many"]
    assert again._wishes.loss.scale == 2.0 and again._wishes.loss.reduction == "sum"
    assert there_and_back(Counted(0.5)).above == 0.5


def test_a_mean_of_a_function_with_options_is_saved(registered):
    def within(y_true, y_pred, tolerance=0.5):
        return abs(y_true - y_pred) < tolerance

    registered(nnx.metrics.registry, within)
    metric = nnx.metrics.MeanMetricWrapper(within, "near", tolerance=2.0)
    again = there_and_back(metric)
    assert again == metric and again([0.0, 0.0], [1.0, 3.0]) == 0.5


# -- what cannot be named ---------------------------------------------------------------------------------


def test_why_something_cannot_be_saved_is_said(shapes):
    def circle(r):
        return r

    class Box:
        kind = "shape"

    shapes.register()(functools.wraps(circle)(lambda r: -r))
    for thing, why in (
        (shapes.get(lambda r: r), "a lambda is not registered, it has no name"),
        (shapes.get(functools.partial(max, 1)), "a partial is not registered"),
        (shapes.get("x".join), "a builtin_function_or_method is not registered"),
        (shapes.get(circle), "another shape of its name is"),
        (Box(), "its class Box is not registered.*`@shapes.registry.register\\(\\)`"),
        (object(), "only registered things"),
    ):
        with pytest.raises(OptionError, match=why):
            to_config(thing)


@pytest.mark.parametrize("target", [lambda r: r, functools.partial(max, 1), 3, "name"])
def test_what_has_no_name_cannot_be_registered(target, shapes):
    with pytest.raises(OptionError, match="register a class, or a function made by def"):
        shapes.register()(target)


def test_traits_that_the_kind_does_not_have_are_refused():
    with pytest.raises(OptionError, match=r"no argument 'link'.*canonical_activation"):
        nnx.losses.registry.register(link="softmax")


# -- custom_objects ---------------------------------------------------------------------------------------


def test_custom_objects_are_taken_by_name(shapes):
    config = {"kind": "shape", "name": "plain", "options": {"width": 2.0}}
    with pytest.raises(UnknownName) as caught:
        from_config(config)
    assert "custom_objects={'plain': ...}" in caught.value.__notes__[0]
    for name in ("Plain", "plain"):
        assert from_config(config, custom_objects={name: Plain}).area == 2.0


def test_custom_functions_get_their_options_and_nested_things_are_found(shapes):
    def disc(r, *, scale=1.0):
        return scale * r

    inner = {"kind": "shape", "name": "disc", "options": {"scale": 3.0}}
    made = from_config({"kind": "shape", "name": "Plain", "options": {"width": 1.0, "inner": [inner]}},
                       {"Plain": Plain, "disc": disc})  # fmt: skip
    assert made.more["inner"][0](2.0) == 6.0


def test_custom_objects_come_before_registered_ones(shapes):
    shapes.register()(Written)
    config = {"kind": "shape", "name": "written", "options": {"width": 2.0}}
    assert type(from_config(config)) is Written
    assert type(from_config(config, {"Written": Plain})) is Plain


def test_configurations_are_plain_data():
    assert to_config(dataclasses.replace(nnx.optimizers.SGD(0.1), momentum=0.5))["options"]["momentum"] == 0.5
