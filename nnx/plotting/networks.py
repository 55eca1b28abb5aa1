"""What a network's gradient is like, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.backend import to_numpy
from nnx.errors import NonFiniteError, OptionError
from nnx.models import Model
from nnx.models.arguments import targets
from nnx.models.batch_problem import BatchProblem
from nnx.models.data import Batches, fit_inputs, inputs, with_targets
from nnx.models.norms import gradient_norms as gradient_norms_of
from nnx.plotting.canvas import MARKERS, axes_for, dressed, line_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def gradient_norms(model: Any, x: Any, y: Any, *, label: str = "", ax: Axes | None = None) -> Axes:
    """Axes with the Euclidean norm of the cost's gradient by the weights of each layer, on a log scale.

        nₗ = ‖∂J/∂(Θ⁽ˡ⁾, β⁽ˡ⁾)‖₂

    for every layer l with weights that are trained, from the input to the output. J is the compiled loss on
    ``x`` (samples first) and ``y`` with its penalties, as the next training step would compute it on them:
    dropout is on, batch normalization takes the batch's statistics. Nothing of the model is changed. A layer
    whose gradient is 0 has no place on the log scale: it is marked at the bottom, with the number 0.

    ``label`` names the curve in a legend, to compare several models on the same ``ax``.

    Raises :class:`nnx.errors.NotBuilt` for a model that is not compiled or has no weights yet,
    :class:`nnx.errors.NonFiniteError` where the gradient is not finite, and what ``fit`` raises for data that
    do not fit.

    >>> layers = [nnx.layers.Dense(8, "sigmoid", input_shape=(2,))]
    >>> layers += [nnx.layers.Dense(8, "sigmoid") for _ in range(5)] + [nnx.layers.Dense(1)]
    >>> model = nnx.Sequential(layers, seed=1)
    >>> model.compile("sgd", "mse")
    >>> ax = nnx.plotting.gradient_norms(model, np.eye(2), np.ones(2))
    >>> norms = ax.lines[0].get_ydata()
    >>> norms.shape, bool(norms[0] < 1e-3 * norms[-1])
    ((7,), True)

    Source: X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010, section 4.2.
    """
    if not isinstance(model, Model):
        raise OptionError(f"gradient_norms: model must be a model of nnx, got {type(model).__name__}.")
    names, norms = _norms(model, x, y)
    ax = axes_for(ax, "gradient_norms")
    before = len(ax.lines)
    # Zeros would make the log scale fail: they are left out of the curve.
    curve = np.where(norms > 0.0, norms, np.nan)
    place, style = np.arange(len(norms)), line_style(before)
    ax.plot(place, curve, marker=MARKERS[before % len(MARKERS)], markersize=6, label=label or None, **style)
    if (norms > 0.0).any():
        ax.set_yscale("log")
    for i in np.flatnonzero(norms == 0.0):
        ax.annotate("0", (i, 0.02), xycoords=("data", "axes fraction"), ha="center", color=style["color"])
    ax.set_xticks(place, names, rotation=0 if sum(map(len, names)) < 50 else 45)
    if any(len(name) for name in names) and sum(map(len, names)) >= 50:
        for tick in ax.get_xticklabels():
            tick.set_horizontalalignment("right")
            tick.set_rotation_mode("anchor")
    if label:
        ax.legend(loc="best")
    return dressed(ax, "layer", "norm of the gradient")


def _norms(model: Model, x: Any, y: Any) -> tuple[list[str], Any]:
    """Names of the layers with trained weights, and the norms of their gradients."""
    trainer = model.trainer
    network, objective, weights = trainer.weights.network, trainer.objective, trainer.weights
    data = fit_inputs(inputs(x, network.input_names), network)
    data = with_targets(data, targets(y), None, network, objective.goals)
    labels = [goal.takes_labels for goal in objective.goals]
    problem = BatchProblem(objective, weights, model.seed)
    problem.show(Batches(data, weights.backend, data.size, labels).whole(), trainer.state.step)
    gradient = to_numpy(problem.at(weights.trained).gradient)
    if not np.isfinite(gradient).all():
        raise NonFiniteError("gradient_norms: the gradient is not finite at these weights and data.")
    norms = gradient_norms_of(network, gradient)
    if not norms:
        raise OptionError(f"gradient_norms: no layer of {model.label} has weights that are trained.")
    return list(norms), np.asarray(list(norms.values()))
