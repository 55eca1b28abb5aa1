"""Models that know how they are trained: the optimizer, the loss, and the trainer that holds their state."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from nnx import optimizers
from nnx.errors import NotBuilt, OptionError
from nnx.models.arguments import explained
from nnx.models.drawing import Drawn
from nnx.models.epochs import Epochs
from nnx.models.evaluation import Evaluation
from nnx.models.goals import Goal, Wishes, reports_of, wishes
from nnx.models.live_optimizer import LiveOptimizer
from nnx.models.network import Network
from nnx.models.objective import Objective
from nnx.models.recomputed import check_recompute, recomputed
from nnx.models.trainer import Trainer


class Compiled(Drawn):
    """A structure with an optimizer, a loss and metrics."""

    def __init__(self, inputs: Any = None, outputs: Any = None, **options: Any) -> None:
        super().__init__(inputs, outputs, **options)
        self._optimizer: Any = None
        self._wishes: Wishes | None = None
        self._recompute: Any = None
        self._trainer: Trainer | None = None
        self._epochs = Epochs(self.seed)

    @explained
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        *,
        recompute: Any = None,
    ) -> None:
        """Says how to train: names (``"adam"``, ``"mse"``), configured objects, or functions.

        Of a model with several outputs ``loss`` is one for all of them, a list with one for each, or a dict
        by their names; None for an output that is not trained. What is minimised is the sum of the losses,
        each times its number in ``loss_weights`` (a list or a dict; 1 without it). ``metrics`` and
        ``weighted_metrics`` are then lists of lists, or dicts. What is reported is called as in Keras:
        ``loss``, ``a_loss``, ``b_loss``, ``a_accuracy``, ...

        ``recompute`` saves memory for time: in training, the model is cut into so many pieces (a whole number
        ≥ 2; they give about equally many numbers), or after the layers of these names (a list). The values
        inside of all pieces but the last are not kept for the way back, but computed again: one more pass
        forward, by the same operations with the same dropout. So the numbers are the same, but for the last
        bit of a gradient to which more than two places contribute, some of them inside of one piece: it is
        added up in another order. It is not saved with the model. The rows of the Jacobian
        (Levenberg–Marquardt) are computed as without it.

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
        self._recompute = check_recompute(recompute)
        self._optimizer, self._wishes = chosen, told
        self._forget_training()

    def _forget_training(self) -> None:
        for made in ("_objective", "_evaluation"):
            vars(self).pop(made, None)
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
        return Objective(recomputed(weights.program, self._recompute), self._goals_for(weights.network))

    @cached_property
    def _evaluation(self) -> Evaluation:
        return Evaluation(self._objective, self._settled())

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
