"""The part of a model that holds a network and its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nnx.backend import Backend, as_seed, make_backend, next_seed
from nnx.errors import NotBuilt, OptionError, ShapeError
from nnx.layers import Context
from nnx.layers.base import shape_of_sample
from nnx.models import saving
from nnx.models.handles import BoundLayer, arrays_of, weight
from nnx.models.network import Network
from nnx.models.summary import table


class Holder:
    """Layers, the two vectors of weights, and where they live."""

    def __init__(
        self,
        *,
        name: str | None = None,
        backend: Any = None,
        device: Any = None,
        dtype: str | None = None,
        seed: int | None = None,
    ) -> None:
        self.backend: Backend = make_backend(backend, device, dtype)
        if not isinstance(name, str | None):
            raise OptionError(f"{type(self).__name__}: name must be a string, got {name!r}.")
        self.name = name or type(self).__name__.lower()
        self.seed = next_seed() if seed is None else as_seed(f"{type(self).__name__}: seed", seed)
        self._network: Network | None = None
        self._w: Any = None
        self._fixed: Any = None

    # -- what there is --------------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """Whether the input shape is known and the weights exist."""
        return self._network is not None

    @property
    def network(self) -> Network:
        """The pure part; :class:`nnx.errors.NotBuilt` before the input shape is known."""
        if self._network is None:
            raise NotBuilt(
                f"Model '{self.name}' is not built: its input shape is not known yet. Give the first layer "
                "input_shape=..., call model.build(input_shape), or fit it on data."
            )
        return self._network

    @property
    def layers(self) -> list[BoundLayer]:
        """The layers, each with access to its weights in this model."""
        return [BoundLayer(self, i) for i in range(len(self._layer_list()))]

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The shape of a batch of inputs; None stands for the number of samples."""
        return (None, *self.network.input_shape)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """The shape of a batch of outputs."""
        return (None, *self.network.output_shape)

    def count_params(self) -> int:
        """The number of weights, trained or not."""
        return self.network.layout.size + self.network.fixed_layout.size

    @property
    def weights_vector(self) -> Any:
        """All trained weights as one vector: the lectures' w (the model's own array, read it only)."""
        return self._w

    # -- building -------------------------------------------------------------------------------

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights for inputs of ``input_shape`` (with or without a leading None)."""
        shape = shape_of_sample(input_shape, "input_shape", may_have_batch=True)
        if self._network is not None:
            if self._network.input_shape != shape:
                raise ShapeError(
                    f"Model '{self.name}' is built for {self._network.input_shape}, not {shape}."
                )
            return
        self._adopt(self._make_network(shape))

    def _layer_list(self) -> Sequence[Any]:
        raise NotImplementedError

    def _make_network(self, input_shape: tuple[int, ...]) -> Network:
        raise NotImplementedError

    def _adopt(self, network: Network) -> None:
        trained, fixed = network.initial(self.seed)
        self._w = self._vector(network.layout, trained)
        self._fixed = self._vector(network.fixed_layout, fixed)
        self._network = network
        self._forget_training()

    def _vector(self, layout: Any, pieces: list[Any]) -> Any:
        if not pieces:
            return self.backend.xp.zeros(0, dtype=self._dtype(), device=self.backend.device)
        # a copy: this vector is written to in place from now on
        packed = self.backend.asarray(layout.pack(pieces), dtype=self.backend.dtype)
        return self.backend.xp.asarray(packed, copy=True)

    def _dtype(self) -> Any:
        return self.backend.adapter.dtype(self.backend.dtype)

    def _forget_training(self) -> None:
        """What has to start anew when the weights are others."""

    # -- weights --------------------------------------------------------------------------------

    def get_weights(self) -> list[Any]:
        """Copies of all weights as NumPy arrays, layer by layer."""
        return [array for layer in self.layers for array in layer.get_weights()]

    def as_function(self) -> tuple[Callable[[Any, Any], Any], dict[str, Any]]:
        """``(f, w)``: the pure function f(w, x) that this model is, and its trained weights by name.

        ``f`` computes the output for a batch ``x`` as in prediction (without dropout and noise) from a dict
        like ``w``, or from one vector of all of them; both it and ``w`` are independent of the model from
        then on. So :func:`nnx.minimize` and :func:`nnx.least_squares` train what ``fit`` cannot say (a
        differential equation, a constraint, one model for two sets of data), and ``set_weights`` takes what
        they found. Where the arrays of the dict are n copies of the weights, (n, *shape), the i-th belongs
        to sample i, as :func:`nnx.per_sample_jacobian` with ``stacked=True`` asks for; layers of your own
        must allow for that in ``forward``.

        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(1,))], dtype="float64", seed=1)
        >>> f, w = model.as_function()
        >>> x = np.linspace(-1.0, 1.0, 5)[:, None]
        >>> result = nnx.least_squares(lambda w: f(w, x) - (2.0 * x + 1.0), w)
        >>> model.set_weights(result.x)
        >>> model.predict(x)[:, 0].round(6)
        array([-1.,  0.,  1.,  2.,  3.])
        """
        network, xp = self.network, self.backend.xp
        layout, fixed = network.layout, xp.asarray(self._fixed, copy=True)
        others = network.fixed_layout.views(fixed)

        def f(w: Any, x: Any) -> Any:
            pieces = layout.pick(w) if isinstance(w, Mapping) else layout.views(w)
            return network.apply(pieces, others, x, Context())

        w = layout.views(xp.asarray(self._w, copy=True))
        return f, dict(zip(layout.names, w, strict=True))

    def set_weights(self, weights: Any) -> None:
        """Puts the given arrays, in the order of :meth:`get_weights`, in place of the weights.

        ``weights`` may also be a dict of the trained ones by name, as :meth:`as_function` gives.
        Raises :class:`nnx.errors.ShapeError` if number, names or shapes do not fit; then nothing is changed.
        """
        if isinstance(weights, Mapping):
            self._w[...] = self._packed(weights)
            return
        weights = arrays_of(weights)
        counts = [len(slots) for slots in self.network.slots]
        if len(weights) != sum(counts):
            raise ShapeError(f"Model '{self.name}' has {sum(counts)} weight arrays, got {len(weights)}.")
        parts, start = [], 0
        for layer, count in zip(self.layers, counts, strict=True):
            parts.append((layer, layer.checked(weights[start : start + count])))
            start += count
        for layer, arrays in parts:
            layer.put(arrays)

    def save_weights(self, path: Any) -> None:
        """Writes the weights alone."""
        saving.save_weights(self, path)

    def load_weights(self, path: Any) -> None:
        """Reads weights that :meth:`save_weights`, or ``save`` of a model, wrote for the same layers."""
        saving.load_weights(self, path)

    def _packed(self, weights: Mapping[str, Any]) -> Any:
        layout, backend = self.network.layout, self.backend
        named = zip(layout.names, layout.pick(weights), strict=True)
        return layout.pack([weight(piece, backend, f"The new '{name}'") for name, piece in named])

    def _pieces(self) -> tuple[list[Any], list[Any]]:
        network = self.network
        return network.layout.views(self._w), network.fixed_layout.views(self._fixed)

    def summary(self, print_fn: Any = None) -> None:
        """Prints a table of the layers: name and type, output shape, number of weights."""
        (print_fn or print)(table(self))
