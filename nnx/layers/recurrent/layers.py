"""Recurrent layers: SimpleRNN, LSTM, GRU, and RNN of any cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnx.layers.base import registry
from nnx.layers.inner import outer_weights, part_of
from nnx.layers.recurrent.cells import cell, output_size, run_cell, state_sizes
from nnx.layers.recurrent.recurrent import OfSteps, Recurrent, masked_steps
from nnx.layers.recurrent.steps import GruSteps, LstmSteps, SimpleSteps
from nnx.layers.spec import Context, Weight
from nnx.layers.symbols import Shape
from nnx.options import option

Array = Any


@registry.register()
@dataclass(frozen=True)
class SimpleRNN(SimpleSteps, OfSteps):
    """The plain recurrence h_t = activation(x_t·K + h_{t−1}·R + b) over the steps of a sequence.

    ``kernel`` K has shape (features, units), ``recurrent_kernel`` R (units, units), ``bias`` b (units,). The
    output is the last h, with ``return_sequences`` all of them; with ``return_state`` the last h follows. The
    first h is zero, or given: ``layer(x, initial_state=h)``. ``go_backwards`` begins at the end; outputs are
    then in the order of processing. A step that the input's mask leaves out changes nothing: h stays, and
    the output is that of the step before (0 with ``zero_output_for_mask``, and where there is none before).
    ``dropout`` drops features in training, ``recurrent_dropout`` the entries of h inside the product, the
    same ones at every step. ``stateful`` with ``batch_size``: each batch of fit, evaluate and predict starts
    where the last one ended, until ``reset_state()``; a call is a function, it moves no state. ``unroll`` is
    accepted and changes nothing.

    With ``activation="tanh"`` and without recurrent dropout the whole sequence is one fused function,
    :func:`simple_rnn`; else it is computed step by step.
    Source: J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990) 179–211; names, defaults and
    weights are those of Keras' ``SimpleRNN``.

    Shapes: (n, steps, features) → (n, units).

    >>> nnx.Sequential([nnx.layers.SimpleRNN(4, input_shape=(7, 3))]).count_params()
    32
    """


@registry.register()
@dataclass(frozen=True)
class LSTM(LstmSteps, OfSteps):
    """A long short-term memory: c_t = f∘c_{t−1} + i∘g, h_t = o∘activation(c_t) over the steps of a sequence.

    The gates i, f, o are ``recurrent_activation`` and g is ``activation`` of the blocks (i, f, g, o) of
    x_t·K + h_{t−1}·R + b: ``kernel`` K has shape (features, 4·units), ``recurrent_kernel`` R
    (units, 4·units), ``bias`` b (4·units,), which starts with 1 for f (``unit_forget_bias``). Its states are
    h and c: ``y, h, c = LSTM(4, return_state=True)(x, initial_state=[h, c])``. The other options are those of
    :class:`SimpleRNN`.

    With the default activations and without recurrent dropout the whole sequence is one fused function,
    :func:`lstm`; else it is computed step by step.
    Source: S. Hochreiter, J. Schmidhuber, Neural Computation 9 (1997) 1735–1780; the forget gate: F. A. Gers,
    J. Schmidhuber, F. Cummins, Neural Computation 12 (2000) 2451–2471. Names, defaults and weights are those
    of Keras' ``LSTM``.

    Shapes: (n, steps, features) → (n, units).

    >>> nnx.Sequential([nnx.layers.LSTM(128, input_shape=(28, 28))]).count_params()
    80384
    """


@registry.register()
@dataclass(frozen=True)
class GRU(GruSteps, OfSteps):
    """A gated recurrent unit: h_t = z∘h_{t−1} + (1 − z)∘activation(a + r∘b) over the steps of a sequence.

    z and r are ``recurrent_activation`` of x_t·K + b₀ + h_{t−1}·R + b₁ in their blocks of columns, (z, r, h);
    in the third a = x_t·K + b₀ and b = h_{t−1}·R + b₁. ``kernel`` K has shape (features, 3·units),
    ``recurrent_kernel`` R (units, 3·units), ``bias`` (b₀, b₁) (2, 3·units). With ``reset_after=False`` the
    reset gate acts before the product, r∘b is (r∘h_{t−1})·R, and there is one bias (3·units,). The other
    options are those of :class:`SimpleRNN`.

    With the default options and without recurrent dropout the whole sequence is one fused function,
    :func:`gru`; else it is computed step by step.
    Source: K. Cho et al., "Learning phrase representations using RNN encoder–decoder", EMNLP 2014,
    1724–1734. Names, defaults and weights are those of Keras' ``GRU``.

    Shapes: (n, steps, features) → (n, units).

    >>> nnx.Sequential([nnx.layers.GRU(4, input_shape=(7, 3))]).count_params()
    108
    """


@registry.register()
@dataclass(frozen=True)
class RNN(Recurrent):
    """A recurrent layer of any cell, step by step; a list of cells is stacked.

    A cell is a layer with ``state_size``, the length of its state or a tuple of several: its
    ``forward(p, x, *states)`` of inputs (n, features) gives ``(output, *new states)``, and its
    ``spec(shape, *shapes of states)`` the weights. The other options are those of :class:`SimpleRNN`, which,
    as :class:`LSTM` and :class:`GRU`, is faster than ``RNN`` of its cell.
    Source: Keras' ``RNN``.

    Shapes: (n, steps, features) → (n, units).

    >>> nnx.layers.RNN(nnx.layers.LSTMCell(4), return_sequences=True)(np.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    cell: Any = option(cell)

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether the cell draws random numbers."""
        return bool(self.cell.random)

    @property
    def state_size(self) -> tuple[int, ...]:
        """The lengths of the cell's states."""
        return state_sizes(self.cell)

    @property
    def output_size(self) -> int:
        """The length of what the cell gives."""
        return output_size(self.cell)

    def step_weights(self, shape: Shape) -> tuple[Weight, ...]:
        weights = self.cell.spec(shape, *((size,) for size in self.state_size)).weights
        return outer_weights(self.cell, "cell", weights)

    def walk(
        self,
        p: Mapping[str, Any],
        x: Array,
        states: Sequence[Array],
        mask: Any,
        context: Context,
        given: bool,
    ) -> tuple[Array, ...]:
        own = part_of(p, "cell")
        return masked_steps(
            self, x, states, mask, lambda x, states: run_cell(self.cell, own, x, states, context)
        )
