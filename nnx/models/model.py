"""The model: the one mutable object, with Keras' face over pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nnx import losses, optimizers
from nnx.backend import adapter_of, device_of, to_numpy
from nnx.callbacks import CallbackList, History, ProgressBar
from nnx.errors import NotBuilt, OptionError
from nnx.layers import Context
from nnx.models import loop, saving
from nnx.models.arguments import (
    named_metrics,
    split,
    targets,
    validation_examples,
    verbosity,
    with_early_stopping,
)
from nnx.models.data import Batches, Examples, examples, fit_shapes
from nnx.models.holder import Holder
from nnx.models.network import Network
from nnx.models.objective import Batch, BatchProblem, Objective
from nnx.models.whole import WholeProblem
from nnx.utils.arguments import whole_number

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
        """The optimizer's learning rate now; assign to change it."""
        self._must_be_compiled()
        self._prepare(self.network)
        return float(self.optimizer.rate(self._state))

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        before = self.learning_rate
        self._state.learning_rate = value
        try:
            self._state.learning_rate = float(self.optimizer.rate(self._state))
        except (OptionError, TypeError, ValueError):
            self._state.learning_rate = before
            raise

    # -- compiling ------------------------------------------------------------------------------

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
        if loss is None:
            raise OptionError(
                "compile needs a loss, for example loss='mse' or loss='categorical_crossentropy'."
            )
        chosen = optimizers.get(optimizer)
        if not (hasattr(chosen, "init") and hasattr(chosen, "step")):
            raise OptionError(
                f"optimizer must be a name or an optimizer of nnx.optimizers, got {optimizer!r}."
            )
        if not callable(losses.get(loss)):
            raise OptionError(f"loss must be a name, a loss of nnx.losses or a function, got {loss!r}.")
        compiled = {
            "loss": losses.get(loss),
            "metrics": named_metrics(metrics, "metrics"),
            "weighted_metrics": named_metrics(weighted_metrics, "weighted_metrics"),
        }
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
    ) -> History:
        """The history of training on ``x`` (samples first) and ``y``: ``history.history["loss"]``, ...

        Arguments are Keras'. ``verbose``: 0 silent, 1 (and "auto") a progress bar, 2 a line for each epoch.
        Everything is checked before anything is changed; an error or Ctrl-C during training leaves the
        weights of the last good step. Raises :class:`nnx.errors.NonFiniteError` when the loss becomes NaN or
        infinite (callback ``TerminateOnNaN`` stops quietly instead).

        Methods that compare costs from step to step (BFGS, Levenberg–Marquardt, ...) take all samples as one
        batch, so an epoch is one iteration. The history then also holds ``gradient_norm``, ``step``,
        ``evaluations`` and what else the method measures (``mu``); the loss is that after the step. Their
        stopping rules end training; with validation data also ``max_fail`` epochs without a better validation
        loss (6, as in MATLAB), which puts the best weights back. ``history.reason`` says which rule did.
        """
        loss = self._must_be_compiled()["loss"]
        whole_number("fit", "epochs", epochs, 0)
        whole_number("fit", "initial_epoch", initial_epoch, 0)
        level = verbosity(verbose)
        data = examples(x, targets(y), sample_weight, class_weight)
        validation = validation_examples(validation_data)
        if validation is None and validation_split:
            data, validation = split(data, validation_split)
        network = self._network or self._make_network(tuple(data.x.shape[1:]))
        data = fit_shapes(data, network, loss)
        if validation is not None:
            validation = fit_shapes(validation, network, loss)
        size = self._batch_size(batch_size, data, training=True)
        if validation is not None:
            callbacks = with_early_stopping(callbacks, getattr(self.optimizer, "max_fail", None), level)
        run = CallbackList(callbacks, self, epochs=epochs, steps=math.ceil(data.size / size), verbose=level)
        self._prepare(network)
        self.stop_training = False
        self.history = run.history
        held = None if validation is None else self._batches(validation, size)
        loop.train(self, self._batches(data, size), held, run, range(initial_epoch, epochs), shuffle)
        self._finish()
        return run.history

    def partial_fit(self, x: Any, y: Any, sample_weight: Any = None, batch_size: int | None = None) -> Model:
        """The model itself, after one pass over new examples in the order given: online learning.

        The optimizer's state goes on from call to call, so examples may arrive one by one.
        """
        self.fit(x, y, batch_size=batch_size, verbose=0, shuffle=False, sample_weight=sample_weight)
        return self

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss (and metrics) of one batch before the step of the optimizer that it is used for."""
        loss = self._must_be_compiled()["loss"]
        data = examples(x, targets(y), sample_weight, class_weight)
        network = self._network or self._make_network(tuple(data.x.shape[1:]))
        data = fit_shapes(data, network, loss)
        self._prepare(network)
        problem = self._problem()
        batch = next(self._batches(data, data.size).in_order())
        point = self._step_on(problem, batch).point
        totals = self._totals()
        totals.add(point.value, batch.size, point.statistics)
        return self._answer(dict(totals), return_dict)

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
        size = self._batch_size(batch_size or min(_EVALUATION_BATCH, data.size), data)
        batches = self._batches(data, size)
        with ProgressBar.over(len(batches), "evaluate", shown=level == 1) as bar:
            result = loop.evaluate(self, batches, bar)
        return self._answer(result, return_dict)

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = 0) -> Any:
        """The outputs for ``x``, as an array of the library that ``x`` belongs to.

        >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))])
        >>> model.predict(np.zeros((4, 3))).shape
        (4, 2)
        """
        data = examples(x)
        network = self._network or self._make_network(tuple(data.x.shape[1:]))
        data = fit_shapes(data, network)
        if self._network is None:
            self._adopt(network)
        size = self._batch_size(batch_size or min(_EVALUATION_BATCH, data.size), data)
        trained, fixed = self._pieces()
        home, out, start = adapter_of(data.x), None, 0
        with ProgressBar.over(math.ceil(data.size / size), "predict", shown=verbosity(verbose) == 1) as bar:
            for batch in self._batches(data, size).in_order():
                y = network.apply(trained, fixed, batch.x, Context())
                y = y if home is self.backend.adapter else home.asarray(to_numpy(y), device=device_of(data.x))
                if batch.size == data.size:
                    return y
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

    def save_weights(self, path: Any) -> None:
        """Writes the weights alone."""
        saving.save_weights(self, path)

    def load_weights(self, path: Any) -> None:
        """Reads weights that :meth:`save_weights` or :meth:`save` wrote for the same layers."""
        saving.load_weights(self, path)

    # -- parts of training ----------------------------------------------------------------------

    def _prepare(self, network: Network) -> None:
        if self._network is None:
            self._adopt(network)
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

    def _finish(self) -> None:
        self._w = self.optimizer.finalize(self._w, self._state)

    def _totals(self) -> loop.Totals:
        return loop.Totals(
            self._objective, tuple(self.metrics_names[1:]), self.backend.adapter.reads_are_free
        )

    def _batches(self, data: Examples, size: int) -> Batches:
        labels = self._compiled is not None and self._compiled["loss"].facts.get("targets") == "indices"
        return Batches(data, self.backend, size, labels)

    def _batch_size(self, batch_size: int | None, data: Examples, training: bool = False) -> int:
        if training and self._needs_all_data:
            name = type(self.optimizer).__name__
            if batch_size is not None and batch_size < data.size:
                raise OptionError(
                    f"{name} compares gradients or costs from step to step, so it needs all {data.size} "
                    f"samples in one batch; got batch_size={batch_size}. Leave batch_size out."
                )
            return data.size
        return min(whole_number("fit", "batch_size", 32 if batch_size is None else batch_size, 1), data.size)

    @property
    def _needs_all_data(self) -> bool:
        name = type(self.optimizer).__name__
        if name in optimizers.registry and optimizers.registry.entry(name).facts.get("full_batch"):
            return True
        return isinstance(self.optimizer, optimizers.Deterministic)

    def _answer(self, result: dict[str, float], return_dict: bool) -> Any:
        if return_dict:
            return result
        values = list(result.values())
        return values if len(values) > 1 else values[0]
