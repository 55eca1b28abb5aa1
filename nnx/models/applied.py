"""Models on data: outputs, loss and metrics, and calls on arrays and symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from nnx.callbacks import CallbackList
from nnx.errors import OptionError, ShapeError
from nnx.layers import Context, Symbol
from nnx.models.arguments import (
    batch_length,
    explained,
    stream_of,
    targets,
    verbosity,
    weighted,
    whole_number,
)
from nnx.models.data import Batches, Examples, fit_inputs, inputs, with_targets
from nnx.models.evaluation import Totals, evaluate, predict
from nnx.models.graph import inlined
from nnx.models.kept import Kept
from nnx.models.network import Network
from nnx.models.objective import Batch
from nnx.models.pieces import Pieces, Stream
from nnx.models.sources import Source, rationed
from nnx.options import truth

_EVALUATION_BATCH = 256


class Applied(Kept):
    """A compiled model that is applied to data."""

    def __init__(self, inputs: Any = None, outputs: Any = None, **options: Any) -> None:
        super().__init__(inputs, outputs, **options)
        #: how often it was called with random numbers of its own
        self._calls = 0

    @explained
    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Sequence[Any] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """``[loss, metric, ...]`` over the given data (a number if there are no metrics, or a dict).

        Of several outputs with losses each one's own comes after their weighted sum: see ``metrics_names``.
        ``x`` may come in pieces, as in :meth:`nnx.Model.fit`; ``steps`` (≥ 1) is the number of batches that
        are taken, None: all.
        ``batch_size``: a whole number ≥ 1, or None for 256; it does not change the result beyond rounding.
        Raises :class:`nnx.errors.NotBuilt` before ``compile``, :class:`nnx.errors.ShapeError`,
        :class:`nnx.errors.DataError` and :class:`nnx.errors.OptionError` for what does not fit.

        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
        >>> model.compile("sgd", "mse")
        >>> model.evaluate(np.zeros((4, 2)), np.ones(4), verbose=0)
        1.0
        >>> model.evaluate(np.zeros((4, 2)), np.ones(4), verbose=0, return_dict=True)
        {'loss': 1.0}
        """
        self._must_be_compiled()
        level, _ = verbosity(verbose), self._settled()
        as_dict = truth("evaluate", "return_dict", return_dict)
        stream = stream_of("evaluate", x, y=y, batch_size=batch_size, sample_weight=sample_weight)
        if stream is not None:
            x, y, sample_weight = stream.first
        data, network = self._examples(x, targets(y), sample_weight)
        size = batch_length("evaluate", "batch_size", batch_size, _EVALUATION_BATCH, data.size)
        batches = self._source(stream, data, size, network, steps=("evaluate", "steps", steps))
        told = CallbackList(callbacks, False, level > 0, self, epochs=1, steps=batches.steps, verbose=level)
        with closing(told):
            result = evaluate(self._evaluation, batches, self._totals(), told)
        return self._answer(result, as_dict)

    @explained
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """``[loss, metric, ...]`` of one batch, however large.

        Takes and raises what :meth:`evaluate` does.

        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
        >>> model.compile("sgd", "mse")
        >>> model.test_on_batch(np.zeros((4, 2)), np.ones(4))
        1.0
        """
        return self.evaluate(
            x, y, batch_size=2**62, verbose=0, sample_weight=sample_weight, return_dict=return_dict
        )

    @explained
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = 0,
        steps: int | None = None,
        callbacks: Sequence[Any] | None = None,
    ) -> Any:
        """The outputs for ``x``, as an array of the library that ``x`` belongs to.

        It is a list of several outputs, or a dict where the model was made with one.
        ``x`` may come in pieces, as in :meth:`nnx.Model.fit`; ``steps`` (≥ 1) is the number of batches that
        are taken, None: all.
        Shapes: ``(n, *input_shape) → (n, *output_shape)``. ``batch_size``: a whole number ≥ 1, or None for
        256. Raises :class:`nnx.errors.NotBuilt` where the weights cannot be made yet,
        :class:`nnx.errors.ShapeError` and :class:`nnx.errors.OptionError` for what does not fit.

        >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))])
        >>> model.predict(np.zeros((4, 3))).shape
        (4, 2)
        """
        level = verbosity(verbose)
        stream = stream_of("predict", x, batch_size=batch_size)
        data, network = self._inputs(x if stream is None else stream.first[0])
        size = batch_length("predict", "batch_size", batch_size, _EVALUATION_BATCH, data.size)
        batches = self._source(stream, data, size, network, steps=("predict", "steps", steps))
        told = CallbackList(callbacks, False, level > 0, self, epochs=1, steps=batches.steps, verbose=level)
        with self._building(network), closing(told):
            return predict(self._settled(), batches, data.xs[0], told)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, however large.

        Takes and raises what :meth:`predict` does.

        >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))])
        >>> model.predict_on_batch(np.zeros((4, 3))).shape
        (4, 2)
        """
        return self.predict(x, batch_size=2**62)

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """The outputs for a batch, as a differentiable function of ``x`` (no checks, no batches).

        With ``training=True`` dropout and noise draw new random numbers in every call. On a symbol (or a
        list of them) it gives a symbol (or several, as it gives arrays): copies of its layers, with copies of
        its weights, become a part of the model that is drawn, so what this model learns afterwards, that one
        does not see. There
        ``training=False`` keeps dropout off and running statistics as they are, whatever the new model does.
        """
        xs = self._called_on(x)
        if any(isinstance(one, Symbol) for one in xs):
            return inlined(self.network, xs, training)
        weights = self._settled()
        context = Context()
        if training:
            # Its own place in the stream: no step of training has it, and no other call.
            self._calls += 1
            context = Context(True, self.seed, -self._calls)
        return weights.network.answer(weights.program.run(weights.own_params, xs, context).outputs)

    def _called_on(self, x: Any) -> tuple[Any, ...]:
        """The arrays or symbols of a call, one for each input; the model is built for them if it is not."""
        names = self._input_names_for(x)
        if isinstance(x, Mapping):
            if set(map(str, x)) != set(names):
                raise ShapeError(f"{self.label} has the inputs {', '.join(names)}, got {', '.join(x)}.")
            xs = tuple(x[name] for name in names)
        else:
            xs = tuple(x) if isinstance(x, list | tuple) else (x,)
        if len(xs) != len(names):
            raise ShapeError(f"{self.label} takes {len(names)} inputs ({', '.join(names)}), got {len(xs)}.")
        drawn = [isinstance(one, Symbol) for one in xs]
        if any(drawn) and not all(drawn):
            raise OptionError(f"{self.label} was called on symbols and arrays together.")
        for one in xs:
            if not drawn[0] and not getattr(one, "shape", None):
                raise ShapeError(
                    f"{self.label} takes arrays with samples along the first axis, or symbols, got {one!r}."
                )
        shapes = [tuple(one.shape) if drawn[0] else tuple(one.shape[1:]) for one in xs]
        if drawn[0] or self._known_shapes() is None:
            self.build(shapes)
        return xs

    # -- parts of training ------------------------------------------------------------------------

    def _inputs(self, x: Any, of: str = "", network: Network | None = None) -> tuple[Examples, Network]:
        """The inputs in the network's shapes, and that network: ``network``, the model's, or one to be."""
        data = inputs(x, self._input_names_for(x), of)
        weights = self._present_weights()
        if network is None:
            shapes = tuple(tuple(x.shape[1:]) for x in data.xs)
            network = self._network_for(shapes) if weights is None else weights.network
        return fit_inputs(data, network), network

    def _examples(
        self, x: Any, y: Any, sample_weight: Any, of: str = "", network: Network | None = None
    ) -> tuple[Examples, Network]:
        """The data in the shapes that network and losses take, and that network."""
        data, network = self._inputs(x, of, network)
        return with_targets(data, y, sample_weight, network, self._goals_for(network)), network

    def _batches(self, data: Examples, size: int, network: Network) -> Batches:
        labels = [goal.takes_labels for goal in self._goals_for(network)] if data.ys else []
        return Batches(data, self.backend, size, labels)

    def _source(
        self,
        stream: Stream | None,
        data: Examples,
        size: int,
        network: Network,
        class_weight: Mapping[int, float] | None = None,
        *,
        steps: tuple[str, str, Any],
        epochs: int = 1,
        goes_on: bool = False,
    ) -> Source:
        """The batches of ``size`` of the data, or those of a stream, whose first piece the data are.

        ``steps`` are a method, its argument that says how many of them make an epoch, and what was given for
        it; there are ``epochs``, each of which ``goes_on`` where the last one ended, or begins anew.
        """
        asked = whole_number(*steps)
        if stream is None:
            return rationed(self._batches(data, size, network), asked, goes_on)
        if asked is None:
            stream.need_end(epochs, steps[1])

        def made(x: Any, y: Any, sample_weight: Any) -> Batch:
            if not data.ys:  # outputs alone are asked for
                piece, _ = self._inputs(x, stream.of, network)
            else:
                piece, _ = self._examples(x, targets(y, stream.of), sample_weight, stream.of, network)
            return self._batches(weighted(piece, class_weight), piece.size, network).whole()

        return rationed(Pieces(stream, made), asked, goes_on)

    def _totals(self) -> Totals:
        return Totals(self._objective, self.backend)

    def _answer(self, result: dict[str, float], return_dict: bool) -> Any:
        if return_dict:
            return result
        values = list(result.values())
        return values if len(values) > 1 else values[0]
