"""The weights of a model as users read and set them, and the model as a pure function of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nnx.layers import Context
from nnx.models.structure import Structure


class Weighted(Structure):
    """A structure whose weights can be read, set and taken out."""

    def count_params(self) -> int:
        """The number of entries of all weights, trained or not."""
        return self.network.layout.size + self.network.state_layout.size

    @property
    def weights_vector(self) -> Any:
        """All trained weights as one vector: the lectures' w (the model's own array, read it only)."""
        weights = self._present_weights()
        return None if weights is None else weights.trained

    def get_weights(self) -> list[Any]:
        """Copies of all weights as NumPy arrays, layer by layer.

        Raises :class:`nnx.errors.NotBuilt` before they exist.

        >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))])
        >>> [w.shape for w in model.get_weights()]
        [(3, 2), (2,)]
        """
        return self._settled().get()

    @property
    def weights(self) -> list[Any]:
        """All weights, layer by layer: read-only copies as NumPy arrays."""
        return [w for layer in self.network.layers for w in layer.weights]

    @property
    def trainable_weights(self) -> list[Any]:
        """The weights that training moves: read-only copies."""
        return [w for layer in self.network.layers for w in layer.trainable_weights]

    @property
    def non_trainable_weights(self) -> list[Any]:
        """The weights that training does not move: read-only copies."""
        return [w for layer in self.network.layers for w in layer.non_trainable_weights]

    def as_function(self) -> tuple[Callable[[Any, Any], Any], dict[str, Any]]:
        """``(f, w)``: the pure function f(w, x) that this model is, and its trained weights by name.

        ``f`` computes the output for a batch ``x`` (a list or dict of arrays for several inputs) as in
        prediction (without dropout and noise) from a dict like ``w``, or from one vector of all of them; both
        it and ``w`` are independent of the model from then on. So :func:`nnx.minimize` and
        :func:`nnx.least_squares` train what ``fit`` cannot say (a differential equation, a constraint, one
        model for two sets of data), and ``set_weights`` takes what they found. Residuals that belong to one
        row of ``x`` each have a Jacobian in one pass back, derivatives by the inputs among them.

        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(1,))], dtype="float64", seed=1)
        >>> f, w = model.as_function()
        >>> x = np.linspace(-1.0, 1.0, 5)[:, None]
        >>> result = nnx.least_squares(lambda w: f(w, x) - (2.0 * x + 1.0), w)
        >>> model.set_weights(result.x)
        >>> model.predict(x)[:, 0].round(6)
        array([-1.,  0.,  1.,  2.,  3.])
        """
        weights = self._settled()
        trained, state = weights.copy_of()
        layout, others = weights.network.layout, weights.network.state_layout.views(state)
        program, slots, names = weights.program, weights.params, weights.network.input_names
        answer = weights.network.answer

        def f(w: Any, x: Any) -> Any:
            pieces = layout.pick(w) if isinstance(w, Mapping) else layout.views(w)
            if isinstance(x, Mapping):
                xs = tuple(x[name] for name in names)
            else:
                xs = tuple(x) if isinstance(x, list | tuple) else (x,)
            return answer(program.run(slots(pieces, others), xs, Context()).outputs)

        return f, dict(zip(layout.names, layout.views(trained), strict=True))

    def set_weights(self, weights: Any) -> None:
        """Puts the given arrays, in the order of :meth:`get_weights`, in place of the weights.

        ``weights`` may also be a dict of the trained ones by name, as :meth:`as_function` gives.
        Raises :class:`nnx.errors.ShapeError` if number, names or shapes do not fit; then nothing is changed.

        >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))])
        >>> kernel, bias = model.get_weights()
        >>> model.set_weights([np.zeros_like(kernel), np.ones_like(bias)])
        >>> model.predict(np.ones((1, 3), dtype="float32"))
        array([[1., 1.]], dtype=float32)
        """
        own = self._settled()
        if isinstance(weights, Mapping):
            own.set_named(weights)
        else:
            own.set(weights)
