"""The model: the one mutable object, with Keras' face over pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from nnx import optimizers
from nnx.callbacks import CallbackList, History
from nnx.models.applied import Applied
from nnx.models.arguments import (
    batch_length,
    example_for,
    explained,
    split,
    stream_of,
    targets,
    training_batch,
    validates,
    validation_parts,
    verbosity,
    weighted,
    with_early_stopping,
)
from nnx.models.compiling import compiled
from nnx.models.goals import reports_of
from nnx.models.guard import Guard
from nnx.models.heads import heads_of
from nnx.models.loop import Run
from nnx.models.sources import Source
from nnx.models.targets import warn_of_one_unit
from nnx.options import Number, truth

_EPOCHS = Number(least=0, whole=True)


class Model(Applied):
    """A network with its weights, loss and optimizer: what ``fit`` trains.

    ``Model(inputs, outputs)`` is the network between symbols: what :func:`nnx.Input` gives, and what layers
    give when they are called on it. A class derived from it may say ``call(self, x)`` instead: it is called
    once on symbols, when the model is built, and so says which layers there are and who reads whom.

    ``backend`` (``"numpy"``, ``"cupy"``, ...), ``device`` and ``dtype`` (``"float32"`` or ``"float64"``) say
    where the weights live; ``seed`` (a whole number from 0 to 2⁶⁴ − 1) makes weights, shuffles and dropout
    reproducible, on every array library the same.

    Shapes: ``(n, *input_shape) → (n, *output_shape)`` for n samples.
    Source: Keras' ``Model``; names and arguments are its own.

    >>> a, b = nnx.Input((3,), name="a"), nnx.Input((2,), name="b")
    >>> joined = nnx.layers.Concatenate()([nnx.layers.Dense(4, "tanh")(a), b])
    >>> model = nnx.Model([a, b], nnx.layers.Dense(1)(joined))
    >>> model.predict({"a": np.ones((5, 3)), "b": np.ones((5, 2))}).shape
    (5, 1)
    >>> model.input_shape, model.output_shape, model.input_names, model.built
    ([(None, 3), (None, 2)], (None, 1), ('a', 'b'), True)
    >>> model.count_params(), model.weights_vector.shape, [w.shape for w in model.weights]
    (23, (23,), [(3, 4), (4,), (6, 1), (1,)])
    >>> len(model.trainable_weights), len(model.non_trainable_weights), model.trainable
    (4, 0, True)
    >>> model.compile(nnx.optimizers.SGD(0.1), "mse", metrics=["mae"])
    >>> model.metrics_names, model.learning_rate, model.optimizer.iterations
    (['loss', 'mae'], 0.1, 0)
    >>> len(model.inputs), model.outputs[0].shape, model.output_names
    (2, (1,), ['dense_1'])
    """

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, **options: Any
    ) -> None:
        super().__init__(inputs, outputs, name=name, **options)
        self.stop_training = False
        self.history: History | None = None

    # -- training ---------------------------------------------------------------------------------

    @property
    def step_plan(self) -> str:
        """How a training step computes cost and gradient, as text: its program, or why there is none.

        After twenty steps with batches of one shape the calls on raw arrays are written down, and from then
        on only these are made: the same bits, without Python's way through layers and tapes. Steps of layers,
        losses or metrics of your own are computed as they are. See :func:`nnx.jit`.

        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))], backend="numpy")
        >>> model.compile("sgd", "mse")
        >>> _ = model.fit(np.ones((64, 2)), np.ones((64, 1)), batch_size=32, epochs=15, verbose=0)
        >>> print(model.step_plan.splitlines()[9])
            v14: float32[32, 1] = v3.dot(v7)
        """
        return self.trainer.problem.plan_text

    @explained
    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Sequence[Any] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> History:
        """The history of training on ``x`` (samples first) and ``y``: ``history.history["loss"]``, ...

        Arguments are Keras'; ``x`` is an array, or a list or dict of arrays for a model of several inputs.
        Or ``x`` gives one batch after the other, ``(x, y)`` or ``(x, y, sample_weight)``: a generator, an
        iterable (a PyTorch DataLoader), an object with ``__len__`` and ``__getitem__`` (see
        :class:`nnx.utils.PyDataset`); so may ``validation_data``. An epoch is one pass over it, or
        ``steps_per_epoch`` (≥ 1) batches, which go on where the last epoch ended; ``validation_steps`` is the
        number of batches of each validation. Where data end within an epoch, training ends with a warning.
        ``shuffle`` gives the batches of objects with ``__getitem__`` a new order in each epoch; others come
        as they do.
        ``batch_size`` (None: 32), ``epochs`` and ``validation_batch_size`` are whole numbers ≥ 1;
        ``initial_epoch``, from 0, is the first; ``validation_split``, from 0 to below 1, is the share of the
        samples, the last ones, that is only validated on. ``verbose``: 0 silent, 1 (and "auto") a progress
        bar, 2 a line for each epoch. ``validation_freq``: validation after every so many epochs, or after
        those (from 1) of a list. ``class_weight`` and ``sample_weight`` together are multiplied (Keras takes
        one of them). Everything is checked before anything is changed: raises :class:`nnx.errors.ShapeError`,
        :class:`nnx.errors.DataError`, :class:`nnx.errors.OptionError` and :class:`nnx.errors.NotBuilt` for
        what does not fit. Raises :class:`nnx.errors.NonFiniteError` when the loss, the weights or the
        optimizer's state become NaN or infinite (callback ``TerminateOnNaN`` stops quietly instead). After an
        error or Ctrl-C the weights are finite: if a step made them NaN or infinite, those of the last check
        (NumPy: each step; else every 64 steps and each epoch's start) come back, and the optimizer's state is
        reset.

        Methods that compare costs from step to step (BFGS, Levenberg–Marquardt, ...) take all samples as one
        batch, so an epoch is one iteration. The history then also holds ``gradient_norm``, ``step``,
        ``evaluations`` and what else the method measures (``mu``); the loss is that after the step. Their
        stopping rules end training; with validation data also ``max_fail`` epochs without a better validation
        loss (6, as in MATLAB), which puts the best weights back. ``history.reason`` says which rule did.

        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(1,))], seed=0)
        >>> model.compile(nnx.optimizers.SGD(0.5), "mse")
        >>> x = np.asarray([[0.0], [1.0]])
        >>> record = model.fit(x, 2.0 * x + 1.0, epochs=200, verbose=0)
        >>> record.epoch[-1], record.history["loss"][-1] < 1e-6
        (199, True)
        >>> model.predict(np.asarray([[3.0]])).round(2)
        array([[7.]], dtype=float32)
        """
        self._must_be_compiled()
        _EPOCHS("fit", "epochs", epochs)
        _EPOCHS("fit", "initial_epoch", initial_epoch)
        level, shuffle = verbosity(verbose), truth("fit", "shuffle", shuffle)
        only = {"y": y, "batch_size": batch_size, "sample_weight": sample_weight}
        stream = stream_of("fit", x, **only, validation_split=validation_split or None)
        if stream is not None:
            x, y, sample_weight = stream.first
        data, network = self._examples(x, targets(y), sample_weight)
        goals, validation, held_stream = self._goals_for(network), None, None
        if validation_data is not None:
            parts, held_stream = validation_parts(validation_data)
            validation, _ = self._examples(*parts, of="validation ", network=network)
        elif validation_split:
            data, validation = split(data, validation_split)
        data = weighted(data, class_weight)
        program = self.own_weights().program if self.built else compiled(network)
        warn_of_one_unit(network, heads_of(program), [goal.loss for goal in goals])
        size = training_batch(self._optimizer, batch_size, data.size, stream is not None)
        when, planned, held = validates(validation_freq), range(initial_epoch, epochs), None
        steps = "fit", "steps_per_epoch", steps_per_epoch
        if validation is not None:
            at_once = batch_length(
                "fit", "validation_batch_size", validation_batch_size, size, validation.size
            )
            callbacks = with_early_stopping(callbacks, getattr(self._optimizer, "max_fail", None), level)
        batches = self._source(
            stream, data, size, network, class_weight, steps=steps, epochs=len(planned), goes_on=True
        )
        if validation is not None:
            steps, times = ("fit", "validation_steps", validation_steps), sum(map(when, planned))
            held = self._source(held_stream, validation, at_once, network, steps=steps, epochs=times)
        told = {"epochs": epochs, "steps": batches.steps, "verbose": level}
        run = CallbackList(callbacks, True, level > 0, self, **told)
        more = not isinstance(self._optimizer, optimizers.FirstOrder)
        reports = reports_of(goals)
        example = example_for(reports, data.ys, network.output_shapes)
        validated = validation is not None and any(map(when, planned))
        run.check(["loss", *(report.name for report in reports)], validated, more, example)
        with self._building(network):
            self.history = run.history
            self._run(batches, run, shuffle, held, when).train(planned)
        return run.history

    def _run(
        self,
        batches: Source,
        callbacks: CallbackList,
        shuffle: bool,
        validation: Source | None = None,
        when: Callable[[int], bool] = lambda epoch: True,
        average: bool = True,
    ) -> Run:
        trainer, epochs = self.trainer, self._epochs
        return Run(trainer, self._evaluation, batches, callbacks, epochs, shuffle, validation, when, average)

    @explained
    def partial_fit(self, x: Any, y: Any, sample_weight: Any = None, batch_size: int | None = None) -> Self:
        """The model itself, after one pass over new examples in the order given: online learning.

        The optimizer's state goes on from call to call, so examples may arrive one by one. With ``use_ema``
        it is the weights that go on: only ``fit`` puts the average in their place at its end.

        ``batch_size``: a whole number ≥ 1; None: 32. Methods on all data take all of these as one batch.
        Raises as :meth:`fit` does.

        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
        >>> model.compile("sgd", "mse")
        >>> for x, y in [([0.0, 1.0], 1.0), ([1.0, 0.0], 2.0)]:
        ...     _ = model.partial_fit(np.asarray([x]), np.asarray([y]))
        >>> model.optimizer.iterations
        2
        """
        self._must_be_compiled()
        data, network = self._examples(x, targets(y), sample_weight)
        size = training_batch(self._optimizer, batch_size, data.size)
        steps = math.ceil(data.size / size)
        callbacks = CallbackList(None, True, model=self, epochs=1, steps=steps, verbose=0)
        with self._building(network):
            self.history = callbacks.history
            self._run(self._batches(data, size, network), callbacks, shuffle=False, average=False).train(
                range(1)
            )
        return self

    @explained
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss (and metrics) of one batch before the step of the optimizer that it is used for.

        All samples given are the batch. A number, or ``[loss, metric, ...]``, or with ``return_dict`` a dict.
        Raises as :meth:`fit` does.

        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
        >>> model.compile("sgd", "mse")
        >>> model.train_on_batch(np.zeros((4, 2)), np.ones(4))
        1.0
        """
        self._must_be_compiled()
        as_dict = truth("train_on_batch", "return_dict", return_dict)
        data, network = self._examples(x, targets(y), sample_weight)
        data = weighted(data, class_weight)
        with self._building(network):
            batch = next(self._batches(data, data.size, network).epoch())
            trainer = self.trainer
            with Guard(trainer) as guard:
                point = trainer.step(batch, guard).point
                totals = self._totals()
                totals.add(point.value, batch.size, trainer.problem.statistics(point))
                guard.check(totals, now=True)
        return self._answer(dict(totals), as_dict)
