"""What Keras exports beside its optimizers and schedules and nnx does not have: the reason, and what to use.

:func:`nnx.optimizers.get` and the attributes of ``nnx.optimizers`` and ``nnx.optimizers.schedules`` say it.
"""

from __future__ import annotations

from nnx.registry import snake_case

_FILES = "model.save and nnx.load_model write and read optimizers, nnx.registry.to_config describes one"
_GROUPS = (
    "one optimizer moves all weights. For weights that shall not move there are mask= and trainable=False of "
    "a layer, for those without decay exclude_from_weight_decay=; what Muon's exclude_layers name is AdamW's"
)

OPTIMIZERS = {
    "LossScaleOptimizer": "nnx computes nothing in half precision, so that no loss needs to be scaled",
    "MultiOptimizer": _GROUPS,
    "OptimizerMap": _GROUPS,
    "deserialize": _FILES,
    "serialize": _FILES,
    "legacy": "it holds the optimizers of Keras 2: those of Keras 3 have the same names in nnx.optimizers",
}
SCHEDULES = {
    "LearningRateSchedule": "any function of the step will do, and a subclass of Schedule can be saved",
    "deserialize": _FILES,
    "serialize": _FILES,
}


def why(name: str, table: dict[str, str], where: str) -> str | None:
    """The sentence for a name that is refused, in any spelling; None for every other one."""
    for known, reason in table.items():
        if name in (known, known.lower(), snake_case(known)):
            return f"nnx has no {known} in {where}: {reason}."
    return None
