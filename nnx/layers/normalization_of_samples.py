"""Normalization of each sample by itself: by layer, by group of features, by root mean square, by length."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx import initializers
from nnx.backend import namespace
from nnx.errors import OptionError, ShapeError
from nnx.layers.base import Layer, registry
from nnx.layers.moments import normalized_rows, scaled_columns
from nnx.layers.normalization import WithScale, moved_back, moved_last, place_of
from nnx.layers.spec import Spec, Weight
from nnx.layers.symbols import Shape
from nnx.options import Number, Numbers, flag, number, option

_SEVERAL = Numbers("a whole number or several (axes; 0 is that of the samples)")
#: below this length a sample counts as 0 for UnitNormalization, as in Keras
_SHORTEST = 1e-12


def _axes(where: str, name: str, value: Any) -> Any:
    """The check that an option is an axis, kept as an int, or several, kept as a tuple."""
    several = _SEVERAL(where, name, value)
    if not several:
        raise OptionError(f"{where}: {name} must name at least one axis, got {value!r}.")
    return several if isinstance(value, tuple | list) else several[0]


def _places(layer: Layer, axis: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    """The axes counted from 0, in order, each once."""
    given = axis if isinstance(axis, tuple) else (axis,)
    places = tuple(sorted({place_of(layer, one, rank) for one in given}))
    if len(places) < len(given):
        raise ShapeError(f"{layer.label}(axis={axis}): an axis is named twice (samples of {rank - 1} axes).")
    return places


def _as_rows(x: Any, places: tuple[int, ...], of_rows: Callable[[Any], Any]) -> Any:
    """What a function of rows makes of ``x``, where one row holds the entries along the axes ``places``."""
    xp = namespace(x)
    order = (*(i for i in range(x.ndim) if i not in places), *places)
    moved = x if order == tuple(range(x.ndim)) else xp.permute_dims(x, order)
    shape = moved.shape
    rows = xp.reshape(moved, (math.prod(shape[: -len(places)]), math.prod(shape[-len(places) :])))
    y = xp.reshape(of_rows(rows), shape)
    back = tuple(order.index(i) for i in range(x.ndim))
    return y if order == back == tuple(range(x.ndim)) else xp.permute_dims(y, back)


def _flat(v: Any) -> Any:
    return v if v is None or v.ndim == 1 else namespace(v).reshape(v, (-1,))


@registry.register()
@dataclass(frozen=True)
class LayerNormalization(WithScale):
    """γ·(x − μ)/√(σ² + ε) + β with the mean μ and variance σ² of each sample's entries along ``axis``.

    ``axis`` is one axis or several, where 0 would be that of the samples; γ (``gamma``, if ``scale``) and β
    (``beta``, if ``center``) have the lengths of these axes. The variance is divided by their number of
    entries, ``epsilon`` ε > 0.

    Shapes: (n, ...) → (n, ...).
    Source: J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", arXiv:1607.06450 (2016), equation 4.
    Names and defaults are Keras'.

    >>> nnx.layers.LayerNormalization(epsilon=1e-12)(np.asarray([[1.0, 5.0]]))
    array([[-1.,  1.]])
    """

    supports_masking: ClassVar[bool] = True

    axis: int | tuple[int, ...] = option(_axes, -1)
    epsilon: float = number(1e-3, above=0.0)
    center: bool = flag(True)
    scale: bool = flag(True)

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        places = _places(self, self.axis, len(input_shape) + 1)
        shape = tuple(input_shape[i - 1] for i in places)
        return Spec(input_shape, self.scale_weights(shape, self.scale, self.center))

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        gamma, beta = _flat(p.get("gamma")), _flat(p.get("beta"))

        def of_rows(rows: Any) -> Any:
            return normalized_rows(rows, gamma, beta, epsilon=self.epsilon)[0]

        return _as_rows(x, _places(self, self.axis, x.ndim), of_rows)


def _groups(where: str, name: str, value: Any) -> Any:
    """The check that an option is a number of groups ≥ 1, or −1."""
    whole = Number(whole=True)(where, name, value)
    if whole < 1 and whole != -1:
        raise OptionError(
            f"{where}: {name} must be a whole number >= 1, or -1 for one group per feature, got {value!r}."
        )
    return whole


@registry.register()
@dataclass(frozen=True)
class GroupNormalization(WithScale):
    """γ·(x − μ)/√(σ² + ε) + β with μ and σ² of each sample's ``groups`` of neighbouring features.

    The features lie along ``axis``; mean and variance are taken over a group's features and all other axes of
    the sample. ``groups=-1`` has one group for each feature (instance normalization), ``groups=1`` one for
    all. γ and β have one entry for each feature. Raises :class:`nnx.errors.ShapeError` where the number of
    features is no multiple of ``groups``.

    Shapes: (n, ...) → (n, ...).
    Source: Y. Wu, K. He, "Group normalization", ECCV 2018, section 3.1. Names and defaults are Keras'.

    >>> x = np.asarray([[1.0, 5.0, 10.0, 30.0]])
    >>> nnx.layers.GroupNormalization(2, epsilon=1e-12)(x)
    array([[-1.,  1., -1.,  1.]])
    """

    supports_masking: ClassVar[bool] = True

    groups: int = option(_groups, 32)
    axis: int = number(-1, whole=True)
    epsilon: float = number(1e-3, above=0.0)
    center: bool = flag(True)
    scale: bool = flag(True)

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        features = input_shape[place_of(self, self.axis, len(input_shape) + 1) - 1]
        if features % self.groups:
            raise ShapeError(
                f"GroupNormalization(groups={self.groups}) cannot divide {features} features (axis "
                f"{self.axis} of samples of shape {input_shape}). Choose groups that divides their number."
            )
        return Spec(input_shape, self.scale_weights((features,), self.scale, self.center))

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        xp, axis = namespace(x, *p.values()), place_of(self, self.axis, x.ndim)
        last = moved_last(x, axis)
        features = last.shape[-1]
        groups = features if self.groups == -1 else self.groups
        shape = (x.shape[0], math.prod(last.shape[1:-1]), groups, features // groups)

        def of_rows(rows: Any) -> Any:
            return normalized_rows(rows, None, None, epsilon=self.epsilon)[0]

        y = xp.reshape(_as_rows(xp.reshape(last, shape), (1, 3), of_rows), (shape[0] * shape[1], features))
        gamma, beta = p.get("gamma"), p.get("beta")
        if gamma is not None and beta is not None:
            y = scaled_columns(y, gamma, beta)
        elif gamma is not None or beta is not None:
            y = y * gamma if beta is None else y + beta
        return moved_back(xp.reshape(y, last.shape), axis)


@registry.register("rms_normalization")
@dataclass(frozen=True)
class RMSNormalization(Layer):
    """x/√(mean(x²) + ε)·``scale``, with the mean of each sample's squares along ``axis``.

    ``axis`` is one axis or several, where 0 would be that of the samples; ``scale`` has their lengths and
    starts from 1. ``epsilon`` ε > 0.

    Shapes: (n, ...) → (n, ...).
    Source: B. Zhang, R. Sennrich, "Root mean square layer normalization", NeurIPS 2019, equation 4. Names and
    defaults are Keras'.

    >>> nnx.layers.RMSNormalization(epsilon=1e-12)(np.asarray([[3.0, -3.0]]))
    array([[ 1., -1.]])
    """

    supports_masking: ClassVar[bool] = True

    axis: int | tuple[int, ...] = option(_axes, -1)
    epsilon: float = number(1e-6, above=0.0)

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        shape = tuple(input_shape[i - 1] for i in _places(self, self.axis, len(input_shape) + 1))
        return Spec(input_shape, (Weight("scale", shape, initializers.get("ones")),))

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        xp, places = namespace(x, p["scale"]), _places(self, self.axis, x.ndim)
        squares = xp.mean(x * x, axis=places, keepdims=True)
        lengths = tuple(n if i in places else 1 for i, n in enumerate(x.shape))
        return x * (1.0 / xp.sqrt(squares + self.epsilon)) * xp.reshape(p["scale"], lengths)


@registry.register()
@dataclass(frozen=True)
class UnitNormalization(Layer):
    """x/‖x‖, with the Euclidean length of each sample's entries along ``axis``; 0 where all are 0.

    ``axis`` is one axis or several, where 0 would be that of the samples. Entries whose length is below 1e-12
    are divided by 1e-12.

    Shapes: (n, ...) → (n, ...). Source: Keras' ``layers.UnitNormalization``.

    >>> nnx.layers.UnitNormalization()(np.asarray([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """

    supports_masking: ClassVar[bool] = True

    axis: int | tuple[int, ...] = option(_axes, -1)

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        _places(self, self.axis, len(input_shape) + 1)
        return Spec(input_shape)

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        xp, places = namespace(x), _places(self, self.axis, x.ndim)
        squares = xp.sum(x * x, axis=places, keepdims=True)
        return x / xp.sqrt(xp.maximum(squares, xp.full_like(squares, _SHORTEST**2)))
