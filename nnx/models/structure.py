"""What every model is: layers, and weights for them, wherever they live."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from nnx.backend import Backend, make_backend, next_seed
from nnx.errors import NotBuilt, OptionError, ShapeError, UnknownName
from nnx.layers import Context, Layer
from nnx.layers.symbols import SHAPE
from nnx.models.network import Network
from nnx.models.residents import Residents
from nnx.models.summary import table
from nnx.models.weights import Weights
from nnx.options import Seed

Shape = tuple[int, ...]
_SEED: Any = Seed(optional=False)


class Structure:
    """Layers, their weights, and where they live; a subclass says which there are, and who reads whom."""

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
        self.seed = next_seed() if seed is None else _SEED(type(self).__name__, "seed", seed)
        self._start()

    def _start(self) -> None:
        """What follows from nothing: no weights, no names."""
        self._weights: Weights | None = None
        self._stale = True
        self._names: dict[int, str] | None = None
        self._residents = Residents(self._present_weights, self._layer_names, self._exchange)

    # -- what a subclass says ---------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers, each with its weights."""
        raise NotImplementedError

    @property
    def input_names(self) -> tuple[str, ...]:
        """What the inputs are called: the keys of a dict of data."""
        return ("input",)

    def _known_shapes(self) -> tuple[Shape, ...] | None:
        """The shapes of the inputs' samples; None where they are not known yet."""
        raise NotImplementedError

    def _network_for(self, shapes: tuple[Shape, ...]) -> Network:
        """The network for samples of these shapes, or an error that says why there is none."""
        raise NotImplementedError

    def _fix_shapes(self, shapes: tuple[Shape, ...] | None) -> None:
        """From now on the inputs have these shapes; None: they are not known."""
        raise NotImplementedError

    def _forget_training(self) -> None:
        """What has to start anew when layers or weights are others."""

    # -- what there is ----------------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """Whether the input shape is known and the weights exist."""
        return self._present_weights() is not None

    @property
    def network(self) -> Network:
        """Which layers there are, and who reads whom; NotBuilt before the input shape is known."""
        return self._settled().network

    @property
    def label(self) -> str:
        """What messages call the model."""
        kind = type(self).__name__
        return kind if self.name == kind.lower() else f"{kind} '{self.name}'"

    @property
    def input_shape(self) -> Any:
        """The shape of a batch of inputs (a list of them for several); None is the number of samples."""
        shapes: list[Any] = [(None, *shape) for shape in self.network.inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """The shape of a batch of outputs."""
        return (None, *self.network.output_shape)

    def count_params(self) -> int:
        """The number of entries of all weights, trained or not."""
        return self.network.layout.size + self.network.state_layout.size

    @property
    def weights_vector(self) -> Any:
        """All trained weights as one vector: the lectures' w (the model's own array, read it only)."""
        weights = self._present_weights()
        return None if weights is None else weights.trained

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name or number; :class:`nnx.errors.UnknownName` if there is none."""
        layers = self.layers
        names = [str(layer.name) for layer in layers]
        if index is None and name in names:
            index = names.index(name)
        if not isinstance(index, int) or not -len(names) <= index < len(names):
            asked = f"named {name!r}" if index is None else f"number {index!r}"
            raise UnknownName(f"Model '{self.name}' has no layer {asked}. It has: {', '.join(names)}.")
        return layers[index]

    @property
    def trainable(self) -> bool:
        """Whether any layer is trained; assigning sets it for all of them, and the optimizer starts anew."""
        return any(layer.trainable for layer in self.layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.layers:
            layer.trainable = value  # type: ignore[misc]

    def summary(self, print_fn: Any = None) -> None:
        """Prints a table of the layers: name and type, output shape, number of weights."""
        (print_fn or print)(table(self.name, self.layers, self._present_weights()))

    # -- building ---------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs of ``input_shape`` (with or without a leading None).

        For a model of several inputs it is a list of shapes.
        """
        several = isinstance(input_shape, list) and input_shape and isinstance(input_shape[0], Sequence)
        shapes = tuple(map(_sample, input_shape if several else [input_shape]))
        known = self._known_shapes()
        if known is not None and self.built and known != shapes:
            one = known[0] if len(known) == 1 else list(known)
            asked = shapes[0] if len(shapes) == 1 else list(shapes)
            raise ShapeError(f"Model '{self.name}' is built for {one}, not {asked}.")
        self._network_for(shapes).specs  # noqa: B018 (what does not fit is found before anything is changed)
        self._fix_shapes(shapes)
        self._settled()

    def own_weights(self) -> Weights:
        """The two vectors with their network; NotBuilt before the input shape is known."""
        return self._settled()

    def _settled(self) -> Weights:
        weights = self._present_weights()
        if weights is None:
            raise NotBuilt(
                f"Model '{self.name}' is not built: its input shape is not known yet. Give the first layer "
                "input_shape=..., call model.build(input_shape), or fit it on data."
            )
        return weights

    def _present_weights(self) -> Weights | None:
        """The weights, made anew where layers have changed; None where the input shape is not known."""
        if self._stale or self._weights is None:
            shapes = self._known_shapes()
            if shapes is None:
                return None
            network = self._network_for(shapes)
            self._weights = Weights(network, self.backend, self.seed, self._weights)
            for layer in network.layers:
                layer.settles()
            self._stale = False
        return self._weights

    @contextmanager
    def _building(self, network: Network) -> Iterator[None]:
        """Builds the model, if it is not; what then fails before the first step leaves it as it was."""
        new = self._present_weights() is None
        if new:
            self._fix_shapes(network.inputs)
        try:
            yield
        except BaseException:
            if new and not self._has_trained():
                self._unbuild()
            raise

    def _has_trained(self) -> bool:
        """Whether a step was made since the weights are there."""
        return False

    def _unbuild(self) -> None:
        weights, self._weights, self._stale = self._weights, None, True
        for layer in weights.network.layers if weights is not None else ():
            if weights is not None and id(layer) in weights.brought:
                layer.brings(weights.brought[id(layer)], [slot.name for slot in weights.slots_of(layer)])
        self._fix_shapes(None)
        self._forget_training()

    def _layer_names(self) -> dict[int, str]:
        """The name of each layer by the identity of the object."""
        if self._names is None:
            layers = list({id(layer): layer for layer in self.layers}.values())
            names = Network.chain(layers, (), self.label).names
            self._names = {id(layer): name for layer, name in zip(layers, names, strict=True)}
        return self._names

    def _changed(self) -> None:
        """Layers came, went or were changed."""
        self._names, self._stale = None, True
        self._forget_training()

    def _exchange(self, layer: Layer, change: Callable[[], None], attribute: str) -> None:
        """Makes a change of a layer that leaves the weights' shapes as they are, or raises OptionError."""
        shapes = self._known_shapes() if attribute not in ("trainable", "name") else None
        before = None if shapes is None else _weight_shapes(self._network_for(shapes))
        change()
        self._names = None
        if attribute == "name":
            self._layer_names()
        if shapes is not None and _weight_shapes(self._network_for(shapes)) != before:
            raise OptionError(f"Layer '{layer.name}' would have other weights then: make a new model.")
        self._changed()

    # -- weights ----------------------------------------------------------------------------------

    def get_weights(self) -> list[Any]:
        """Copies of all weights as NumPy arrays, layer by layer."""
        return self._settled().get()

    @property
    def weights(self) -> list[Any]:
        """All weights, layer by layer: read-only copies as NumPy arrays."""
        return [w for layer in self._own_layers() for w in layer.weights]

    @property
    def trainable_weights(self) -> list[Any]:
        """The weights that training moves: read-only copies."""
        return [w for layer in self._own_layers() for w in layer.trainable_weights]

    @property
    def non_trainable_weights(self) -> list[Any]:
        """The weights that training does not move: read-only copies."""
        return [w for layer in self._own_layers() for w in layer.non_trainable_weights]

    def _own_layers(self) -> tuple[Layer, ...]:
        return self.network.layers

    def as_function(self) -> tuple[Callable[[Any, Any], Any], dict[str, Any]]:
        """``(f, w)``: the pure function f(w, x) that this model is, and its trained weights by name.

        ``f`` computes the output for a batch ``x`` (a list of arrays for several inputs) as in prediction
        (without dropout and noise) from a dict like ``w``, or from one vector of all of them; both it and
        ``w`` are independent of the model from then on. So :func:`nnx.minimize` and
        :func:`nnx.least_squares` train what ``fit`` cannot say (a differential equation, a constraint, one
        model for two sets of data), and ``set_weights`` takes what they found. Where the arrays of the dict
        are n copies of the weights, (n, *shape), the i-th belongs to sample i, as
        :func:`nnx.per_sample_jacobian` with ``stacked=True`` asks for; layers of your own must allow for that
        in ``forward``.

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
        program, slots = weights.program, weights.params

        def f(w: Any, x: Any) -> Any:
            pieces = layout.pick(w) if isinstance(w, Mapping) else layout.views(w)
            xs = tuple(x) if isinstance(x, list | tuple) else (x,)
            return program.run(slots(pieces, others), xs, Context()).outputs[0]

        return f, dict(zip(layout.names, layout.views(trained), strict=True))

    def set_weights(self, weights: Any) -> None:
        """Puts the given arrays, in the order of :meth:`get_weights`, in place of the weights.

        ``weights`` may also be a dict of the trained ones by name, as :meth:`as_function` gives.
        Raises :class:`nnx.errors.ShapeError` if number, names or shapes do not fit; then nothing is changed.
        """
        own = self._settled()
        if isinstance(weights, Mapping):
            own.set_named(weights)
        else:
            own.set(weights)


def _sample(shape: Any) -> Shape:
    """``shape`` as one sample's; a leading None for the batch axis goes."""
    if isinstance(shape, Sequence) and not isinstance(shape, str) and shape and shape[0] is None:
        shape = shape[1:]
    found: Any = SHAPE("build", "input_shape", shape)
    return found


def _weight_shapes(network: Network) -> list[list[tuple[str, Shape]]]:
    return [[(weight.name, weight.shape) for weight in spec.weights] for spec in network.specs]
