"""What holds for every picture: its Axes, what it changes besides, and that it can be read."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

import nnx
from nnx.errors import OptionError
from nnx.plotting.canvas import COLOURS, ink

SQUARE = ((-1.0, 1.0), (-1.0, 1.0))


def bowl(w):
    return w[0] ** 2 + 3.0 * w[1] ** 2


def line(x, a, b):
    return a * x + b


def compiled():
    model = nnx.Sequential([nnx.layers.Dense(3, "tanh", input_shape=(2,)), nnx.layers.Dense(1)], seed=1)
    model.compile("sgd", "mse")
    return model


X, Y = np.asarray([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.asarray([0, 1, 1, 0])

PICTURES = {
    "plot_model": lambda ax: nnx.plotting.plot_model(compiled(), ax=ax),
    "learning_curves": lambda ax: nnx.plotting.learning_curves({"loss": [2.0, 1.0]}, ax=ax),
    "activation": lambda ax: nnx.plotting.activation("tanh", ax=ax),
    "gradient_norms": lambda ax: nnx.plotting.gradient_norms(compiled(), X, Y, ax=ax),
    "contours": lambda ax: nnx.plotting.contours(bowl, SQUARE, ax=ax),
    "race": lambda ax: nnx.plotting.race(bowl, [0.5, 0.5], ["sgd"], steps=3, limits=SQUARE, ax=ax),
    "decision_regions": lambda ax: nnx.plotting.decision_regions(lambda x: x[:, 0] > 0.5, X, Y, ax=ax),
    "confusion_matrix": lambda ax: nnx.plotting.confusion_matrix(Y, [0, 1, 0, 0], ax=ax),
    "regression": lambda ax: nnx.plotting.regression([1.0, 2.0, 4.0], [1.0, 2.5, 3.0], ax=ax),
    "error_histogram": lambda ax: nnx.plotting.error_histogram([1.0, 2.0], [1.5, 1.0], ax=ax),
    "fit": lambda ax: nnx.plotting.fit(line, [1.0, 0.0], np.eye(2), [0.0, 1.0, 2.0], [0.1, 0.9, 2.0], ax=ax),
}


def test_every_function_is_here():
    assert {*PICTURES, "race_animation"} == set(nnx.plotting.__all__)


@pytest.mark.parametrize("name", PICTURES)
def test_given_axes_are_drawn_on_and_come_back(name):
    figure, (left, right) = plt.subplots(1, 2)
    assert PICTURES[name](right) is right
    assert right.has_data()
    assert not left.has_data()
    assert plt.get_fignums() == [figure.number]
    figure.canvas.draw()


@pytest.mark.parametrize("name", PICTURES)
def test_without_axes_there_is_a_new_figure_of_pyplot(name):
    ax = PICTURES[name](None)
    assert isinstance(ax, Axes)
    assert plt.gcf() is ax.figure
    # a picture of a model has no axes that could be named
    assert ax.get_xlabel() or not ax.axison


@pytest.mark.parametrize("name", PICTURES)
def test_settings_of_matplotlib_and_random_numbers_stay(name):
    before, numbers = dict(mpl.rcParams), np.random.get_state()[1].copy()
    PICTURES[name](None)
    assert dict(mpl.rcParams) == before
    np.testing.assert_array_equal(np.random.get_state()[1], numbers)


@pytest.mark.parametrize("name", PICTURES)
def test_what_is_no_axes_is_refused(name):
    with pytest.raises(OptionError, match=f"{name}: ax must be one Matplotlib Axes.*ndarray"):
        PICTURES[name](np.zeros(2))


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("name", PICTURES)
def test_text_is_seen_on_the_ground_of_the_style(name, style):
    with plt.style.context(style):
        ax = PICTURES[name](None)
        ax.figure.canvas.draw()
        ground = to_rgb(ax.figure.get_facecolor())
    texts = [ax.xaxis.label, ax.yaxis.label, ax.title, *ax.get_xticklabels()]
    texts += [] if ax.get_legend() is None else ax.get_legend().get_texts()
    # 4.5 : 1 is what WCAG 2 asks of text.
    assert min(contrast(to_rgb(text.get_color()), ground) for text in texts) > 4.5
    assert to_rgb(ink(ax)) == to_rgb(ax.xaxis.label.get_color())


@pytest.mark.parametrize("ground", ["white", "black"])
def test_the_first_four_colours_are_seen_on_white_and_on_black(ground):
    # 3 : 1 is what WCAG 2 asks of graphics.
    assert min(contrast(to_rgb(c), to_rgb(ground)) for c in COLOURS[:4]) > 3.0


def contrast(a, b):
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


def luminance(rgb):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_without_matplotlib_an_error_says_what_to_install():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import nnx\n"
        "try:\n    nnx.plotting.activation('tanh')\n"
        "except ImportError as error:\n    print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Install it: pip install 'nnx[plot]'." in run.stdout
