"""Models that know how they are trained: the optimizer, the loss, and the trainer that holds their state."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

from nnx import optimizers
from nnx.backend import to_numpy
from nnx.errors import NotBuilt, OptionError
from nnx.layers import Layer
from nnx.models import backups, files, formats
from nnx.models.arguments import explained
from nnx.models.drawing import Drawn
from nnx.models.epochs import Epochs
from nnx.models.goals import Goal, Wishes, reports_of, wishes
from nnx.models.live_optimizer import LiveOptimizer
from nnx.models.network import Network
from nnx.models.objective import Objective
from nnx.models.trainer import Trainer
from nnx.options import truth

T = TypeVar("T")


class Compiled(Drawn):
    """A structure with an optimizer, a loss and metrics; and what of it is saved and copied."""

    def __init__(self, inputs: Any = None, outputs: Any = None, **options: Any) -> None:
        super().__init__(inputs, outputs, **options)
        self._optimizer: Any = None
        self._wishes: Wishes | None = None
        self._trainer: Trainer | None = None
        self._epochs = Epochs(self.seed)

    # -- compiling --------------------------------------------------------------------------------

    @explained
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
    ) -> None:
        """Says how to train: names (``"adam"``, ``"mse"``), configured objects, or functions.

        Of a model with several outputs ``loss`` is one for all of them, a list with one for each, or a dict
        by their names; None for an output that is not trained. What is minimised is the sum of the losses,
        each times its number in ``loss_weights`` (a list or a dict; 1 without it). ``metrics`` and
        ``weighted_metrics`` are then lists of lists, or dicts. What is reported is called as in Keras:
        ``loss``, ``a_loss``, ``b_loss``, ``a_accuracy``, ...

        The optimizer's state starts anew; the weights stay. Raises :class:`nnx.errors.UnknownName` with the
        nearest names for what does not exist, :class:`nnx.errors.OptionError` for what is no optimizer, loss
        or list of metrics.

        >>> model = nnx.Sequential([nnx.layers.Dense(3, "softmax", input_shape=(4,))])
        >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        >>> model.compile(nnx.optimizers.LevenbergMarquardt(), nnx.losses.MeanSquaredError())
        >>> x = nnx.Input((4,))
        >>> model = nnx.Model(x, {"size": nnx.layers.Dense(1)(x), "kind": nnx.layers.Dense(3, "softmax")(x)})
        >>> losses = {"size": "mse", "kind": "sparse_categorical_crossentropy"}
        >>> model.compile("adam", losses, loss_weights={"size": 0.1}, metrics={"kind": ["accuracy"]})
        >>> model.metrics_names
        ['loss', 'size_loss', 'kind_loss', 'kind_accuracy']
        """
        told = wishes(loss, loss_weights, metrics, weighted_metrics)
        chosen = optimizers.get(getattr(optimizer, "configured", optimizer))
        if not (hasattr(chosen, "init") and hasattr(chosen, "step")):
            raise OptionError(
                f"optimizer must be a name or an optimizer of nnx.optimizers, got {optimizer!r}."
            )
        if (names := self._known_outputs()) is not None:
            told.goals(names)
        self._optimizer, self._wishes = chosen, told
        self._forget_training()

    def _forget_training(self) -> None:
        vars(self).pop("_objective", None)
        if self._trainer is not None:
            self._trainer.retired = (
                f"Model '{self.name}' was compiled, or its layers were changed, while it was trained (by a "
                "callback?). Do so before fit or after it; a callback can set model.learning_rate."
            )
        self._trainer = None

    def _must_be_compiled(self) -> Wishes:
        if self._wishes is None:
            raise NotBuilt(
                f"Model '{self.name}' is not compiled: call model.compile(optimizer=..., loss=...) first, "
                "so that it knows what to minimise."
            )
        return self._wishes

    def _goals_for(self, network: Network) -> tuple[Goal, ...]:
        """What the outputs of the model's network, or of the one that it will have, are trained for."""
        return self._must_be_compiled().goals(network.output_names)

    @property
    def optimizer(self) -> Any:
        """The optimizer, with its present learning rate and number of steps; None before ``compile``."""
        if self._optimizer is None:
            return None
        return LiveOptimizer(self._optimizer, self._present_trainer, self._configure)

    def _configure(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        self._forget_training()

    @property
    def learning_rate(self) -> float:
        """The optimizer's learning rate now; assign to change it, if no schedule says it.

        A number ≥ 0. Raises :class:`nnx.errors.NotBuilt` before ``compile`` and before the input shape is
        known, :class:`nnx.errors.OptionError` for methods that have none.

        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
        >>> model.compile("sgd", "mse")
        >>> model.learning_rate = 0.05
        >>> model.learning_rate
        0.05
        """
        return self.trainer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self.trainer.learning_rate = value

    @property
    def gradient_vector(self) -> Any:
        """The gradient of the last training step, or None before the first.

        It has the shape of :attr:`weights_vector`.

        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
        >>> model.compile("sgd", "mse")
        >>> model.gradient_vector is None
        True
        >>> _ = model.train_on_batch(np.ones((4, 2)), np.ones(4))
        >>> model.gradient_vector.shape
        (3,)
        """
        return None if self._trainer is None else self._trainer.gradient

    @property
    def metrics_names(self) -> list[str]:
        """What ``evaluate`` returns, in order."""
        told, names = self._must_be_compiled(), self._known_outputs()
        if names is None:
            if not told.of_one:
                self._settled()  # which says what is not known yet
            names = ("output",)
        return ["loss", *(report.name for report in reports_of(told.goals(names)))]

    @cached_property
    def _objective(self) -> Objective:
        weights = self._settled()
        return Objective(weights.program, self._goals_for(weights.network))

    @property
    def trainer(self) -> Trainer:
        """The weights in training, with problem and optimizer's state; NotBuilt before there are any."""
        self._must_be_compiled()
        weights = self._settled()
        if self._trainer is None:
            self._trainer = Trainer(weights, self._objective, self._optimizer, self.seed)
        return self._trainer

    def _present_trainer(self) -> Trainer | None:
        return self.trainer if self.built else None

    def _has_trained(self) -> bool:
        return self._trainer is not None and self._trainer.state.step > 0

    # -- saving -----------------------------------------------------------------------------------

    def save(self, path: Any) -> None:
        """Writes layers, weights, loss, metrics and the optimizer with its state into one safetensors file.

        ``nnx.load_model(path)`` goes on training bit for bit. The file is replaced at once or not at all.
        A name that ends in ``.keras`` makes it a file that Keras 3 opens too.

        Raises :class:`nnx.errors.OptionError` for the suffix of another format and for parts that are not
        registered, :class:`nnx.errors.NotBuilt` before the weights exist, ``OSError`` where the file cannot
        be written.

        >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))])
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.safetensors")
        ...     nnx.load_model(f"{folder}/model.safetensors").output_shape
        (None, 2)
        """
        if (kind := formats.foreign(path)) is not None:
            kind.save(self, path)
            return
        formats.check_own(path)
        more = {"seed": self.seed, "dtype": self.backend.dtype, "epochs_seen": self._epochs.seen}
        config = {**self.get_config(), **more}
        files.save_model(path, config, self._settled(), self.training_config(), self._trainer)

    def check_save(self, path: Any, weights_only: bool = False) -> None:
        """Raises what :meth:`save` (or :meth:`save_weights`) to ``path`` would raise; nothing is written."""
        weights_only = truth("check_save", "weights_only", weights_only)
        if (kind := formats.foreign(path)) is not None:
            kind.check(path, weights_only)
        else:
            formats.check_own(path)
        if not weights_only:
            self.get_config()
            self.training_config()

    def save_weights(self, path: Any) -> None:
        """Writes the weights alone; a name that ends in ``.weights.h5`` makes it a file that Keras reads.

        Raises as :meth:`save` does.

        >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))])
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save_weights(f"{folder}/weights.safetensors")
        ...     model.load_weights(f"{folder}/weights.safetensors")
        """
        if (kind := formats.foreign(path)) is not None:
            kind.save_weights(self, path)
        else:
            files.save_weights(path, self._settled())

    def load_weights(self, path: Any, by_name: bool = False, skip_mismatch: bool = False) -> None:
        """Reads weights that :meth:`save_weights`, or ``save`` of a model, wrote for the same layers.

        The suffix says what the file is: Keras' ``.weights.h5``, ``.keras`` and ``.h5``, else safetensors.
        With ``by_name`` a layer takes the weights of the file's layer of its name, and layers without one
        keep theirs; with ``skip_mismatch`` a layer whose weights do not fit keeps its own.

        Raises :class:`nnx.errors.ShapeError` for weights of other names or shapes,
        :class:`nnx.errors.FileFormatError` for a file of another format or that is damaged; then nothing is
        changed.

        >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))])
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save_weights(f"{folder}/weights.safetensors")
        ...     nnx.models.clone_model(model).load_weights(f"{folder}/weights.safetensors")
        """
        by_name = truth("load_weights", "by_name", by_name)
        skip_mismatch = truth("load_weights", "skip_mismatch", skip_mismatch)
        if (kind := formats.foreign(path)) is not None:
            kind.load_weights(self, path, by_name, skip_mismatch)
        else:
            files.load_weights(path, self._settled(), by_name, skip_mismatch)

    def restore_training(self, vectors: Mapping[str, Any], numbers: Mapping[str, Any]) -> None:
        """Puts the optimizer's state of a file in place of the present one."""
        self.trainer.resume(self.trainer.restored(vectors, numbers))

    def save_training(self, path: Any, notes: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Writes what training needs to go on bit for bit, with ``notes`` (as JSON has them) and ``arrays``.

        These are the weights, the optimizer's state, the seed and the number of epochs seen; not the layers:
        nothing need be registered, and :meth:`load_training` of the same model reads it.
        """
        averaged = self.trainer.show_average(False)
        try:
            backups.save(path, self.trainer, self._epochs, notes, arrays)
        finally:
            self.trainer.show_average(averaged)

    def load_training(self, path: Any, accept: Callable[[Mapping[str, Any], Mapping[str, Any]], T]) -> T:
        """What ``accept(notes, arrays)`` makes of a file of :meth:`save_training`; the model is as it was.

        An error, of ``accept`` too, leaves the model unchanged: :class:`nnx.errors.OptionError` for the file
        of another model or optimizer, :class:`nnx.errors.FileFormatError` for a damaged one.
        """
        found = backups.load(path, self.trainer)
        answer = accept(found.notes, found.arrays)
        backups.resume(found, self.trainer, self._epochs)
        self.seed = found.seed
        return answer

    def count_epochs(self, seen: int) -> None:
        """Says how many epochs were made, ``seen`` ≥ 0: where the shuffles go on."""
        self._epochs.seen = seen

    def training_config(self) -> dict[str, Any] | None:
        """How the model is trained, as files hold it; None before ``compile``."""
        if self._wishes is None:
            return None
        return files.compiled_config(self._optimizer, self._goals_for(self.network))

    # -- copying ----------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """What copy and pickle take: copies of the layers with their weights, and the optimizer's memory."""
        trainer, memory = self._trainer, None
        if trainer is not None:
            on_host = {name: to_numpy(vector) for name, vector in trainer.state.vectors().items()}
            memory = on_host, trainer.state.numbers()
        copies = {id(layer): layer.duplicate() for layer in self.layers}
        left_out = ("_weights", "_residents", "_trainer", "_objective", "_names", "_symbols")
        state = {name: _copied(value, copies) for name, value in vars(self).items() if name not in left_out}
        return state | {"_epochs": copy.copy(self._epochs), "_built": self.built, "_memory": memory}

    def __setstate__(self, state: dict[str, Any]) -> None:
        built, memory = state.pop("_built"), state.pop("_memory")
        vars(self).update(state, _trainer=None)
        self._start()
        for layer in self.layers:
            self._residents.admit(layer)
        if built:
            self._settled()
        if memory is not None:
            self.restore_training(*memory)


def _copied(value: Any, copies: Mapping[int, Layer]) -> Any:
    """An attribute of a model with the copies of its layers in their place."""
    if isinstance(value, list | tuple):
        return type(value)(_copied(part, copies) for part in value)
    if isinstance(value, dict):
        return {key: _copied(part, copies) for key, part in value.items()}
    if isinstance(value, Network):
        return replace(value, layers=_copied(value.layers, copies))
    return copies.get(id(value), value) if isinstance(value, Layer) else value
