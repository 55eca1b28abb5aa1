"""A picture of a model: its layers as boxes, and who reads whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from nnx.errors import OptionError
from nnx.models import Model
from nnx.models.network import Network
from nnx.options import Number, OneOf, truth
from nnx.plotting.canvas import COLOURS, axes_for, ink, pyplot
from nnx.plotting.layered import Layout, Point, layered

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: sizes of the letters of the first and of the other lines in a box, in points
_TITLE, _SMALL = 10.0, 8.0
#: how long the head of an arrow is
_HEAD = 6.0
_LINE_HEIGHT, _PADDING, _MARGIN = 1.3, 7.0, 8.0
_DPI = Number(above=0.0)
_DIRECTION = OneOf(("TB", "LR"))


class _Box(NamedTuple):
    """What stands in a box, line by line, and how it looks."""

    lines: tuple[str, ...]
    colour: str | None
    is_output: bool = False
    trained: bool = True


def plot_model(
    model: Any,
    to_file: Any = None,
    show_shapes: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float = 200.0,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Axes with the model's graph: a box for each call of a layer, and lines to what reads its output.

    Inputs are green boxes, layers with weights blue ones, outputs have a thick edge. A layer that is called
    several times has as many boxes. Lines pass no boxes. ``rankdir``: "TB" from the top to the bottom, "LR"
    from the left to the right. ``show_shapes`` writes the shapes of the outputs into the boxes,
    ``show_layer_names`` the names, ``show_layer_activations`` the activation functions, ``show_trainable``
    which layers are frozen (their edge is dashed). ``to_file``: the name of a file that the picture is
    written to as well, with ``dpi`` > 0 points per inch. Models that are parts of this one are shown as their
    layers, with ``expand_nested`` and without. Without ``ax`` the figure is as large as the picture needs;
    on given Axes the letters are as small as the room wants it.

    Raises :class:`nnx.errors.NotBuilt` before the model's input shape is known,
    :class:`nnx.errors.OptionError` for what is no model, and for a file that Matplotlib cannot write.
    Source: Keras' ``utils.plot_model``; it draws with Graphviz, this without a program outside of Python.

    >>> x = nnx.Input((4,))
    >>> model = nnx.Model(x, nnx.layers.Dense(4, "relu")(x) + x)
    >>> ax = nnx.plotting.plot_model(model, show_shapes=True)
    >>> [text.get_text() for text in ax.texts]
    ['Input', '(None, 4)', 'Dense', '(None, 4)', 'Add', '(None, 4)']
    """
    if not isinstance(model, Model):
        raise OptionError(f"plot_model: model must be a model of nnx, got {type(model).__name__}.")
    shown = {"show_shapes": show_shapes, "show_layer_names": show_layer_names}
    shown |= {"show_layer_activations": show_layer_activations, "show_trainable": show_trainable}
    shown = {name: truth("plot_model", name, value) for name, value in shown.items()}
    truth("plot_model", "expand_nested", expand_nested)
    dpi = _DPI("plot_model", "dpi", dpi)
    across = _DIRECTION("plot_model", "rankdir", rankdir) == "LR"
    boxes, edges = _graph(model.network, **shown)
    sizes = [_size(box.lines) for box in boxes]
    found = layered([(h, w) for w, h in sizes] if across else sizes, edges)
    room = (found.height, found.width) if across else (found.width, found.height)
    room = (room[0] + 2.0 * _MARGIN, room[1] + 2.0 * _MARGIN)
    ax = axes_for(ax, "plot_model", _figure_size(room))
    scale = _prepared(ax, room)
    _draw(ax, boxes, sizes, found, across, scale)
    if to_file is not None:
        _save(ax, to_file, dpi)
    return ax


def _save(ax: Axes, to_file: Any, dpi: float) -> None:
    whole: Any = ax.get_figure(root=True)
    try:
        whole.savefig(to_file, dpi=dpi)
    except ValueError as error:  # more pixels than Matplotlib has, or a kind of file that it does not know
        raise OptionError(
            f"plot_model: the picture cannot be written to {str(to_file)!r} with dpi={dpi:g}: {error}. For "
            "many layers take a smaller dpi, or a file that ends with .svg or .pdf."
        ) from error


# -- what stands in the boxes ------------------------------------------------------------------------------


def _graph(
    network: Network,
    *,
    show_shapes: bool,
    show_layer_names: bool,
    show_layer_activations: bool,
    show_trainable: bool,
) -> tuple[list[_Box], list[tuple[int, int]]]:
    """The boxes, inputs first and then calls, and for each line the numbers of the two that it joins."""
    n = len(network.inputs)
    ends = set(network.outputs)
    boxes = []
    for i, (name, shape) in enumerate(zip(network.input_names, network.inputs, strict=True)):
        lines = ["Input", name if show_layer_names else "", str((None, *shape)) if show_shapes else ""]
        boxes.append(_Box(tuple(filter(None, lines)), COLOURS[2], i in ends))
    uses, seen = Counter(call.layer for call in network.calls), Counter[int]()
    values = n
    for k, call in enumerate(network.calls):
        layer, made = network.layers[call.layer], range(values, values + network.gives(k))
        values += len(made)
        seen[call.layer] += 1
        activation = getattr(layer, "activation", None)
        lines = [layer.label]
        if show_layer_names:
            lines.append(network.names[call.layer])
        if uses[call.layer] > 1:
            lines.append(f"call {seen[call.layer]} of {uses[call.layer]}")
        if show_layer_activations and activation is not None:
            lines.append(str(getattr(activation, "name", activation)))
        if show_shapes:
            lines += [str((None, *network.shapes[v])) for v in made]
        coloured = COLOURS[0] if network.slots[call.layer] else None
        trained = layer.trainable or not show_trainable
        boxes.append(_Box(tuple(lines), coloured, not ends.isdisjoint(made), trained))
    box_of = [i if k is None else n + k for i, k in enumerate(network.made_by)]
    edges = dict.fromkeys((box_of[r], n + k) for k, call in enumerate(network.calls) for r in call.reads)
    return boxes, list(edges)


def _size(lines: Sequence[str]) -> Point:
    """The width and the height of a box, in points."""
    pyplot()  # an error that says what to install
    from matplotlib.textpath import TextPath

    wide = 0.0
    for i, line in enumerate(lines):
        # the corners of the outlines' curves: the exact extents take six times as long
        corners = TextPath((0.0, 0.0), line, size=_TITLE if i == 0 else _SMALL).vertices
        wide = max(wide, float(corners[:, 0].max() - corners[:, 0].min()))
    high = (_TITLE + _SMALL * (len(lines) - 1)) * _LINE_HEIGHT
    return max(wide, 3.0 * _TITLE) + 2.0 * _PADDING, high + _PADDING


# -- drawing -----------------------------------------------------------------------------------------------


def _figure_size(room: Point) -> Point:
    """The inches of a figure that has so much room, in points, inside of the edge that its layout leaves."""
    settings = pyplot().rcParams
    edges = (settings[f"figure.constrained_layout.{side}_pad"] for side in ("w", "h"))
    wide, high = (points / 72.0 + 2.0 * edge for points, edge in zip(room, edges, strict=True))
    return wide, high


def _prepared(ax: Axes, room: Point) -> float:
    """The points that one unit of the Axes has, once they show this much room and nothing else."""
    ax.set_axis_off()
    ax.set_xlim(-_MARGIN, room[0] - _MARGIN)
    ax.set_ylim(room[1] - _MARGIN, -_MARGIN)
    ax.set_aspect("equal")
    figure: Any = ax.get_figure(root=True)
    figure.draw_without_rendering()
    there = ax.get_window_extent()
    points = 72.0 / figure.dpi
    return float(min(there.width * points / room[0], there.height * points / room[1]))


def _draw(
    ax: Axes, boxes: Sequence[_Box], sizes: Sequence[Point], found: Layout, across: bool, scale: float
) -> None:
    from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
    from matplotlib.path import Path

    colour = ink(ax)
    for line in found.lines:
        x, y = line[-1]
        tip = [(x, y), (x - _HEAD / 2.5, y - _HEAD), (x + _HEAD / 2.5, y - _HEAD)]
        corners, codes = _curve([*line[:-1], (x, y - 0.8 * _HEAD)])
        look: dict[str, Any] = {"edgecolor": colour, "linewidth": 0.9 * scale, "zorder": 1}
        ax.add_patch(PathPatch(Path(_turned(corners, across), codes), facecolor="none", **look))
        ax.add_patch(Polygon(_turned(tip, across), closed=True, facecolor=colour, linewidth=0.0, zorder=1))
    for box, (wide, high), centre in zip(boxes, sizes, found.centres, strict=True):
        ((x, y),) = _turned([centre], across)
        look = {
            "facecolor": (box.colour, 0.18) if box.colour else (0.5, 0.5, 0.5, 0.08),
            "edgecolor": colour,
            "linewidth": (1.8 if box.is_output else 0.8) * scale,
            "linestyle": "-" if box.trained else (0, (3.0, 2.0)),
        }
        corner = (x - wide / 2.0, y - high / 2.0)
        ax.add_patch(
            FancyBboxPatch(corner, wide, high, boxstyle="round,pad=0,rounding_size=3", zorder=2, **look)
        )
        _write(ax, box.lines, x, y, scale)


def _curve(line: Sequence[Point]) -> tuple[list[Point], list[int]]:
    """A line through the corners: straight down, in a curve to the side, straight down, ..."""
    from matplotlib.path import Path

    corners, codes = [line[0]], [Path.MOVETO]
    for i, ((x0, y0), (x1, y1)) in enumerate(pairwise(line)):
        if i % 2 and x0 != x1:
            middle = (y0 + y1) / 2.0
            corners += [(x0, middle), (x1, middle), (x1, y1)]
            codes += [Path.CURVE4] * 3
        else:
            corners.append((x1, y1))
            codes.append(Path.LINETO)
    return corners, [int(code) for code in codes]


def _turned(points: Sequence[Point], across: bool) -> list[Point]:
    """The points, from the left to the right in place of from the top to the bottom."""
    return [(y, x) for x, y in points] if across else list(points)


def _write(ax: Axes, lines: Sequence[str], x: float, y: float, scale: float) -> None:
    """The lines of a box, around its centre."""
    sizes = [_TITLE, *(_SMALL for _ in lines[1:])]
    top = y - sum(sizes) * _LINE_HEIGHT / 2.0
    for i, (line, size) in enumerate(zip(lines, sizes, strict=True)):
        middle = top + size * _LINE_HEIGHT / 2.0
        look: dict[str, Any] = {"alpha": 1.0 if i == 0 else 0.75, "color": ink(ax), "zorder": 3}
        ax.text(x, middle, line, ha="center", va="center", fontsize=size * scale, **look)
        top += size * _LINE_HEIGHT
