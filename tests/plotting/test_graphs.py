"""Pictures of models: boxes in ranks, lines that pass no box, what stands in the boxes."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.errors import NotBuilt, OptionError
from nnx.layers import Activation, Add, BatchNormalization, Concatenate, Dense, Dropout
from nnx.plotting.layered import layered, spread

pytest.importorskip("matplotlib")


def residual():
    x = h = nnx.Input((4,), name="x")
    for _ in range(3):
        h = Activation("relu")(BatchNormalization()(Dense(4)(h)))
    return nnx.Model(x, Add()([x, h]))


def branches():
    x = nnx.Input((4,))
    a, b, c = Dense(2)(x), Dense(3)(Dense(2)(x)), Dense(1)(Dense(2)(Dense(2)(x)))
    return nnx.Model(x, Concatenate()([c, a, b, x]))


def two_ends():
    a, b = nnx.Input((3,), name="a"), nnx.Input((2,), name="b")
    shared = Dense(3, "tanh", name="shared")
    h = shared(a)
    joined = Concatenate()([shared(h), b])
    return nnx.Model([a, b], [Dense(1)(joined), Dense(2)(Concatenate()([joined, h])), h])


def densely():
    x = nnx.Input((8,))
    found = [x]
    for _ in range(4):
        found.append(Dense(4, "relu")(Concatenate()(found) if len(found) > 1 else x))
    return nnx.Model(x, Dense(2)(Concatenate()(found)))


def stack():
    return nnx.Sequential([nnx.Input((4,)), *(Dense(3 + i % 2, name=f"layer_number_{i}") for i in range(20))])


MODELS = [residual, branches, two_ends, densely, stack]


def boxes_and_lines(ax):
    """Corners of the boxes, points along the lines, and the heads of the arrows."""
    from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon

    boxes, lines, heads = [], [], []
    for patch in ax.patches:
        if isinstance(patch, FancyBboxPatch):
            boxes.append((patch.get_x(), patch.get_y(), patch.get_width(), patch.get_height()))
        elif isinstance(patch, Polygon):
            heads.append(patch.get_xy())
        elif isinstance(patch, PathPatch):
            segments = patch.get_path().iter_segments(curves=False, simplify=False)
            lines.append(np.asarray([vertex for vertex, _ in segments]))
    return boxes, lines, heads


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
@pytest.mark.parametrize("make", MODELS)
def test_lines_pass_no_box_and_boxes_are_apart(make, rankdir):
    model = make()
    ax = nnx.plotting.plot_model(model, show_shapes=True, show_layer_names=True, rankdir=rankdir)
    boxes, lines, heads = boxes_and_lines(ax)
    assert len(boxes) == len(model.inputs) + len(model.network.calls)
    assert len(lines) == len(heads) >= len(boxes) - len(model.inputs)
    for i, (x, y, w, h) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[:i]:
            assert x + w < x2 or x2 + w2 < x or y + h < y2 or y2 + h2 < y
        for points in [*lines, *heads]:
            inside = (points > (x + 0.1, y + 0.1)) & (points < (x + w - 0.1, y + h - 0.1))
            assert not inside.all(axis=1).any()
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    for x, y, w, h in boxes:
        assert left < x and x + w < right and top < y and y + h < bottom


@pytest.mark.parametrize("make", MODELS)
def test_text_is_inside_its_box(make):
    ax = nnx.plotting.plot_model(make(), show_shapes=True, show_layer_names=True, show_layer_activations=True)
    ax.figure.canvas.draw()
    boxes = [patch.get_window_extent() for patch in ax.patches if hasattr(patch, "get_boxstyle")]
    for text in ax.texts:
        extent = text.get_window_extent()
        # hinting makes letters a little wider than their outlines
        assert any(b.padded(1.0).contains(*extent.min) and b.padded(1.0).contains(*extent.max) for b in boxes)


def test_a_chain_is_straight():
    ax = nnx.plotting.plot_model(stack())
    boxes, lines, _ = boxes_and_lines(ax)
    centres = [x + w / 2.0 for x, _, w, _ in boxes]
    assert np.ptp(centres) < 1e-6 and all(np.ptp(line[:, 0]) < 1e-6 for line in lines)


def test_blocks_of_a_deep_graph_lie_below_one_another():
    def width(blocks):
        h = x = nnx.Input((4,))
        for _ in range(blocks):
            h = Activation("relu")(Add()([Concatenate()([Dense(2)(h), Dense(2)(Dense(3)(h))]), h]))
        left, right = nnx.plotting.plot_model(nnx.Model(x, h)).get_xlim()
        return right - left

    # blocks are alike, so nothing needs more room to the side than two of them
    assert width(20) == pytest.approx(width(2), abs=1.0)


def test_letters_have_their_full_size_on_a_figure_of_its_own():
    for make in MODELS:
        sizes = {text.get_fontsize() for text in nnx.plotting.plot_model(make(), show_shapes=True).texts}
        # the figure is as large as the picture but for whole pixels
        assert min(sizes) == pytest.approx(8.0, rel=0.01)
        assert max(sizes) == pytest.approx(10.0, rel=0.01)


def test_what_stands_in_the_boxes():
    def written(**shown):
        return [text.get_text() for text in nnx.plotting.plot_model(two_ends(), **shown).texts]

    assert written()[:4] == ["Input", "Input", "Dense", "call 1 of 2"]
    assert {"a", "b", "shared"} <= set(written(show_layer_names=True))
    assert written(show_layer_activations=True).count("tanh") == 2
    assert "(None, 5)" in written(show_shapes=True)


def test_frozen_layers_and_outputs_look_different():
    model = stack()
    model.layers[0].trainable = False
    ax = nnx.plotting.plot_model(model, show_trainable=True)
    boxes = [patch for patch in ax.patches if hasattr(patch, "get_boxstyle")]
    dashed = [box.get_linestyle() != "solid" and box.get_linestyle() != "-" for box in boxes]
    assert dashed == [False, True, *[False] * 19]
    widths = [box.get_linewidth() for box in boxes]
    assert widths[-1] > widths[0] and len(set(widths[:-1])) == 1


def test_it_is_written_to_a_file_and_drawn_on_given_axes(tmp_path):
    from matplotlib import image, pyplot

    _, (left, right) = pyplot.subplots(1, 2)
    assert nnx.plotting.plot_model(residual(), ax=left) is left
    nnx.plotting.plot_model(stack(), to_file=tmp_path / "model.png", dpi=50, ax=right)
    assert image.imread(tmp_path / "model.png").shape[:2] == (240, 320)
    assert right.texts[0].get_fontsize() < left.texts[0].get_fontsize() < 10.0


def test_a_model_that_holds_dropout_and_several_lines_between_the_same_boxes():
    x = nnx.Input((3,))
    h = Dropout(0.5)(x)
    ax = nnx.plotting.plot_model(nnx.Model(x, Add()([h, h])))
    assert len(boxes_and_lines(ax)[1]) == 2


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nnx.plotting.plot_model(Dense(3)), OptionError, "must be a model"),
        (lambda: nnx.plotting.plot_model(nnx.Sequential([Dense(3)])), NotBuilt, "input shape is not known"),
        (lambda: nnx.plotting.plot_model(stack(), rankdir="up"), OptionError, "rankdir"),
        (lambda: nnx.plotting.plot_model(stack(), show_shapes=3), OptionError, "show_shapes"),
        (lambda: nnx.plotting.plot_model(stack(), dpi=0), OptionError, "dpi"),
        (lambda: nnx.plotting.plot_model(stack(), "model.stone"), OptionError, "model.stone.*not supported"),
        (lambda: nnx.plotting.plot_model(stack(), ax=3), OptionError, "ax must be"),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()


# -- the layout --------------------------------------------------------------------------------------------


def test_places_are_near_what_is_wanted_and_apart():
    assert spread([0.0, 10.0], [1.0, 1.0], [5.0]) == [0.0, 10.0]
    assert spread([0.0, 0.0], [1.0, 1.0], [4.0]) == [-2.0, 2.0]
    assert spread([0.0, 0.0], [3.0, 1.0], [4.0]) == [-1.0, 3.0]
    random = np.random.default_rng(0)
    for _ in range(20):
        n = int(random.integers(2, 7))
        wanted, weights, gaps = (
            random.normal(size=n) * 5.0,
            random.uniform(0.1, 3.0, n),
            random.uniform(size=n - 1),
        )
        found = np.asarray(spread(wanted, weights, gaps))
        assert (np.diff(found) >= gaps - 1e-12).all()
        cost = np.sum(weights * (found - wanted) ** 2)
        # no other places that are apart are better: it is the least of a convex function
        for _ in range(50):
            other = found + 0.1 * random.normal(size=n)
            if (np.diff(other) >= gaps).all():
                assert np.sum(weights * (other - wanted) ** 2) >= cost


def test_lines_that_need_not_cross_do_not():
    # two ladders whose rungs are given in the wrong order
    edges = [(0, 3), (1, 2), (3, 5), (2, 4), (0, 2)]
    found = layered([(20.0, 10.0)] * 6, edges)
    xs = [x for x, _ in found.centres]
    upper = sorted((0, 1), key=xs.__getitem__)
    middle, lower = sorted((2, 3), key=xs.__getitem__), sorted((4, 5), key=xs.__getitem__)
    assert (upper == [1, 0]) == (middle == [2, 3]) == (lower == [4, 5])


def test_ranks_are_longest_paths_and_inputs_stand_above_their_readers():
    found = layered([(20.0, 10.0)] * 5, [(0, 1), (1, 2), (0, 2), (2, 4), (3, 4)])
    ys = [y for _, y in found.centres]
    assert ys[0] < ys[1] < ys[2] == ys[3] < ys[4]
