"""How large gradients and activations are, layer by layer, in the course of a training."""

from __future__ import annotations

from typing import Any

from nnx.callbacks.base import Callback, Logs
from nnx.errors import OptionError
from nnx.options import Number

_EVERY = Number(least=1, whole=True)


class LayerNorms(Callback):
    """Records the norms of each layer's gradient and of its activations, after every epoch or so many steps.

    ``every``: ``"epoch"``, or a whole number n ≥ 1: after every n-th training step. Gradients that shrink
    from layer to layer towards the input, or activations that do towards the output, are what keeps a deep
    network from learning; :func:`nnx.plotting.gradient_norms` draws the same norms of a gradient at one time.

    The record, lists with an entry for each time:

    - ``steps``: the number of training steps made by then, in this ``fit``;
    - ``gradients[name]``, for each layer with weights that are trained: ‖∂J/∂θ‖₂, the Euclidean norm of the
      gradient by all of its weights in the last step (as it was computed at the weights before that step,
      before any clipping, with the penalties of regularizers);
    - ``activations[name]``, for each layer: √(‖A‖² / n), the root mean square, over the n samples of the last
      step's batch, of the Euclidean norm of a sample's output. It is computed by one more pass forward with
      the weights after the step, as in prediction (dropout is off).

    The norms are in the order of the layers, in 64 bits, and read back from the device each time. Nothing is
    added to the logs. Raises :class:`nnx.errors.OptionError` for another ``every``.

    >>> norms = nnx.callbacks.LayerNorms()
    >>> layers = [nnx.layers.Dense(8, "sigmoid", input_shape=(2,))]
    >>> layers += [nnx.layers.Dense(8, "sigmoid") for _ in range(5)] + [nnx.layers.Dense(1)]
    >>> model = nnx.Sequential(layers, seed=1)
    >>> model.compile("sgd", "mse")
    >>> _ = model.fit(np.eye(2), np.ones(2), epochs=3, verbose=0, callbacks=[norms])
    >>> norms.steps, len(norms.gradients["dense"])
    ([1, 2, 3], 3)
    >>> norms.gradients["dense"][0] < 1e-3 * norms.gradients["dense_6"][0]
    True

    Source: X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010, sections 3 and 4.2.
    """

    remembers = ("steps", "gradients", "activations", "_made")

    def __init__(self, every: Any = "epoch") -> None:
        if isinstance(every, str) and every != "epoch":
            raise OptionError(f"LayerNorms: every must be 'epoch' or a whole number of steps, got {every!r}.")
        self.every: Any = every if every == "epoch" else _EVERY("LayerNorms", "every", every)
        self._begin()

    def _begin(self) -> None:
        self.steps: list[int] = []
        self.gradients: dict[str, list[float]] = {}
        self.activations: dict[str, list[float]] = {}
        self._made = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._begin()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._made += 1
        if self.every != "epoch" and self._made % self.every == 0:
            self._record()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.every == "epoch":
            self._record()

    def _record(self) -> None:
        trainer = self.model.trainer
        self.steps.append(self._made)
        for record, norms in (
            (self.gradients, trainer.gradient_norms()),
            (self.activations, trainer.activation_norms()),
        ):
            for name, norm in norms.items():
                record.setdefault(name, []).append(norm)
