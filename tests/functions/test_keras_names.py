"""Every name that Keras exports for what this room holds is here, or is refused with a reason."""

from __future__ import annotations

import inspect
import operator

import pytest
from keras_on_torch import keras_in_process, usual_type

import nnx
from nnx.errors import UnknownName
from nnx.registry import from_config, to_config

MODULES = ("activations", "losses", "metrics", "initializers", "regularizers", "constraints")


@pytest.mark.parametrize("module", MODULES)
def test_what_keras_exports_is_here_or_refused_by_name(module, keras):
    ours, theirs = getattr(nnx, module), getattr(keras, module)
    for name in (n for n in dir(theirs) if not n.startswith("_")):
        refused = ours.registry.refused.get(name)
        if refused is None:
            assert callable(getattr(ours, name)), name
            continue
        with pytest.raises(AttributeError, match=refused):
            getattr(ours, name)
        with pytest.raises(UnknownName, match=refused):
            ours.get(name)


@pytest.mark.parametrize("module", MODULES)
def test_keras_strings_and_aliases_are_attributes_and_names(module, keras):
    ours, theirs = getattr(nnx, module), getattr(keras.src, module)
    for name, thing in theirs.ALL_OBJECTS_DICT.items():
        base = name in ("loss", "metric", "regularizer", "constraint", "initializer")
        if name in ours.registry.refused or base or not name.isidentifier():
            continue
        if module == "metrics" and name.lower() in ("mean_metric_wrapper", "meanmetricwrapper"):
            continue
        assert name in ours.registry or hasattr(ours, name), (module, name, thing)


@pytest.mark.parametrize("module", [*MODULES, "optimizers", "optimizers.searches"])
def test_every_alias_is_an_attribute(module):
    room = operator.attrgetter(module)(nnx)
    for entry in room.registry:
        for alias in (a for a in entry.aliases if a.isidentifier()):
            found = getattr(room, alias)
            # The optimizer "bayesian" has the name of the module that it stands in.
            assert found is entry.target or inspect.ismodule(found), alias


def test_some_aliases():
    assert nnx.activations.swish is nnx.activations.silu
    assert nnx.losses.mse is nnx.metrics.MSE is nnx.losses.mean_squared_error
    assert nnx.initializers.IdentityInitializer is nnx.initializers.identity


@pytest.mark.parametrize("module", ["losses", "metrics"])
def test_classes_take_keras_arguments(module, keras):
    ours, theirs = getattr(nnx, module), getattr(keras, module)
    for name, cls in inspect.getmembers(theirs, inspect.isclass):
        wanted = list(inspect.signature(cls.__init__).parameters)[1:]
        entry = next(e for e in [*ours.registry] if e.class_name == name) if name in ours.registry else None
        if entry is None or name == "MeanMetricWrapper":
            continue
        if isinstance(entry.target, type):
            known = entry.target.argument_names()
        else:
            known = [*entry.options, "name", "reduction"]
        lacking = set(wanted) - set(known) - {"dtype"}
        # An AUC over thresholds of one's own, or of several labels; R² adjusted by a number of regressors;
        # ids that are sorted; and what the error says: weights take the place of a class that is ignored.
        assert lacking <= {
            "AUC": {"thresholds", "multi_label", "num_labels", "label_weights"},
            "R2Score": {"num_regressors"},
            "SparseTopKCategoricalAccuracy": {"from_sorted_ids"},
            "SparseCategoricalCrossentropy": {"ignore_class"},
        }.get(name, set()), name


def test_serialize_and_deserialize_are_the_configurations():
    loss = nnx.losses.Huber(2.0, reduction="sum")
    assert nnx.losses.deserialize(nnx.losses.serialize(loss)) == loss
    assert nnx.losses.serialize is to_config and nnx.metrics.deserialize is from_config


def test_keras_computes_in_double_precision_for_a_test_of_this_room_alone():
    keras = keras_in_process()

    def types():
        layer = keras.layers.Dense(1)
        layer.build((None, 1))
        return keras.config.floatx(), keras.config.dtype_policy().name, str(layer.dtype)

    before = types()
    with usual_type(keras, "float64"):
        assert types() == ("float64",) * 3
    assert types() == before == ("float32",) * 3  # not what an earlier test of this process left
