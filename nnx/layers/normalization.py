"""Normalization of a batch's features, with running statistics for prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx import constraints, initializers, regularizers
from nnx.autodiff import stop_gradient
from nnx.backend import namespace
from nnx.errors import ShapeError
from nnx.layers.base import Layer, chosen, registry
from nnx.layers.spec import Context, Spec, Weight
from nnx.layers.symbols import Shape
from nnx.options import flag, number


@registry.register()
@dataclass(frozen=True)
class BatchNormalization(Layer):
    """γ·(x − μ)/√(σ² + ε) + β along ``axis``, with mean μ and variance σ² of the batch, or running ones.

    In training μ and σ² are those of the batch, over all axes but ``axis`` (the batch's axis counts as 0);
    each accepted step moves the running ones, m ← ``momentum``·m + (1 − ``momentum``)·μ. In prediction, and
    where ``trainable`` is False, the running ones are used. γ (``gamma``) and β (``beta``) are trained,
    ``moving_mean`` and ``moving_variance`` are state. The variance is that of the batch itself, divided by
    its size, in training and for the running one (Keras; PyTorch's running one is divided by size − 1).

    A sample's output depends on its batch in training, so methods that need each sample's own derivatives
    (Levenberg–Marquardt) refuse it.
    Source: S. Ioffe, C. Szegedy, "Batch normalization", ICML 2015, algorithms 1 and 2. Names and defaults are
    Keras'.

    Shapes: (n, ...) → (n, ...).

    >>> model = nnx.Sequential([nnx.layers.BatchNormalization(input_shape=(3,))])
    >>> model.count_params(), len(model.layers[0].trainable_weights)
    (12, 2)
    """

    supports_masking: ClassVar[bool] = True
    stateful: ClassVar[bool] = True

    axis: int = number(-1, whole=True)
    momentum: float = number(0.99, least=0.0, most=1.0)
    epsilon: float = number(1e-3, above=0.0)
    center: bool = flag(True)
    scale: bool = flag(True)
    beta_initializer: Any = chosen(initializers.registry, "zeros")
    gamma_initializer: Any = chosen(initializers.registry, "ones")
    moving_mean_initializer: Any = chosen(initializers.registry, "zeros")
    moving_variance_initializer: Any = chosen(initializers.registry, "ones")
    beta_regularizer: Any = chosen(regularizers.registry)
    gamma_regularizer: Any = chosen(regularizers.registry)
    beta_constraint: Any = chosen(constraints.registry)
    gamma_constraint: Any = chosen(constraints.registry)

    @property
    def mixes_samples(self) -> bool:  # type: ignore[override]
        """Whether it is trained: with running statistics each sample is by itself."""
        return self.trainable

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        shape = (input_shape[self._axis(len(input_shape) + 1) - 1],)
        gamma = Weight("gamma", shape, self.gamma_initializer, self.gamma_regularizer, self.gamma_constraint)
        beta = Weight("beta", shape, self.beta_initializer, self.beta_regularizer, self.beta_constraint)
        mean = Weight("moving_mean", shape, self.moving_mean_initializer, trainable=False)
        variance = Weight("moving_variance", shape, self.moving_variance_initializer, trainable=False)
        own = [w for w, there in ((gamma, self.scale), (beta, self.center)) if there]
        return Spec(input_shape, (*own, mean, variance))

    def _axis(self, rank: int) -> int:
        """The axis of the features, counted from 0 (which is the samples')."""
        axis = self.axis + rank if self.axis < 0 else self.axis
        if not 0 < axis < rank:
            raise ShapeError(
                f"BatchNormalization(axis={self.axis}): samples of {rank - 1} axes have the axes 1 to "
                f"{rank - 1} (0 is that of the samples)."
            )
        return axis

    def forward(self, p: Mapping[str, Any], x: Any, context: Context) -> Any:
        xp, axis = namespace(x, *p.values()), self._axis(x.ndim)
        others = tuple(i for i in range(x.ndim) if i != axis)
        along = tuple(-1 if i == axis else 1 for i in range(x.ndim))
        mean, variance, changes = p["moving_mean"], p["moving_variance"], {}
        if context.training and self.trainable:
            mean = xp.mean(x, axis=others)
            centred = x - xp.reshape(mean, along)
            variance = xp.mean(centred * centred, axis=others)
            changes = {
                "moving_mean": self._moved(p["moving_mean"], mean),
                "moving_variance": self._moved(p["moving_variance"], variance),
            }
        else:
            centred = x - xp.reshape(mean, along)
        factor = 1.0 / xp.sqrt(variance + self.epsilon)
        if self.scale:
            factor = factor * p["gamma"]
        y = centred * xp.reshape(factor, along)
        return (y + xp.reshape(p["beta"], along) if self.center else y), changes

    def _moved(self, running: Any, of_batch: Any) -> Any:
        return running * self.momentum + stop_gradient(of_batch) * (1.0 - self.momentum)
