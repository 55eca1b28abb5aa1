"""The model: the one mutable object, with Keras' face over pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from nnx import optimizers
from nnx.backend import adapter_of, device_of, to_numpy
from nnx.callbacks import CallbackList, History, ProgressBar
from nnx.errors import NotBuilt, OptionError
from nnx.layers import Context
from nnx.models import loop, saving
from nnx.models.arguments import (
    batch_length,
    explained,
    goals,
    split,
    targets,
    training_batch,
    validation_examples,
    verbosity,
    weighted,
    with_early_stopping,
)
from nnx.models.data import Batches, Examples, examples, fit_shapes
from nnx.models.guard import Guard
from nnx.models.holder import Holder
from nnx.models.network import Network
from nnx.models.objective import Batch, BatchProblem, Objective
from nnx.models.whole import WholeProblem
from nnx.options import Number

_EVALUATION_BATCH = 256


class Model(Holder):
    """A network with its weights, loss and optimizer: what ``fit`` trains.

    ``backend`` (``"numpy"``, ``"cupy"``, ...), ``device`` and ``dtype`` (``"float32"`` or ``"float64"``) say
    where the weights live; ``seed`` makes weights, shuffles and dropout reproducible (on every array library
    the same).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.stop_training = False
        self.history: History | None = None
        self.optimizer: Any = None
        self._compiled: Mapping[str, Any] | None = None
        self._state: Any = None
        self._epochs_seen = 0
        self._kept_problem: BatchProblem | None = None
        self._gradient: Any = None

    @property
    def gradient_vector(self) -> Any:
        """The gradient of the last training step, or None before the first."""
        return self._gradient

    @property
    def learning_rate(self) -> float:
        """The optimizer's learning rate now; assign to change it, if no schedule says it."""
        self._must_be_compiled()
        self._prepare()
        return float(self.optimizer.rate(self._state))

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self.learning_rate  # noqa: B018 (an error where there is none)
        self._state.learning_rate = self.optimizer.constant_rate(value)

    # -- compiling ------------------------------------------------------------------------------

    @explained
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Sequence[Any] | None = None,
        weighted_metrics: Sequence[Any] | None = None,
    ) -> None:
        """Says how to train: names (``"adam"``, ``"mse"``), configured objects, or functions.

        The optimizer's state starts anew; the weights stay. Raises :class:`nnx.errors.UnknownName` with the
        nearest names for what does not exist.
        """
        compiled = goals(loss, metrics, weighted_metrics)
        chosen = optimizers.get(optimizer)
        if not (hasattr(chosen, "init") and hasattr(chosen, "step")):
            raise OptionError(
                f"optimizer must be a name or an optimizer of nnx.optimizers, got {optimizer!r}."
            )
        self.optimizer, self._compiled = chosen, compiled
        self._forget_training()

    def _forget_training(self) -> None:
        self._state = None
        self._kept_problem = None
        self._gradient = None

    def _must_be_compiled(self) -> Mapping[str, Any]:
        if self._compiled is None:
            raise NotBuilt(
                f"Model '{self.name}' is not compiled: call model.compile(optimizer=..., loss=...) first, "
                "so that it knows what to minimise."
            )
        return self._compiled

    @property
    def metrics_names(self) -> list[str]:
        """What ``evaluate`` returns, in order."""
        compiled = self._must_be_compiled()
        return ["loss", *(name for name, _ in (*compiled["metrics"], *compiled["weighted_metrics"]))]

    @property
    def _objective(self) -> Objective:
        return self._make_objective(self.network)

    def _make_objective(self, network: Network) -> Objective:
        c = self._must_be_compiled()
        plain, weighted = (tuple(m for _, m in c[k]) for k in ("metrics", "weighted_metrics"))
        return Objective(network, c["loss"], plain, weighted)

    # -- training -------------------------------------------------------------------------------

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
        *,
        validation_batch_size: int | None = None,
    ) -> History:
        """The history of training on ``x`` (samples first) and ``y``: ``history.history["loss"]``, ...

        Arguments are Keras'. ``verbose``: 0 silent, 1 (and "auto") a progress bar, 2 a line for each epoch.
        ``class_weight`` and ``sample_weight`` together are multiplied (Keras takes one of them).
        Everything is checked before anything is changed. Raises :class:`nnx.errors.NonFiniteError` when the
        loss, the weights or the optimizer's state become NaN or infinite (callback ``TerminateOnNaN`` stops
        quietly instead). After any error or Ctrl-C the weights are good: where a step had spoiled them, those
        of the last look (NumPy: each step; else every 64 steps and each epoch's start) are back, and the
        optimizer's state starts anew.

        Methods that compare costs from step to step (BFGS, Levenberg–Marquardt, ...) take all samples as one
        batch, so an epoch is one iteration. The history then also holds ``gradient_norm``, ``step``,
        ``evaluations`` and what else the method measures (``mu``); the loss is that after the step. Their
        stopping rules end training; with validation data also ``max_fail`` epochs without a better validation
        loss (6, as in MATLAB), which puts the best weights back. ``history.reason`` says which rule did.
        """
        loss = self._must_be_compiled()["loss"]
        Number(least=0, whole=True)("fit", "epochs", epochs)
        Number(least=0, whole=True)("fit", "initial_epoch", initial_epoch)
        level = verbosity(verbose)
        if shuffle not in (True, False):
            raise OptionError(f"fit: shuffle must be True or False, got {shuffle!r}.")
        data = examples(x, targets(y), sample_weight)
        validation = validation_examples(validation_data)
        if validation is None and validation_split:
            data, validation = split(data, validation_split)
        data = weighted(data, class_weight)
        network = self._network or self._make_network(tuple(data.x.shape[1:]))
        data = fit_shapes(data, network, loss)
        if validation is not None:
            validation = fit_shapes(validation, network, loss)
        size, held = training_batch(self.optimizer, batch_size, data.size), None
        if validation is not None:
            at_once = batch_length(
                "fit", "validation_batch_size", validation_batch_size, size, validation.size
            )
            held = self._batches(validation, at_once)
            callbacks = with_early_stopping(callbacks, getattr(self.optimizer, "max_fail", None), level)
        run = CallbackList(callbacks, self, epochs=epochs, steps=math.ceil(data.size / size), verbose=level)
        more = not isinstance(self.optimizer, optimizers.FirstOrder)
        run.check(self.metrics_names, validation is not None, more)
        with self._building(network):
            loop.train(self, self._batches(data, size), held, run, range(initial_epoch, epochs), shuffle)
        return run.history

    @explained
    def partial_fit(self, x: Any, y: Any, sample_weight: Any = None, batch_size: int | None = None) -> Model:
        """The model itself, after one pass over new examples in the order given: online learning.

        The optimizer's state goes on from call to call, so examples may arrive one by one. With ``use_ema``
        it is the weights that go on: only ``fit`` puts the average in their place at its end.
        """
        data, network = self._training_data(x, y, sample_weight)
        size = training_batch(self.optimizer, batch_size, data.size)
        run = CallbackList(None, self, epochs=1, steps=math.ceil(data.size / size))
        with self._building(network):
            loop.train(self, self._batches(data, size), None, run, range(1), shuffle=False, average=False)
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
        """The loss (and metrics) of one batch before the step of the optimizer that it is used for."""
        data, network = self._training_data(x, y, sample_weight, class_weight)
        batch = next(self._batches(data, data.size).in_order())
        with self._building(network):
            self._prepare()
            with Guard(self, self._problem()) as guard:
                point = guard.step(batch).point
                totals = loop.Totals(self)
                totals.add(point.value, batch.size, point.statistics)
                guard.look(totals, now=True)
        return self._answer(dict(totals), return_dict)

    @explained
    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """``[loss, metric, ...]`` over the given data (a number if there are no metrics, or a dict)."""
        loss = self._must_be_compiled()["loss"]
        level = verbosity(verbose)
        data = fit_shapes(examples(x, targets(y), sample_weight), self.network, loss)
        size = batch_length("evaluate", "batch_size", batch_size, _EVALUATION_BATCH, data.size)
        batches = self._batches(data, size)
        with ProgressBar.over(len(batches), "evaluate", shown=level == 1) as bar:
            result = loop.evaluate(self, batches, bar)
        return self._answer(result, return_dict)

    @explained
    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = 0) -> Any:
        """The outputs for ``x``, as an array of the library that ``x`` belongs to.

        >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))])
        >>> model.predict(np.zeros((4, 3))).shape
        (4, 2)
        """
        data = examples(x)
        network = self._network or self._make_network(tuple(data.x.shape[1:]))
        data = fit_shapes(data, network)
        size = batch_length("predict", "batch_size", batch_size, _EVALUATION_BATCH, data.size)
        shown = verbosity(verbose) == 1
        home, out, start = adapter_of(data.x), None, 0
        with self._building(network), ProgressBar.over(math.ceil(data.size / size), "predict", shown) as bar:
            trained, fixed = self._pieces()
            for batch in self._batches(data, size).in_order():
                y = network.outputs(trained, fixed, batch.x)
                y = y if home is self.backend.adapter else home.asarray(to_numpy(y), device=device_of(data.x))
                if out is None:
                    out = home.xp.empty((data.size, *y.shape[1:]), dtype=y.dtype, device=device_of(data.x))
                out[start : start + batch.size, ...] = y
                start += batch.size
                bar.update()
        return out

    def __call__(self, x: Any, training: bool = False) -> Any:
        """The outputs for a batch, as a differentiable function of ``x`` (no checks, no batches)."""
        trained, fixed = self._pieces()
        steps = 0 if self._state is None else self._state.step
        return self.network.apply(trained, fixed, x, Context(training, self.seed, steps))

    # -- saving ---------------------------------------------------------------------------------

    def save(self, path: Any) -> None:
        """Writes layers, weights, loss, metrics and the optimizer with its state into one safetensors file.

        ``nnx.load_model(path)`` goes on training bit for bit. The file is replaced at once or not at all.
        """
        saving.save_model(self, path)

    def check_save(self, path: Any, weights_only: bool = False) -> None:
        """Raises what :meth:`save` (or :meth:`save_weights`) to ``path`` would raise; nothing is written."""
        saving.check(None if weights_only else self, path)

    # -- parts of training ----------------------------------------------------------------------

    @contextmanager
    def _building(self, network: Network) -> Iterator[None]:
        """Builds the model, if it is not; what then fails before the first step leaves it as it was."""
        new = self._network is None
        if new:
            self._adopt(network)
        try:
            yield
        except BaseException:
            if new and (self._state is None or self._state.step == 0):
                self._network = self._w = self._fixed = None
                self._forget_training()
            raise

    def _prepare(self) -> None:
        if self._state is None:
            self._state = self.optimizer.init(self._problem(), self._w)

    def _problem(self) -> BatchProblem:
        if self._kept_problem is None:
            kind = WholeProblem if isinstance(self.optimizer, optimizers.Deterministic) else BatchProblem
            self._kept_problem = kind(self._objective, self._w, self._fixed, self.backend.adapter, self.seed)
        return self._kept_problem

    def _step_on(self, problem: BatchProblem, batch: Batch) -> optimizers.Info:
        problem.show(batch, self._state.step)
        self._w, self._state, info = self.optimizer.step(problem, self._w, self._state)
        # Methods that compare costs know it at the point where they ended, however they computed it.
        self._gradient = (getattr(self._state, "point", None) or info.point).gradient
        for part, weight in self.network.constrained:
            xp = self.backend.xp
            piece = weight.constraint(xp.reshape(self._w[part], weight.shape))
            self._w[part] = xp.reshape(piece, (-1,))
        return info

    def _training_data(
        self, x: Any, y: Any, sample_weight: Any, class_weight: Any = None
    ) -> tuple[Examples, Network]:
        loss = self._must_be_compiled()["loss"]
        data = weighted(examples(x, targets(y), sample_weight), class_weight)
        network = self._network or self._make_network(tuple(data.x.shape[1:]))
        return fit_shapes(data, network, loss), network

    def _batches(self, data: Examples, size: int) -> Batches:
        labels = self._compiled is not None and self._compiled["loss"].traits.targets == "indices"
        return Batches(data, self.backend, size, labels)

    def _answer(self, result: dict[str, float], return_dict: bool) -> Any:
        if return_dict:
            return result
        values = list(result.values())
        return values if len(values) > 1 else values[0]
