"""Decision regions and confusion matrices, beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import nnx
from nnx.errors import DataError, OptionError, ShapeError
from nnx.plotting import confusion_matrix, decision_regions
from nnx.plotting.classes import class_numbers

metrics = pytest.importorskip("sklearn.metrics")

RANDOM = np.random.default_rng(4)
TRUE, FOUND = RANDOM.integers(0, 4, 200), RANDOM.integers(0, 4, 200)
SQUARE = ((-1.0, 1.0), (-1.0, 1.0))


def shown(ax):
    return np.asarray(ax.images[0].get_array())


# -- classes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([0, 2, 1], [0, 2, 1]),
        ([[0], [2]], [0, 2]),
        ([1.0, 3.0], [1, 3]),
        ([True, False], [1, 0]),
        ([[0.0, 1.0], [1.0, 0.0]], [1, 0]),
        ([[-3.0, -1.0, -2.0]], [1]),
        ([[0.2], [0.7]], [0, 1]),
        ([0.5, 0.500001], [0, 1]),
    ],
)
def test_classes_are_understood_in_every_form(y, expected):
    np.testing.assert_array_equal(class_numbers(y, "y"), expected)


@pytest.mark.parametrize(
    ("y", "error", "match"),
    [
        ([0.5, 3.2], DataError, "class numbers, or probabilities from 0 to 1; got numbers from 0.5 to 3.2"),
        ([-1, 1], DataError, "class -1: classes are numbered from 0"),
        ([np.nan, 1.0], DataError, r"first in sample 0 \(y\[0\]\)"),
        ([], ShapeError, r"shape \(n,\) or \(n, classes\), got \(0,\)"),
        (np.zeros((2, 2, 2)), ShapeError, r"got \(2, 2, 2\)"),
    ],
)
def test_what_are_no_classes_is_refused(y, error, match):
    with pytest.raises(error, match=match):
        class_numbers(y, "y")


# -- confusion matrix -----------------------------------------------------------------------------------


@pytest.mark.parametrize("normalize", [None, "true", "pred", "all"])
def test_the_matrix_is_scikit_learns(normalize):
    ax = confusion_matrix(TRUE, FOUND, normalize=normalize)
    expected = metrics.confusion_matrix(TRUE, FOUND, normalize=normalize)
    np.testing.assert_allclose(shown(ax), expected, rtol=1e-12)
    assert ax.get_title() == f"accuracy {metrics.accuracy_score(TRUE, FOUND):.4g}"
    form = "{:.0f}" if normalize is None else "{:.2f}"
    texts = {tuple(text.get_position()): text.get_text() for text in ax.texts}
    assert texts == {(j, i): form.format(value) for (i, j), value in np.ndenumerate(expected)}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")


def test_rows_of_probabilities_count_by_their_largest(backend):
    rows = np.eye(4)[FOUND] * 0.6 + 0.1
    hot = backend.asarray(np.eye(4)[TRUE], dtype="float32")
    ax = confusion_matrix(hot, backend.asarray(rows, dtype="float32"))
    np.testing.assert_array_equal(shown(ax), metrics.confusion_matrix(TRUE, FOUND))


def test_labels_say_how_many_classes_there_are():
    ax = confusion_matrix([0, 1], [0, 1], labels=["cat", "dog", "bird"], normalize="true")
    np.testing.assert_array_equal(shown(ax), np.diag([1.0, 1.0, 0.0]))  # no bird: 0, not NaN
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["cat", "dog", "bird"]
    with pytest.raises(ShapeError, match="there are 3 classes, but labels are"):
        confusion_matrix([0, 2], [0, 1], labels=["cat", "dog"])


def test_one_class_alone_is_a_matrix_of_two():
    np.testing.assert_array_equal(shown(confusion_matrix([0, 0], [0, 0])), [[2.0, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_numbers_are_seen_on_their_cells(style):
    from matplotlib import pyplot as plt

    with plt.style.context(style):
        ax = confusion_matrix([0] * 90 + [1] * 50 + [2] * 5, [0] * 90 + [1] * 30 + [2] * 25)
    image = ax.images[0]
    for text in ax.texts:
        j, i = text.get_position()
        cell = image.cmap(image.norm(shown(ax)[i, j]))[:3]
        light = np.dot((0.299, 0.587, 0.114), cell)
        assert abs(light - np.dot((0.299, 0.587, 0.114), to_rgb(text.get_color()))) >= 0.5


def test_many_classes_have_a_scale_in_place_of_numbers():
    ax = confusion_matrix(np.arange(40), np.arange(40))
    assert len(ax.texts) == 0
    assert len(ax.figure.axes) == 2


def test_what_has_no_confusion_matrix_is_refused():
    with pytest.raises(ShapeError, match="targets has 2 samples, predictions has 3"):
        confusion_matrix([0, 1], [0, 1, 1])
    with pytest.raises(OptionError, match="normalize"):
        confusion_matrix([0, 1], [0, 1], normalize="rows")


# -- decision regions -----------------------------------------------------------------------------------


def model_of_three():
    model = nnx.Sequential(
        [nnx.layers.Dense(8, "tanh", input_shape=(2,)), nnx.layers.Dense(3, "softmax")], seed=5
    )
    model.compile(nnx.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
    x, y = nnx.datasets.spiral(150, n_classes=3, noise=0.1)
    model.fit(x, y, epochs=20, verbose=0)
    return model, x, y


def test_every_point_has_the_class_that_the_model_gives_it():
    model, x, y = model_of_three()
    ax = decision_regions(model, x, y, limits=SQUARE, labels=["a", "b", "c"])
    regions, ends = shown(ax), np.linspace(-1.0, 1.0, 301)
    assert regions.shape == (301, 301)
    rows = np.stack([np.full(301, ends[70]), ends], axis=1).astype("float32")
    np.testing.assert_array_equal(regions[:, 70], np.argmax(model.predict(rows), axis=1))
    assert set(np.unique(regions)) == {0, 1, 2}
    # the cell of point j has its middle there
    left, right, bottom, top = ax.images[0].get_extent()
    np.testing.assert_allclose(np.linspace(left, right, 603)[1::2], ends, atol=1e-12)
    assert (bottom, top) == (left, right)
    assert (ax.get_xlim(), ax.get_ylim()) == SQUARE


def test_samples_lie_over_their_regions_in_the_same_colour():
    model, x, y = model_of_three()
    ax = decision_regions(model, x, y)
    points = [c for c in ax.collections if c.get_label() in "012"]
    assert [c.get_label() for c in points] == ["0", "1", "2"]
    cells = ax.images[0]
    for k, group in enumerate(points):
        np.testing.assert_allclose(group.get_offsets(), x[y == k])
        np.testing.assert_allclose(group.get_facecolor()[0, :3], cells.cmap(cells.norm(k))[:3])
    assert len({str(c.get_paths()[0].vertices) for c in points}) == 3  # markers
    np.testing.assert_allclose(ax.get_xlim()[0], x[:, 0].min() - 0.1 * np.ptp(x[:, 0]), rtol=1e-6)


def test_borders_are_lines_where_the_class_changes():
    """Between the classes 0 and 2 there is one line, and no strip of class 1."""
    x = np.asarray([[-0.5, 0.0], [0.5, 0.0]])
    ax = decision_regions(lambda x: np.where(x[:, 0] > 0.1, 2, 0), x, [0, 2], limits=SQUARE)
    assert set(np.unique(shown(ax))) == {0, 2}
    lines = [path.vertices for c in ax.collections if hasattr(c, "levels") for path in c.get_paths()]
    assert len(lines) == 1
    np.testing.assert_allclose(lines[0][:, 0], 0.1, atol=2.0 / 300)


@pytest.mark.parametrize("form", ["labels", "probability", "column", "rows", "predict"])
def test_classifiers_may_answer_in_every_form(form, backend):
    x = backend.asarray([[-0.5, 0.0], [0.5, 0.0]], dtype="float32")

    def right(points):
        assert type(points) is type(x)
        assert points.dtype == x.dtype
        xp = nnx.backend.namespace(points)
        p = 1.0 / (1.0 + xp.exp(-9.0 * points[:, 0] - 0.01))
        if form in ("labels", "predict"):
            return xp.astype(p > 0.5, xp.int64)
        return {"probability": p, "column": p[:, None], "rows": xp.stack([1.0 - p, p], axis=1)}[form]

    class Classifier:
        predict = staticmethod(right)

    model = Classifier() if form == "predict" else right
    regions = shown(decision_regions(model, x, [0, 1], limits=SQUARE))
    np.testing.assert_array_equal(regions, np.broadcast_to(np.linspace(-1.0, 1.0, 301) > -1e-3, (301, 301)))


@pytest.mark.parametrize(
    ("x", "y", "model", "error", "match"),
    [
        (
            np.ones((3, 3)),
            [0, 1, 0],
            lambda x: x[:, 0] > 0,
            ShapeError,
            r"points \(n, 2\), got shape \(3, 3\)",
        ),
        (np.ones((3, 2)), [0, 1], lambda x: x[:, 0] > 0, ShapeError, "x has 3 samples, y has 2"),
        (np.full((1, 2), np.nan), [0], lambda x: x[:, 0] > 0, DataError, "x has NaN"),
        (np.ones((2, 2)), [0, 1], lambda x: x[:7, 0] > 0, ShapeError, "for 90601 points the model gave 7"),
        (
            np.ones((2, 2)),
            [0, 1],
            lambda x: 5.0 * x[:, 0],
            DataError,
            "what the model gives must be class numbers",
        ),
    ],
)
def test_what_has_no_regions_is_refused(x, y, model, error, match):
    with pytest.raises(error, match=match):
        decision_regions(model, x, y)
