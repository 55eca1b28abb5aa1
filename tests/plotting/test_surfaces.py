"""Contours, and the paths of optimizers over them: still and moving."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image

import nnx
from nnx.backend import namespace
from nnx.errors import DataError, OptionError, ShapeError, UnknownName
from nnx.plotting import contours, race, race_animation
from nnx.plotting.surfaces import values

SQUARE = ((-2.0, 2.0), (-1.0, 3.0))
WIDE = ((-4.5, 4.5), (-4.5, 4.5))


def beale(w):
    a, b = w[0], w[1]
    return (1.5 - a + a * b) ** 2 + (2.25 - a + a * b**2) ** 2 + (2.625 - a + a * b**3) ** 2


def rosenbrock(w):
    """For one point only: it sums up whatever it is given."""
    return namespace(w).sum(100.0 * (w[1:] - w[:-1] ** 2) ** 2 + (1.0 - w[:-1]) ** 2)


def bowl(w):
    return w[0] ** 2 + 10.0 * w[1] ** 2


# -- contours -------------------------------------------------------------------------------------------


def partly_summed(w):
    """An array comes out for many points, but not that of the function's values."""
    return w[0] + namespace(w).mean(w)


@pytest.mark.parametrize(
    "f", [beale, rosenbrock, partly_summed, lambda w: float(w[0]) if w[1] > 0.5 else 2.0]
)
def test_the_values_are_the_functions_at_every_point(f):
    x, y = np.linspace(-2.0, 2.0, 7), np.linspace(-1.0, 3.0, 5)
    z = values(f, x, y, np.zeros(2))
    expected = [[float(f(np.asarray([a, b]))) for a in x] for b in y]
    np.testing.assert_allclose(z, expected, rtol=1e-12)  # powers of arrays and numbers round differently


def test_the_lines_lie_where_the_function_has_their_height():
    ax = contours(bowl, SQUARE, levels=[1.0, 4.0])
    filled, lines = ax.collections
    np.testing.assert_array_equal(lines.levels, [1.0, 4.0])
    np.testing.assert_array_equal(filled.levels, [1.0, 4.0])
    for height, path in zip(lines.levels, lines.get_paths(), strict=True):
        # Between grid points a line is straight: h = 0.02, second derivatives of 20, so h²·20/8.
        np.testing.assert_allclose(bowl(path.vertices.T), height, atol=1e-3)
    assert (ax.get_xlim(), ax.get_ylim()) == SQUARE


@pytest.mark.parametrize(("f", "limits"), [(beale, WIDE), (rosenbrock, SQUARE)])
def test_levels_of_a_valley_are_logarithmic(f, limits):
    levels = contours(f, limits, minima=[(3.0, 0.5) if f is beale else (1.0, 1.0)]).collections[1].levels
    assert len(levels) == 14
    ratios = levels[1:] / levels[:-1]  # both have the minimum 0
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-9)
    assert levels[-1] / levels[0] > 1e3


def test_levels_of_a_saddle_are_even():
    levels = (
        contours(lambda w: w[0] ** 2 - w[1] ** 2, ((-1.0, 1.0), (-1.0, 1.0)), levels=7).collections[1].levels
    )
    np.testing.assert_allclose(levels, np.linspace(-1.0, 1.0, 9)[1:-1], atol=1e-12)


def test_minima_are_stars():
    ax = contours(bowl, SQUARE, minima=(0.0, 0.0))
    np.testing.assert_array_equal(ax.collections[2].get_offsets(), [[0.0, 0.0]])
    assert ax.collections[2].get_label() == "minimum"


def test_where_the_function_is_not_finite_nothing_is_drawn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = contours(lambda w: np.log(w[0]) + w[1], ((-1.0, 1.0), (0.0, 1.0)), levels=5)
    lines = ax.collections[1]
    assert all((path.vertices[:, 0] > 0.0).all() for path in lines.get_paths())


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"limits": 3.0}, OptionError, r"contours: limits must be \(\(x0, x1\), \(y0, y1\)\)"),
        ({"limits": ((0.0, 1.0), (1.0, 0.0))}, OptionError, r"contours: limits\[1\] must be two finite"),
        ({"levels": [1.0, 1.0]}, OptionError, "two or more increasing numbers"),
        ({"levels": 1}, OptionError, "levels must be a whole number >= 2"),
        ({"minima": [(1.0, 2.0, 3.0)]}, ShapeError, r"points of two numbers, got shape \(1, 3\)"),
        ({"function": lambda w: w}, ShapeError, r"must return one number .* shape \(2,\)"),
        ({"function": lambda w: 0.0 * w[0] + 3.0}, DataError, "is 3 everywhere within the limits"),
        ({"function": lambda w: w[0] * np.nan}, DataError, "not finite at any point"),
    ],
)
def test_what_has_no_contours_is_refused_before_a_figure_is_made(options, error, match):
    options = {"function": bowl, "limits": SQUARE} | options
    with pytest.raises(error, match=match):
        contours(options.pop("function"), options.pop("limits"), **options)
    assert plt.get_fignums() == []


def test_an_error_of_the_function_itself_is_seen():
    def wrong(w):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        contours(wrong, SQUARE)


# -- races ----------------------------------------------------------------------------------------------

START = [-1.2, 1.0]


@pytest.mark.parametrize("method", ["sgd", "adam", "rmsprop", "bfgs", "lbfgs", "newton", "steepest_descent"])
def test_a_path_is_that_of_minimize(method):
    rate = {"learning_rate": 1e-3} if method in ("sgd", "adam", "rmsprop") else {}
    optimizer = nnx.optimizers.registry.get(method).__class__(**rate)
    ax = race(rosenbrock, START, {"one": optimizer}, steps=12, limits=SQUARE)
    points = [np.asarray(START)]
    nnx.minimize(rosenbrock, START, method=optimizer, callback=points.append, options={"maxiter": 12})
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), points)


def test_the_rule_of_the_lectures_can_be_followed_by_hand():
    """Momentum: m ← βm − ηg; w ← w + m."""
    ax = race(bowl, [1.0, 1.0], {"m": nnx.optimizers.SGD(0.02, momentum=0.9)}, steps=30, limits=SQUARE)
    w, m, expected = np.ones(2), np.zeros(2), [np.ones(2)]
    for _ in range(30):
        m = 0.9 * m - 0.02 * np.asarray([2.0, 20.0]) * w
        w = w + m
        expected.append(w)
    np.testing.assert_allclose(ax.lines[0].get_xydata(), expected, rtol=0.0, atol=1e-13)


def test_paths_start_together_and_are_told_apart():
    ax = race(bowl, [1.5, 1.0], ["sgd", "adam", "bfgs"], steps=20, limits=SQUARE, minima=[(0.0, 0.0)])
    assert [line.get_label() for line in ax.lines] == ["sgd", "adam", "bfgs"]
    assert all((line.get_xydata()[0] == [1.5, 1.0]).all() for line in ax.lines)
    for look in ("get_color", "get_linestyle", "get_marker"):
        assert len({getattr(line, look)() for line in ax.lines}) == 3
    legend = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["sgd", "adam", "bfgs", "minimum", "start"]
    ax.figure.canvas.draw()
    # beside the Axes: it hides nothing
    assert legend.get_window_extent().x0 > ax.get_window_extent().x1


def test_a_method_that_has_converged_ends_its_path():
    (path,) = (
        line.get_xydata() for line in race(bowl, [1.0, 1.0], ["newton"], steps=50, limits=SQUARE).lines
    )
    assert len(path) < 5
    np.testing.assert_allclose(path[-1], 0.0, atol=1e-12)


def test_a_path_that_diverges_is_drawn_as_far_as_it_goes():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = race(beale, [1.0, 1.5], {"too fast": nnx.optimizers.SGD(1.0)}, steps=50, limits=WIDE)
        ax.figure.canvas.draw()
    path = ax.lines[0].get_xydata()
    assert 1 <= len(path) < 50
    assert np.isfinite(path).all()


def test_the_arrays_of_the_start_compute(backend, monkeypatch):
    # array_api_strict has no w[0] of a matrix, so it is asked point by point: for fewer of them here
    monkeypatch.setattr("nnx.plotting.surfaces._POINTS", 21)
    start = backend.asarray([1.0, 1.0], dtype="float64")

    def f(w):
        assert type(getattr(w, "value", w)) is type(start)
        return w[0] ** 2 + 10.0 * w[1] ** 2

    ax = race(f, start, {"Adam": nnx.optimizers.Adam(0.1)}, steps=10, limits=SQUARE)
    expected = race(bowl, [1.0, 1.0], {"Adam": nnx.optimizers.Adam(0.1)}, steps=10, limits=SQUARE)
    found, expected = ax.lines[0].get_xydata(), expected.lines[0].get_xydata()
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(nnx.to_numpy(start), [1.0, 1.0])


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"start": [1.0, 2.0, 3.0]}, ShapeError, r"start must be two numbers, got an array of shape \(3,\)"),
        ({"optimizers": {}}, OptionError, "optimizers is empty"),
        ({"optimizers": "adam"}, OptionError, "must be a dict from labels"),
        ({"optimizers": ["adamm"]}, UnknownName, "Did you mean 'adam'"),
        ({"optimizers": {"x": 3}}, OptionError, "must be one of nnx.optimizers or a name, got 3"),
        ({"optimizers": ["levenberg_marquardt"]}, OptionError, "needs residuals"),
        ({"steps": 0}, OptionError, "steps must be a whole number >= 1"),
        ({"limits": None}, OptionError, "limits must be"),
    ],
)
@pytest.mark.parametrize("function", [race, race_animation])
def test_what_cannot_race_is_refused(function, options, error, match):
    given = {"start": [1.0, 1.0], "optimizers": ["sgd"], "steps": 3, "limits": SQUARE} | options
    with pytest.raises(error, match=match):
        function(bowl, given.pop("start"), given.pop("optimizers"), **given)
    assert plt.get_fignums() == []


# -- animations -----------------------------------------------------------------------------------------


def test_a_film_shows_one_step_in_each_frame(tmp_path):
    rules = {"SGD": nnx.optimizers.SGD(0.02), "Newton": "newton"}
    film = race_animation(bowl, [1.5, 1.0], rules, steps=3, limits=SQUARE, interval=500)
    frames = list(film.new_frame_seq())
    assert frames == [0, 1, 2, 3, 3, 3]  # the last one held for a second
    ax = plt.gca()
    still = race(bowl, [1.5, 1.0], rules, steps=3, limits=SQUARE)
    for frame in (0, 1, 3):
        film._draw_frame(frame)
        assert ax.get_title() == f"step {frame}"
        for line, path in zip(ax.lines, still.lines, strict=True):
            np.testing.assert_array_equal(line.get_xydata(), path.get_xydata()[: frame + 1])
    film.save(tmp_path / "race.gif", writer="pillow", dpi=40)
    with Image.open(tmp_path / "race.gif") as saved:
        # equal frames at the end are joined
        assert saved.n_frames == 4
        assert saved.info["duration"] == 500


def test_an_interval_below_a_millisecond_is_refused():
    with pytest.raises(OptionError, match="interval must be a whole number >= 1"):
        race_animation(bowl, [1.0, 1.0], ["sgd"], limits=SQUARE, interval=0)
