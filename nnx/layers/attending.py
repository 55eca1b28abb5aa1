"""What attention layers compute: who attends to whom, with which weights."""

from __future__ import annotations

from typing import Any

from nnx.activations import softmax
from nnx.backend import adapter_of, device_of, namespace
from nnx.backend.philox import DROPOUT
from nnx.layers.activation import masked_softmax
from nnx.layers.spec import Context

Array = Any


def both(first: Array | None, second: Array | None) -> Array | None:
    """What two masks both keep; None where neither is there.

    >>> from nnx.layers.attending import both
    >>> both(np.asarray([True, True]), np.asarray([True, False])), both(None, None)
    (array([ True, False]), None)
    """
    if first is None or second is None:
        return first if second is None else second
    return first & second


def of_steps(query: Array | None, value: Array | None, key: Array | None) -> Array | None:
    """The pairs (query step, value step) that the masks of all steps keep; None without masks.

    Shapes: (n, t), (n, s), (n, s) → (n, t or 1, s or 1).

    >>> from nnx.layers.attending import of_steps
    >>> of_steps(np.asarray([[True, False]]), np.asarray([[True, True, False]]), None)
    array([[[ True,  True, False],
            [False, False, False]]])
    """
    rows = None if query is None else query[:, :, None]
    columns = both(value, key)
    return both(rows, None if columns is None else columns[:, None, :])


def near(t: int, s: int, *, causal: bool, window: int | None, like: Array) -> Array | None:
    """The pairs of t query steps and s value steps that may see each other; None where all may.

    ``causal``: a step sees no later one. ``window`` ≥ 1: only those less than that many steps away.
    Shapes: (t, s), bool.

    >>> from nnx.layers.attending import near
    >>> near(2, 3, causal=True, window=None, like=np.ones(1))
    array([[ True, False, False],
           [ True,  True, False]])
    """
    if not causal and window is None:
        return None
    xp, device = namespace(like), device_of(like)
    ahead = xp.arange(s, device=device)[None, :] - xp.arange(t, device=device)[:, None]
    past = ahead <= 0 if causal else None
    return both(past, None if window is None else xp.abs(ahead) < window)


def as_bools(mask: Array) -> Array:
    """A mask of bools, of one of bools or of numbers, where those above 0.5 keep.

    >>> from nnx.layers.attending import as_bools
    >>> as_bools(np.asarray([0.0, 1.0]))
    array([False,  True])
    """
    return mask if namespace(mask).isdtype(mask.dtype, "bool") else mask > 0.5


def attended(
    scores: Array, value: Array, mask: Array | None, dropout: float, seed: int | None, context: Context | None
) -> tuple[Array, Array]:
    """``(y, weights)``: values summed with the weights that are the softmax of scores, and these weights.

    ``mask``, which can be broadcast to the scores, says which of them count; where none does, the weights
    are 0. In training y, but not what is returned as weights, is made of weights of which a share ``dropout``
    in [0, 1) was dropped by ``seed``.
    Shapes: (..., t, s), (..., s, v) → (..., t, v), (..., t, s).

    >>> from nnx.layers.attending import attended
    >>> attended(np.zeros((1, 2)), np.asarray([[1.0], [3.0]]), None, 0.0, None, None)
    (array([[2.]]), array([[0.5, 0.5]]))
    """
    weights = softmax(scores) if mask is None else masked_softmax(scores, mask)
    kept = weights
    if dropout and context is not None and context.training:
        stream, adapter = context.stream(DROPOUT, seed), adapter_of(weights)
        keep = adapter.keep_mask(stream, dropout, weights.shape, weights.dtype, device_of(weights))
        kept = weights * keep
    return kept @ value, weights
