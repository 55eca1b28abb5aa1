"""Einstein's summation: ``np.einsum`` by matrix products.

First each operand loses its repeated labels (by diagonals) and the labels that nothing else has (by sums).
Then pairs are contracted, the smallest intermediate result first. A label of a pair is a batch label (both
operands have it and it is still needed), a summed label (both have it and nothing else does) or a free one:
after permuting and reshaping, that is one product of (batch, free, sum) and (batch, sum, free) matrices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

from nnx.autodiff.numpy_api.choosing import diagonal
from nnx.autodiff.numpy_api.table import arrays, cast, stands_for

#: A label is a letter, a number (of a sublist), or "...k": the k-th axis from the right of an ellipsis.
Labels = list[Any]


@stands_for("einsum")
def einsum(xp: Any, *operands: Any, out: Any = None, optimize: Any = False, dtype: Any = None) -> Any:
    """``np.einsum`` in all of its forms: "ij,jk->ik", without "->", with "...", with lists of integers."""
    inputs, output, given = _parsed(operands)
    terms = [cast(xp, x, dtype) for x in arrays(xp, *given)]
    labels = [_spread(part, x.ndim) for part, x in zip(inputs, terms, strict=True)]
    result = _result(labels, output)
    terms, labels = _without_ones(xp, terms, labels)
    work = [
        _alone(xp, x, part, _needed(labels, i, result))
        for i, (x, part) in enumerate(zip(terms, labels, strict=True))
    ]
    while len(work) > 1:
        i, j = _cheapest(work, result)
        others = [w for k, w in enumerate(work) if k not in (i, j)]
        needed = {*result, *(label for _, part in others for label in part)}
        work = [*others, _pair(xp, *work[i], *work[j], needed)]
    x, part = work[0]
    return x if part == result else xp.permute_dims(x, tuple(part.index(label) for label in result))


def _parsed(operands: Sequence[Any]) -> tuple[list[Labels], Labels | None, Sequence[Any]]:
    """The labels of the inputs and of the output (None if left to the rule), and the arrays."""
    if type(operands[0]) is str:
        before, arrow, after = operands[0].replace(" ", "").partition("->")
        inputs = [_letters(part) for part in before.split(",")]
        if len(inputs) != len(operands) - 1:
            raise ValueError(
                f"np.einsum: {operands[0]!r} has {len(inputs)} terms, given {len(operands) - 1}."
            )
        return inputs, _letters(after) if arrow else None, operands[1:]
    n = len(operands) // 2
    return (
        [list(operands[2 * i + 1]) for i in range(n)],
        list(operands[-1]) if len(operands) % 2 else None,
        [operands[2 * i] for i in range(n)],
    )


def _letters(part: str) -> Labels:
    before, dots, after = part.partition("...")
    return [*before, *([Ellipsis] if dots else []), *after]


def _spread(labels: Labels, ndim: int) -> Labels:
    """Labels with one for each axis of the ellipsis."""
    if Ellipsis not in labels:
        if len(labels) != ndim:
            raise ValueError(f"np.einsum: {len(labels)} labels for an array of {ndim} dimensions.")
        return labels
    i, n = labels.index(Ellipsis), ndim - len(labels) + 1
    return [*labels[:i], *(f"...{k}" for k in range(n - 1, -1, -1)), *labels[i + 1 :]]


def _result(inputs: list[Labels], output: Labels | None) -> Labels:
    every = [label for labels in inputs for label in labels]
    dots = sorted({label for label in every if _of_ellipsis(label)}, key=lambda s: -int(s[3:]))
    if output is None:
        once = sorted(label for label in set(every) if every.count(label) == 1 and not _of_ellipsis(label))
        return [*dots, *once]
    if Ellipsis in output:
        i = output.index(Ellipsis)
        return [*output[:i], *dots, *output[i + 1 :]]
    return output


def _of_ellipsis(label: Any) -> bool:
    return type(label) is str and label.startswith("...")


def _without_ones(xp: Any, terms: list[Any], labels: list[Labels]) -> tuple[list[Any], list[Labels]]:
    """Drops axes of length 1 that broadcast against other operands' axes of the same label."""
    size: dict[Any, int] = {}
    for x, part in zip(terms, labels, strict=True):
        for label, n in zip(part, x.shape, strict=True):
            if size.get(label, 1) != n != 1 and size.get(label, 1) != 1:
                raise ValueError(f"np.einsum: the label {label!r} stands for {size[label]} and for {n}.")
            size[label] = max(size.get(label, 1), n) if n else 0
    out_terms, out_labels = [], []
    for x, part in zip(terms, labels, strict=True):
        kept = [(label, n) for label, n in zip(part, x.shape, strict=True) if n != 1 or size[label] == 1]
        out_terms.append(x if len(kept) == x.ndim else xp.reshape(x, tuple(n for _, n in kept)))
        out_labels.append([label for label, _ in kept])
    return out_terms, out_labels


def _needed(labels: list[Labels], own: int, result: Labels) -> set[Any]:
    return {*result, *(label for i, part in enumerate(labels) if i != own for label in part)}


def _alone(xp: Any, x: Any, labels: Labels, needed: Iterable[Any]) -> tuple[Any, Labels]:
    """One operand with each label once, and only labels that something else needs."""
    labels = list(labels)
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            x = diagonal(xp, x, 0, i, j)
            labels = [part for k, part in enumerate(labels) if k not in (i, j)] + [label]
    axes = tuple(i for i, label in enumerate(labels) if label not in needed)
    return (xp.sum(x, axis=axes) if axes else x), [label for label in labels if label in needed]


def _cheapest(work: list[tuple[Any, Labels]], result: Labels) -> tuple[int, int]:
    """The pair whose product is the smallest."""

    def size(pair: tuple[int, int]) -> int:
        lengths = {k: n for i in pair for k, n in zip(work[i][1], work[i][0].shape, strict=True)}
        needed = {*result, *(k for i, (_, part) in enumerate(work) if i not in pair for k in part)}
        return math.prod(n for k, n in lengths.items() if k in needed)

    return (0, 1) if len(work) == 2 else min(combinations(range(len(work)), 2), key=size)


def _pair(xp: Any, a: Any, a_labels: Labels, b: Any, b_labels: Labels, needed: Any) -> tuple[Any, Labels]:
    """The contraction of two operands over the labels that nothing else needs."""
    length = dict(zip(a_labels, a.shape, strict=True)) | dict(zip(b_labels, b.shape, strict=True))
    both = [k for k in a_labels if k in b_labels]
    batch, summed = [k for k in both if k in needed], [k for k in both if k not in needed]
    free_a, free_b = ([k for k in part if k not in both] for part in (a_labels, b_labels))
    result = [*batch, *free_a, *free_b]
    if not summed:
        x = _ordered(xp, a, a_labels, [*batch, *free_a])
        x = xp.reshape(x, (*x.shape, *(1,) * len(free_b)))
        y = _ordered(xp, b, b_labels, [*batch, *free_b])
        n = len(batch)
        return x * xp.reshape(y, (*y.shape[:n], *(1,) * len(free_a), *y.shape[n:])), result

    def matrices(x: Any, labels: Labels, *groups: Labels) -> Any:
        shape = tuple(length[k] for k in batch) + tuple(math.prod(length[k] for k in g) for g in groups)
        x = _ordered(xp, x, labels, [*batch, *(k for g in groups for k in g)])
        return x if tuple(x.shape) == shape else xp.reshape(x, shape)

    product = matrices(a, a_labels, free_a, summed) @ matrices(b, b_labels, summed, free_b)
    shape = tuple(length[k] for k in result)
    return product if tuple(product.shape) == shape else xp.reshape(product, shape), result


def _ordered(xp: Any, x: Any, labels: Labels, order: Labels) -> Any:
    return x if labels == order else xp.permute_dims(x, tuple(labels.index(k) for k in order))
