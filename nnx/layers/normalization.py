"""Normalization of a batch's features, with running statistics for prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx import constraints, initializers, regularizers
from nnx.autodiff import stop_gradient
from nnx.backend import namespace
from nnx.errors import ShapeError
from nnx.layers.base import Layer, chosen, registry
from nnx.layers.moments import normalized_columns, scaled_columns
from nnx.layers.spec import Context, Spec, Weight
from nnx.layers.symbols import Shape
from nnx.options import flag, number

_WHOLE_BATCH = "nothing in its place (nnx takes the moments of the whole batch)"
_NO_RENORM = "nothing in its place (nnx has no batch renormalization; LayerNormalization suits small batches)"


@dataclass(frozen=True, kw_only=True)
class WithScale(Layer):
    """Base of layers that end in γ·x + β: where these start from, their penalties and constraints."""

    beta_initializer: Any = chosen(initializers.registry, "zeros")
    gamma_initializer: Any = chosen(initializers.registry, "ones")
    beta_regularizer: Any = chosen(regularizers.registry)
    gamma_regularizer: Any = chosen(regularizers.registry)
    beta_constraint: Any = chosen(constraints.registry)
    gamma_constraint: Any = chosen(constraints.registry)

    def scale_weights(self, shape: Shape, scale: bool, center: bool) -> tuple[Weight, ...]:
        """γ if ``scale``, β if ``center``, of that shape."""
        gamma = Weight("gamma", shape, self.gamma_initializer, self.gamma_regularizer, self.gamma_constraint)
        beta = Weight("beta", shape, self.beta_initializer, self.beta_regularizer, self.beta_constraint)
        return (gamma,) * scale + (beta,) * center


def place_of(layer: Layer, axis: int, rank: int) -> int:
    """The axis counted from 0, which is the samples' and may not be meant; ``rank`` counts it as well."""
    place = axis + rank if axis < 0 else axis
    if not 0 < place < rank:
        raise ShapeError(
            f"{layer.label}(axis={axis}): samples of {rank - 1} axes have the axes 1 to {rank - 1} "
            "(0 is that of the samples)."
        )
    return place


def moved_last(x: Any, axis: int) -> Any:
    """``x`` with that axis as its last one, the others in their order."""
    if axis == x.ndim - 1:
        return x
    return namespace(x).permute_dims(x, (*(i for i in range(x.ndim) if i != axis), axis))


def moved_back(x: Any, axis: int) -> Any:
    """What :func:`moved_last` moved, where it was."""
    if axis == x.ndim - 1:
        return x
    last = x.ndim - 1
    return namespace(x).permute_dims(x, (*range(axis), last, *range(axis, last)))


@registry.register()
@dataclass(frozen=True)
class BatchNormalization(WithScale):
    """γ·(x − μ)/√(σ² + ε) + β along ``axis``, with mean μ and variance σ² of the batch, or running ones.

    In training μ and σ² are those of the batch, over all axes but ``axis`` (the batch's axis counts as 0);
    each accepted step moves the running ones, m ← ``momentum``·m + (1 − ``momentum``)·μ. In prediction, and
    where ``trainable`` is False, the running ones are used. γ (``gamma``) and β (``beta``) are trained,
    ``moving_mean`` and ``moving_variance`` are state. The variance is that of the batch itself, divided by
    its size, in training and for the running one (Keras; PyTorch's running one is divided by size − 1); it is
    taken around the mean, so that it is right where the mean is much larger than the deviations.

    With a mask, the steps that it leaves out do not count in μ and σ², but are normalized as well; without
    any step left both are 0. Raises :class:`nnx.errors.OptionError` for Keras' ``synchronized`` and
    ``renorm``.

    A sample's output depends on its batch in training, so methods that need each sample's own derivatives
    (Levenberg–Marquardt) refuse it.
    Source: S. Ioffe, C. Szegedy, "Batch normalization", ICML 2015, algorithms 1 and 2. Names and defaults are
    Keras'.

    Shapes: (n, ...) → (n, ...).

    >>> model = nnx.Sequential([nnx.layers.BatchNormalization(input_shape=(3,))])
    >>> model.count_params(), len(model.layers[0].trainable_weights)
    (12, 2)
    """

    stateful: ClassVar[bool] = True
    supports_masking: ClassVar[bool] = True
    takes_mask: ClassVar[bool] = True
    renamed: ClassVar[Mapping[str, str]] = {
        **Layer.renamed,
        "synchronized": _WHOLE_BATCH,
        "renorm": _NO_RENORM,
        "renorm_clipping": _NO_RENORM,
        "renorm_momentum": _NO_RENORM,
    }

    axis: int = number(-1, whole=True)
    momentum: float = number(0.99, least=0.0, most=1.0)
    epsilon: float = number(1e-3, above=0.0)
    center: bool = flag(True)
    scale: bool = flag(True)
    moving_mean_initializer: Any = chosen(initializers.registry, "zeros")
    moving_variance_initializer: Any = chosen(initializers.registry, "ones")

    @property
    def mixes_samples(self) -> bool:  # type: ignore[override]
        """Whether it is trained: with running statistics each sample is by itself."""
        return self.trainable

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        shape = (input_shape[place_of(self, self.axis, len(input_shape) + 1) - 1],)
        mean = Weight("moving_mean", shape, self.moving_mean_initializer, trainable=False)
        variance = Weight("moving_variance", shape, self.moving_variance_initializer, trainable=False)
        return Spec(input_shape, (*self.scale_weights(shape, self.scale, self.center), mean, variance))

    def forward(self, p: Mapping[str, Any], x: Any, context: Context, mask: Any = None) -> Any:
        xp, axis = namespace(x, *p.values()), place_of(self, self.axis, x.ndim)
        last = moved_last(x, axis)
        rows = last if x.ndim == 2 else xp.reshape(last, (math.prod(last.shape[:-1]), last.shape[-1]))
        y, changes = self._of_rows(p, rows, context, self._counted(mask, last, axis))
        return moved_back(y if x.ndim == 2 else xp.reshape(y, last.shape), axis), changes

    def _of_rows(self, p: Mapping[str, Any], x: Any, context: Context, counted: Any) -> Any:
        gamma, beta = p.get("gamma"), p.get("beta")
        if not (context.training and self.trainable):
            return self._folded(x, gamma, beta, p["moving_mean"], p["moving_variance"]), {}
        if counted is None:
            y, mean, variance = normalized_columns(x, gamma, beta, epsilon=self.epsilon)
        else:
            mean, variance = _moments_of_some(x, counted)
            y = self._folded(x - mean, gamma, beta, None, variance)
        return y, {
            "moving_mean": self._moved(p["moving_mean"], mean),
            "moving_variance": self._moved(p["moving_variance"], variance),
        }

    def _folded(self, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Any:
        """The output for given moments: one product and one sum for each entry."""
        return scaled_columns(x, *self._product(gamma, beta, mean, variance))

    def _product(self, gamma: Any, beta: Any, mean: Any, variance: Any) -> tuple[Any, Any]:
        """``(factor, offset)``: with given moments the output is x·factor + offset; a mean of None is 0."""
        xp = namespace(variance)
        factor = 1.0 / xp.sqrt(variance + self.epsilon)
        factor = factor if gamma is None else factor * gamma
        offset = xp.zeros_like(factor) if mean is None else -mean * factor
        return factor, offset if beta is None else offset + beta

    def as_product(self, p: Mapping[str, Any], bias: Any = None) -> tuple[Any, Any]:
        """``(factor, offset)``: with running moments the output for x + ``bias`` is x·factor + offset."""
        mean = p["moving_mean"] if bias is None else p["moving_mean"] - bias
        return self._product(p.get("gamma"), p.get("beta"), mean, p["moving_variance"])

    def _moved(self, running: Any, of_batch: Any) -> Any:
        return running * self.momentum + stop_gradient(of_batch) * (1.0 - self.momentum)

    def _counted(self, mask: Any, last: Any, axis: int) -> Any:
        """1 for each row that the mask lets count and 0 for the others, a column; None without a mask."""
        if mask is None:
            return None
        if axis != last.ndim - 1 or tuple(mask.shape) != tuple(last.shape[: mask.ndim]):
            raise ShapeError(
                f"{self.described}: a mask needs features along the last axis and one entry for each step. "
                f"It has the shape {tuple(mask.shape)}; axis={self.axis} and x of shape {tuple(last.shape)}."
            )
        xp, steps = namespace(mask), last.shape[:-1]
        ones = xp.reshape(mask, (*mask.shape, *(1,) * (len(steps) - mask.ndim)))
        return xp.astype(xp.reshape(xp.broadcast_to(ones, steps), (math.prod(steps), 1)), last.dtype)


def _moments_of_some(x: Any, counted: Any) -> tuple[Any, Any]:
    """Mean and variance of each column over the rows that count; 0 if none does."""
    xp = namespace(x, counted)
    total = xp.sum(counted)
    share = 1.0 / xp.where(total > 0, total, xp.ones_like(total))
    kept = xp.where(counted > 0, x, xp.zeros_like(x))  # what is left out may be NaN
    mean = xp.sum(kept, axis=0) * share
    centred = (kept - mean) * counted
    return mean, xp.sum(centred * centred, axis=0) * share
