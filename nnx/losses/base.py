"""The registry of losses, and what is declared with each.

===============  ===================================================================================
``formula``      LaTeX of the loss of one example with outputs ŷ and targets y, n numbers each
``use``          what it is good for, in one line
``task``         what it is a loss of: "regression" (any numbers), "positive" (numbers ≥ 0), "binary",
                 "categorical" (one-hot rows), "sparse" (class numbers) or "signs" (−1 and 1); a model
                 refuses targets outside of the task's range, see ``RANGES``
``targets``      what ``y_true`` is: "same" (the shape of ``y_pred``) or "indices" (whole numbers, without
                 the last axis); where it is not declared, as with a user's function, whatever comes
``link``         "softmax" or "sigmoid": if that is the network's last activation, then the loss called with
                 ``from_logits=True`` on what goes into it has the same value, but is stable and faster
``residual``     a function ``(y_true, y_pred, sample_weight=None)`` → a vector whose sum of squares is the
                 loss, averaged over the batch as by :func:`reduce`: for Gauss–Newton, Levenberg–Marquardt
===============  ===================================================================================

What does not apply is not declared: ``choice.facts.get("link")`` is None then.
"""

from __future__ import annotations

import math

from nnx.registry import Registry

registry = Registry("loss")

#: Keras' ``epsilon()``: probabilities are kept this far away from 0 and 1.
EPSILON = 1e-7

#: From where to where the targets of a task reach. (Losses of signs take 0 and 1 as well.)
RANGES = {
    "positive": (0.0, math.inf),
    "binary": (0.0, 1.0),
    "categorical": (0.0, 1.0),
    "signs": (-1.0, 1.0),
}
