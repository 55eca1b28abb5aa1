"""The registry of activations, and what is declared with each.

=============  =====================================================================================
``formula``    LaTeX of the function of z
``derivative`` LaTeX of its derivative
``range``      the values it takes, as an interval
``limits``     its values at z = −∞ and z = +∞
``slopes``     its derivative there: 0 is saturation, where learning stops
``kinks``      where its first or second derivative jumps (for the default options)
``use``        what it is good for, in one line
=============  =====================================================================================

Functions of whole vectors (softmax) have no limits and slopes. ``shape=`` is the shape of the result as a
function of the argument's, where the two differ.
"""

from __future__ import annotations

from nnx.registry import Check, Registry

registry = Registry("activation")

#: So far out that every activation has reached its limit, but finite: 0·∞ would be nan, 0·FAR is 0.
FAR = 1e30

#: What an option must be where only such numbers have a meaning.
POSITIVE = Check("a number > 0", lambda v: v > 0.0)
NOT_NEGATIVE = Check("a number ≥ 0", lambda v: v >= 0.0)
