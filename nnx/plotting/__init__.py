"""Pictures of training, of functions and of fits, by Matplotlib (``pip install 'nnx[plot]'``).

Every function takes ``ax=None`` and returns the Matplotlib ``Axes`` that it has drawn on: with ``ax`` that
one, without it those of a new figure of pyplot, which a notebook shows at the end of the cell and
``plt.show()`` in a script. What comes back can be changed: ``ax.set_yscale("log")``,
``ax.figure.savefig("picture.png")``. :func:`race_animation` returns a Matplotlib animation. Nothing else is
changed: no style, no setting of Matplotlib. Text, grids and contours take the colours of the style that is
in force, so the pictures are right on a light and on a dark ground.

Data may be arrays of any library that nnx knows, or lists. Matplotlib is imported by the first picture.
"""

from nnx import models  # noqa: F401 (whole rooms first)
from nnx.plotting.activations import activation
from nnx.plotting.bands import fit
from nnx.plotting.classification import confusion_matrix, decision_regions
from nnx.plotting.graphs import plot_model
from nnx.plotting.history import learning_curves
from nnx.plotting.networks import gradient_norms
from nnx.plotting.race import race, race_animation
from nnx.plotting.regression import error_histogram, regression
from nnx.plotting.surfaces import contours

__all__ = [
    "activation",
    "confusion_matrix",
    "contours",
    "decision_regions",
    "error_histogram",
    "fit",
    "gradient_norms",
    "learning_curves",
    "plot_model",
    "race",
    "race_animation",
    "regression",
]
