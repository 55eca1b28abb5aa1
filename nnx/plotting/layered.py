"""Where the boxes and the lines of a graph without cycles lie: in ranks, one below the other.

The steps are those of K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical
system structures", IEEE Trans. SMC 11 (1981) 109: ranks by the longest path, places for long lines in the
ranks that they pass, an order in each rank with few crossings, and then coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]
Edge = tuple[int, int]

#: between neighbours in a rank, and between two ranks at least and at most
_BESIDE, _LEAST_BELOW, _MOST_BELOW = 14.0, 16.0, 52.0
#: so far above a rank lines are straight again: for the heads of arrows
_STRAIGHT = 6.0
#: the room that a line has where it passes a rank
_PASSAGE = 8.0
_SWEEPS = 24
#: by how much more than to the mean of its neighbours a node moves at once: long chains get straight sooner
_OVER = 1.7


@dataclass
class Layout:
    """Centres of the boxes and corners of the lines; y grows downwards.

    A line goes straight down from the first corner to the second, then to the side to the third, straight
    down to the fourth, and so on: to the side it goes only between two ranks, where there are no boxes.
    """

    centres: list[Point]
    lines: list[list[Point]]
    width: float
    height: float


def layered(sizes: Sequence[Point], edges: Sequence[Edge]) -> Layout:
    """The layout of boxes of these sizes (width, height), with lines from box to box."""
    ranks = _ranks(len(sizes), edges)
    chains, ranks = _with_passages(edges, ranks)
    boxes = [*sizes, *((_PASSAGE, 0.0) for _ in range(len(ranks) - len(sizes)))]
    pieces = [piece for chain in chains for piece in pairwise(chain)]
    rows = _ordered(_rows(ranks, chains), pieces)
    weights = {piece: _weight(piece, len(sizes)) for piece in pieces}
    xs = _across(rows, boxes, weights)
    tops, bottoms = _down(rows, boxes, xs, pieces)
    heights = [max(boxes[node][1] for node in row) for row in rows]
    middles = [bottom - height / 2.0 for bottom, height in zip(bottoms, heights, strict=True)]
    lines = [_corners(chain, xs, ranks, boxes, middles, tops, bottoms) for chain in chains]
    centres = [(xs[i], middles[ranks[i]]) for i in range(len(sizes))]
    left = min(x - boxes[i][0] / 2.0 for i, x in enumerate(xs))
    right = max(x + boxes[i][0] / 2.0 for i, x in enumerate(xs))
    moved = [[(x - left, y) for x, y in line] for line in lines]
    return Layout([(x - left, y) for x, y in centres], moved, right - left, bottoms[-1])


# -- ranks -----------------------------------------------------------------------------------------------


def _ranks(count: int, edges: Sequence[Edge]) -> list[int]:
    """The rank of each node: one more than that of what it reads; sources right above their first reader."""
    reads: list[list[int]] = [[] for _ in range(count)]
    readers: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges:
        reads[b].append(a)
        readers[a].append(b)
    ranks = [0] * count
    for node in _topological(reads, readers):
        ranks[node] = max((ranks[a] + 1 for a in reads[node]), default=0)
    for node in range(count):
        if not reads[node] and readers[node]:
            ranks[node] = min(ranks[b] for b in readers[node]) - 1
    return ranks


def _topological(reads: Sequence[Sequence[int]], readers: Sequence[Sequence[int]]) -> list[int]:
    """Every node after what it reads."""
    waits = [len(r) for r in reads]
    order = [node for node, n in enumerate(waits) if not n]
    for node in order:  # which grows meanwhile
        for b in readers[node]:
            waits[b] -= 1
            if not waits[b]:
                order.append(b)
    return order


def _with_passages(edges: Sequence[Edge], ranks: list[int]) -> tuple[list[list[int]], list[int]]:
    """Each edge as the nodes that it passes, with a new one in every rank between; and all nodes' ranks."""
    chains, ranks = [], list(ranks)
    for a, b in edges:
        chain = [a]
        for rank in range(ranks[a] + 1, ranks[b]):
            chain.append(len(ranks))
            ranks.append(rank)
        chains.append([*chain, b])
    return chains, ranks


# -- the order in a rank -----------------------------------------------------------------------------------


def _rows(ranks: Sequence[int], chains: Sequence[Sequence[int]]) -> list[list[int]]:
    """The nodes of each rank, in the order in which one meets them from the top."""
    below: dict[int, list[int]] = {}
    for chain in chains:
        for a, b in pairwise(chain):
            below.setdefault(a, []).append(b)
    rows: list[list[int]] = [[] for _ in range(max(ranks) + 1)]
    seen: set[int] = set()
    stack = sorted(range(len(ranks)), key=lambda node: (ranks[node], node), reverse=True)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            rows[ranks[node]].append(node)
            stack.extend(reversed(below.get(node, [])))
    return rows


def _ordered(rows: list[list[int]], pieces: Sequence[Edge]) -> list[list[int]]:
    """The rows with few crossings: each sorted by the mean place of its neighbours, down and up by turns."""
    above, below = _neighbours(pieces)
    best, least = [list(row) for row in rows], _crossings(rows, below)
    for sweep in range(_SWEEPS):
        if not least:
            break
        down = sweep % 2 == 0
        order = range(1, len(rows)) if down else range(len(rows) - 2, -1, -1)
        for r in order:
            near = {node: i for i, node in enumerate(rows[r - 1 if down else r + 1])}
            links = above if down else below
            here = {node: float(i) for i, node in enumerate(rows[r])}
            for node in rows[r]:
                if places := [near[other] for other in links.get(node, [])]:
                    here[node] = sum(places) / len(places)
            rows[r] = sorted(rows[r], key=here.__getitem__)
        if (crossings := _crossings(rows, below)) < least:
            best, least = [list(row) for row in rows], crossings
    return best


def _neighbours(pieces: Sequence[Edge]) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    above: dict[int, list[int]] = {}
    below: dict[int, list[int]] = {}
    for a, b in pieces:
        above.setdefault(b, []).append(a)
        below.setdefault(a, []).append(b)
    return above, below


def _crossings(rows: Sequence[Sequence[int]], below: dict[int, list[int]]) -> int:
    total = 0
    for upper, lower in pairwise(rows):
        place = {node: i for i, node in enumerate(lower)}
        ends = [sorted(place[b] for b in below.get(node, [])) for node in upper]
        flat = [end for group in ends for end in group]
        total += sum(a > b for i, a in enumerate(flat) for b in flat[i + 1 :])
    return total


# -- coordinates -------------------------------------------------------------------------------------------


def _weight(piece: Edge, boxes: int) -> float:
    """How much a piece of a line wants to be straight: long lines most, and their ends least."""
    passages = sum(node >= boxes for node in piece)
    return (3.0, 1.0, 8.0)[passages]


def _across(rows: Sequence[Sequence[int]], boxes: Sequence[Point], weights: dict[Edge, float]) -> list[float]:
    """The x of every node: near its neighbours above and below, in order, and apart from one another.

    A node that is alone in its rank stays in the middle: without that every residual block would lie farther
    to the side than the one above it.
    """
    xs = [0.0] * len(boxes)
    for row in rows:
        start = -sum(boxes[node][0] + _BESIDE for node in row) / 2.0
        for node in row:
            xs[node] = start + boxes[node][0] / 2.0
            start += boxes[node][0] + _BESIDE
    moving = [row for row in rows if len(row) > 1]
    links: dict[int, list[tuple[int, float, bool]]] = {}
    for (a, b), weight in weights.items():
        links.setdefault(a, []).append((b, weight, False))
        links.setdefault(b, []).append((a, weight, True))
    for sweep in range(5 * _SWEEPS):
        # first by the ranks above and below by turns, then by both, in the end without going too far
        side = None if sweep >= _SWEEPS else sweep % 2 == 0
        over = _OVER if _SWEEPS <= sweep < 4 * _SWEEPS else 1.0
        for row in moving if sweep % 2 == 0 else reversed(moving):
            wanted, pulls = [], []
            for node in row:
                near = [(xs[b], w) for b, w, is_above in links.get(node, []) if side in (None, is_above)]
                pull = sum(w for _, w in near)
                mean = sum(x * w for x, w in near) / pull if near else xs[node]
                wanted.append(xs[node] + over * (mean - xs[node]))
                pulls.append(pull or 0.1)
            gaps = _gaps(row, boxes)
            for node, x in zip(row, spread(wanted, pulls, gaps), strict=True):
                xs[node] = x
    return _straightened(rows, boxes, xs, list(weights))


def _straightened(
    rows: Sequence[Sequence[int]], boxes: Sequence[Point], xs: list[float], pieces: Sequence[Edge]
) -> list[float]:
    """The x with one for all nodes that follow one another without a fork, where there is room for it."""
    above, below = _neighbours(pieces)
    run = list(range(len(xs)))
    for row in rows:
        for node in row:
            if len(links := above.get(node, [])) == 1 and len(below[links[0]]) == 1:
                run[node] = run[links[0]]
    for _ in range(10 * _SWEEPS):
        of_runs: dict[int, list[float]] = {}
        for node, first in enumerate(run):
            of_runs.setdefault(first, []).append(xs[node])
        if all(max(places) - min(places) < 0.1 for places in of_runs.values()):
            break
        means = {first: sum(places) / len(places) for first, places in of_runs.items()}
        for row in rows:
            lengths = [float(len(of_runs[run[node]])) for node in row]
            for node, x in zip(
                row, spread([means[run[n]] for n in row], lengths, _gaps(row, boxes)), strict=True
            ):
                xs[node] = x
    return xs


def _gaps(row: Sequence[int], boxes: Sequence[Point]) -> list[float]:
    """How far the centres of neighbours are apart at least."""
    return [(boxes[a][0] + boxes[b][0]) / 2.0 + _BESIDE for a, b in pairwise(row)]


def spread(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """The x with least Σ w·(x − wanted)² that are apart by ``gaps`` at least, from left to right.

    Without the gaps that is isotonic regression: neighbours that would pass each other become one block at
    their mean.
    """
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for x, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, count = x - offset, 1
        while blocks and blocks[-1][0] > mean:
            before, heavy, n = blocks.pop()
            mean = (mean * weight + before * heavy) / (weight + heavy)
            weight, count = weight + heavy, count + n
        blocks.append((mean, weight, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _down(
    rows: Sequence[Sequence[int]], boxes: Sequence[Point], xs: Sequence[float], pieces: Sequence[Edge]
) -> tuple[list[float], list[float]]:
    """Where each rank begins and ends: farther below the last one where lines go far to the side."""
    rank_of = {node: r for r, row in enumerate(rows) for node in row}
    aside = [0.0] * len(rows)
    for a, b in pieces:
        aside[rank_of[b]] = max(aside[rank_of[b]], abs(xs[a] - xs[b]))
    tops, bottoms, y = [], [], 0.0
    for r, row in enumerate(rows):
        y += min(_LEAST_BELOW + 0.12 * aside[r], _MOST_BELOW) if r else 0.0
        tops.append(y)
        y += (_STRAIGHT if r else 0.0) + max(boxes[node][1] for node in row)
        bottoms.append(y)
    return tops, bottoms


def _corners(
    chain: Sequence[int],
    xs: Sequence[float],
    ranks: Sequence[int],
    boxes: Sequence[Point],
    middles: Sequence[float],
    tops: Sequence[float],
    bottoms: Sequence[float],
) -> list[Point]:
    first, last = chain[0], chain[-1]
    corners = [(xs[first], middles[ranks[first]] + boxes[first][1] / 2.0)]
    for a, b in pairwise(chain):
        corners += [(xs[a], bottoms[ranks[a]]), (xs[b], tops[ranks[b]])]
    return [*corners, (xs[last], middles[ranks[last]] - boxes[last][1] / 2.0)]
