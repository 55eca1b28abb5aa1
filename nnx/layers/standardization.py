"""Features brought to mean 0 and variance 1, by the mean and variance of data seen before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

from nnx import initializers
from nnx.backend import adapter_of, asarray, device_of, namespace, to_numpy
from nnx.errors import DataError, OptionError, ShapeError
from nnx.layers.base import Layer, registry
from nnx.layers.spec import Spec, Weight
from nnx.layers.symbols import Shape
from nnx.options import Numbers, flag, option

#: Keras' bound of the deviation that is divided by.
_LEAST = 1e-7


@dataclass(frozen=True)
class Moment:
    """The check of ``mean`` and ``variance``: a number, an array (kept as nested tuples), or None."""

    def __call__(self, where: str, name: str, value: Any) -> Any:
        if value is None or (isinstance(value, Real) and not isinstance(value, bool)):
            return value if value is None else float(value)
        try:
            entries = asarray(value, dtype="float64")
            plain = to_numpy(entries).tolist()
        except Exception:  # whatever an array library raises for what is no array
            plain = None
        if plain is None or not namespace(entries).all(namespace(entries).isfinite(entries)):
            raise OptionError(f"{where}: {name} must be {self}, got {value!r}.")
        return _tuples(plain)

    def __str__(self) -> str:
        return "a finite number, an array of them, or None"


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _shape_of(value: Any) -> Shape:
    """The shape of nested tuples."""
    return (len(value), *(_shape_of(value[0]) if value else ())) if isinstance(value, tuple) else ()


@registry.register()
@dataclass(frozen=True)
class Normalization(Layer):
    """(x − mean)/√variance of each feature; with ``invert`` mean + x·√variance.

    The features lie along ``axis`` (one or several axes, counted with that of the samples, which is 0; None:
    one mean for all numbers). ``mean`` and ``variance`` are given, or :meth:`adapt` takes them from data;
    then they are weights that are not trained. A deviation below 10⁻⁷ counts as 10⁻⁷.
    Raises :class:`nnx.errors.OptionError` where only one of the two is given, :class:`nnx.errors.ShapeError`
    for axes that samples do not have.

    Shapes: (n, ...) → (n, ...). Source: Keras' ``layers.Normalization``.

    >>> layer = nnx.layers.Normalization()
    >>> layer.adapt(np.asarray([[0.0, 7.0, 4.0], [2.0, 9.0, 6.0], [0.0, 7.0, 4.0], [2.0, 9.0, 6.0]]))
    >>> layer(np.asarray([[0.0, 7.0, 4.0]]))
    array([[-1., -1., -1.]])
    >>> nnx.layers.Normalization(mean=3.0, variance=4.0, invert=True)(np.asarray([[1.0, -1.0]]))
    array([[5., 1.]])
    """

    supports_masking: ClassVar[bool] = True

    axis: Any = option(Numbers("a whole number, several, or None", optional=True), -1)
    mean: Any = option(Moment(), None)
    variance: Any = option(Moment(), None)
    invert: bool = flag(False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.mean is None) != (self.variance is None):
            raise OptionError("Normalization: give both of mean and variance, or none of them.")

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        shape = self._shape(input_shape)
        if self.mean is not None:
            self._must_be_features(input_shape)
            return Spec(input_shape)
        zeros, ones = initializers.get("zeros"), initializers.get("ones")
        weights = (("mean", shape, zeros), ("variance", shape, ones), ("count", (), zeros))
        return Spec(input_shape, tuple(Weight(*w, trainable=False) for w in weights))

    def _axes(self, input_shape: Shape) -> tuple[int, ...]:
        rank = len(input_shape) + 1
        axes = tuple(sorted(a + rank if a < 0 else a for a in self.axis or ()))
        if any(not 0 < a < rank for a in axes) or len(set(axes)) < len(axes):
            raise ShapeError(
                f"Normalization(axis={self.axis}): samples of shape {input_shape} have the axes 1 to "
                f"{rank - 1} (0 is that of the samples), each at most once."
            )
        return axes

    def _shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape[a - 1] for a in self._axes(input_shape))

    def _along(self, input_shape: Shape) -> Shape:
        """The shape of the moments that broadcasts against a batch."""
        axes = self._axes(input_shape)
        return (1, *(n if i in axes else 1 for i, n in enumerate(input_shape, 1)))

    def _must_be_features(self, input_shape: Shape) -> None:
        """ShapeError where the given ``mean`` and ``variance`` do not fit the features."""
        shape = self._shape(input_shape)
        for name in ("mean", "variance"):
            own = _shape_of(getattr(self, name))
            ends = zip(reversed(own), reversed(shape), strict=False)
            if len(own) > len(shape) or any(n not in (1, m) for n, m in ends):
                raise ShapeError(
                    f"Normalization: {name} has the shape {own}, but samples of shape {input_shape} have "
                    f"features of shape {shape} along axis={self.axis}."
                )

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        xp = namespace(x, *p.values())
        along = self._along(x.shape[1:])
        if self.mean is None:
            mean, variance = (xp.reshape(p[name], along) for name in ("mean", "variance"))
        else:
            shape = self._shape(x.shape[1:])
            mean, variance = (self._as_array(m, shape, along, x) for m in (self.mean, self.variance))
        deviation = namespace(variance).sqrt(variance)
        deviation = namespace(variance).maximum(deviation, namespace(variance).full_like(deviation, _LEAST))
        return x * deviation + mean if self.invert else (x - mean) / deviation

    def _as_array(self, moment: Any, shape: Shape, along: Shape, x: Any) -> Any:
        adapter = adapter_of(x)
        array = adapter.asarray(moment, dtype=x.dtype, device=device_of(x))
        return adapter.xp.reshape(adapter.xp.broadcast_to(array, shape), along)

    def adapt(self, data: Any) -> None:
        """Takes mean and variance from ``data``, in place of those it has: an array, or batches of arrays.

        Shapes: (n, ...) each. Returns nothing. Raises :class:`nnx.errors.OptionError` for a layer that was
        given them, :class:`nnx.errors.DataError` for no data or data with NaN or infinite numbers, and
        :class:`nnx.errors.ShapeError` for batches that do not fit.
        """
        if self.mean is not None:
            raise OptionError("Normalization.adapt: this layer was given its mean and variance.")
        batches: Iterable[Any] = [data] if hasattr(data, "shape") else data
        total: Any = 0.0
        mean: Any = 0.0
        squares: Any = 0.0
        shape: Shape | None = None
        for batch in batches:
            x = asarray(batch, dtype="float64")
            shape = tuple(x.shape[1:]) if shape is None else shape
            if tuple(x.shape[1:]) != shape:
                raise ShapeError(f"Normalization.adapt: samples of shapes {shape} and {tuple(x.shape[1:])}.")
            n, m, s = _moments(x, self._axes(shape))
            if n:
                # T. F. Chan, G. H. Golub, R. J. LeVeque, The American Statistician 37 (1983) 242–247
                step, total = m - mean, total + n
                mean = mean + step * (n / total)
                squares = squares + s + step * step * (n * (total - n) / total)
        if shape is None or not total:
            raise DataError("Normalization.adapt: there are no data.")
        self._put(shape, [mean, squares / total])

    def _put(self, shape: Shape, moments: Sequence[Any]) -> None:
        arrays = [to_numpy(m) for m in moments]
        if not all(bool((abs(a) < float("inf")).all()) for a in arrays):
            raise DataError("Normalization.adapt: the data have NaN or infinite numbers.")
        if not self.built:
            self._make_weights(self.spec_for([shape]).weights)
        count = self.get_weights()[2]
        self.set_weights([*arrays, count])


def _moments(x: Any, axes: Sequence[int]) -> tuple[int, Any, Any]:
    """How many numbers there are for each feature, their mean and the sum of their squared deviations."""
    xp, others = namespace(x), tuple(i for i in range(x.ndim) if i not in axes)
    n = 1
    for i in others:
        n *= x.shape[i]
    if not n:
        return 0, 0.0, 0.0
    mean = xp.mean(x, axis=others, keepdims=True)
    squares = xp.sum((x - mean) ** 2, axis=others)
    return n, xp.mean(x, axis=others), squares
