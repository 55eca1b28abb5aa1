"""Splitting data into a part to train on and a part to test on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnx.backend import Stream, adapter_of, device_of, given, next_seed, philox, to_numpy
from nnx.errors import DataError, OptionError, ShapeError
from nnx.options import Seed, truth
from nnx.utils.arguments import row_count


def train_test_split(
    *arrays: Any,
    test_size: float | None = None,
    train_size: float | None = None,
    random_state: int | None = None,
    shuffle: bool = True,
    stratify: Any = None,
    seed: int | None = None,
) -> list[Any]:
    """Returns ``[a_train, a_test, b_train, b_test, …]``: each array split at random, rows kept together.

    ``test_size`` and ``train_size`` are fractions (floats between 0 and 1) or numbers of rows (integers); of
    the two, what is not given is the rest, and 0.25 is tested on if neither is. ``shuffle=False`` takes the
    last rows for testing. ``stratify`` (class labels, one per row) keeps the classes' proportions in both
    parts. ``seed`` (or, as in scikit-learn, ``random_state``) fixes the choice; without it the library-wide
    seed decides; it is a whole number from 0 to 2⁶⁴ − 1. Lists come back as lists, arrays in their own
    library.

    Raises :class:`nnx.errors.ShapeError` where lengths differ, :class:`nnx.errors.OptionError` for sizes that
    are impossible, :class:`nnx.errors.DataError` where a class has fewer than two rows.
    Source: scikit-learn's ``train_test_split``.

    >>> x, y = np.arange(10).reshape(5, 2), [0, 1, 2, 3, 4]
    >>> x_train, x_test, y_train, y_test = nnx.utils.train_test_split(x, y, test_size=0.4, shuffle=False)
    >>> y_train, y_test
    ([0, 1, 2], [3, 4])
    """
    if not arrays:
        raise OptionError("train_test_split: give at least one array.")
    if seed is not None and random_state is not None:
        raise OptionError("train_test_split: seed and random_state are two names of one thing: give one.")
    shuffle = truth("train_test_split", "shuffle", shuffle)
    lengths = [row_count(array) for array in arrays]
    if len(set(lengths)) > 1:
        raise ShapeError(f"train_test_split: arrays must have equally many rows, got {lengths}.")
    n_train, n_test = _part_sizes(lengths[0], test_size, train_size)
    if not shuffle:
        if stratify is not None:
            raise OptionError("train_test_split: stratify needs shuffle=True.")
        order = np.arange(n_train + n_test)
        train, test = order[:n_train], order[n_train:]
    else:
        own = Seed()("train_test_split", "seed", seed if seed is not None else random_state)
        chosen = next_seed() if own is None else own
        # The order of raw Philox numbers: it does not depend on NumPy's version.
        keys = philox.uniform(Stream(chosen, philox.SHUFFLE), (lengths[0],))
        if stratify is None:
            order = np.argsort(keys, kind="stable")
            test, train = order[:n_test], order[n_test : n_test + n_train]
        else:
            train, test = _stratified(stratify, keys, n_train, n_test)
    return [_take(array, rows) for array in arrays for rows in (train, test)]


def _part_sizes(n: int, test_size: float | None, train_size: float | None) -> tuple[int, int]:
    if test_size is None and train_size is None:
        test_size = 0.25
    n_test = None if test_size is None else _part_size("test_size", test_size, n, math.ceil)
    n_train = None if train_size is None else _part_size("train_size", train_size, n, math.floor)
    if n_train is None:
        n_train = n - (n_test or 0)
    if n_test is None:
        n_test = n - n_train
    if n_train < 1 or n_test < 1 or n_train + n_test > n:
        raise OptionError(
            f"train_test_split: {n} rows cannot give {n_train} for training and {n_test} for testing "
            f"(test_size={test_size!r}, train_size={train_size!r}): each needs 1 or more."
        )
    return n_train, n_test


def _part_size(name: str, size: float, n: int, rounded: Any) -> int:
    if isinstance(size, float | np.floating) and 0 < size < 1:
        return int(rounded(size * n))
    if isinstance(size, int | np.integer) and not isinstance(size, bool) and size >= 1:
        return int(size)
    raise OptionError(
        f"train_test_split: {name} must be a fraction between 0 and 1 or a number of rows of at least 1, "
        f"got {size!r}."
    )


def _stratified(labels: Any, keys: np.ndarray, n_train: int, n_test: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers for training and testing in which each class has its share, at least one in both."""
    if row_count(labels) != keys.size:
        raise ShapeError(f"train_test_split: stratify has {row_count(labels)} labels for {keys.size} rows.")
    table = to_numpy(given(labels, "stratify", real=False, on_host=True)).reshape(keys.size, -1)
    one_hot = table.shape[1] > 1
    classes, member, counts = np.unique(
        table if one_hot else table[:, 0],
        axis=0 if one_hot else None,
        return_inverse=True,
        return_counts=True,
    )
    if counts.min() < 2:
        lonely = classes[counts.argmin()].tolist()
        raise DataError(f"train_test_split: stratify needs at least 2 rows of each class, {lonely!r} has 1.")
    if min(n_train, n_test) < counts.size:
        raise OptionError(
            f"train_test_split: {n_train} rows for training and {n_test} for testing cannot both hold each "
            f"of the {counts.size} classes."
        )
    of_test = _shares(counts, n_test, most=counts - 1)
    of_train = _shares(counts, n_train, most=counts - of_test)
    order = np.argsort(keys, kind="stable")
    of_class = [order[member.reshape(-1)[order] == c] for c in range(counts.size)]
    test = np.concatenate([rows[:k] for rows, k in zip(of_class, of_test, strict=True)])
    train = np.concatenate([rows[k : k + m] for rows, k, m in zip(of_class, of_test, of_train, strict=True)])
    return train[np.argsort(keys[train], kind="stable")], test[np.argsort(keys[test], kind="stable")]


def _shares(counts: np.ndarray, total: int, most: np.ndarray) -> np.ndarray:
    """``total`` divided in proportion to ``counts`` by the largest remainders, each from 1 to ``most``."""
    exact = total * counts / counts.sum()
    shares = np.clip(np.floor(exact).astype(np.int64), 1, most)
    while rest := total - int(shares.sum()):
        step = 1 if rest > 0 else -1
        movable = shares < most if rest > 0 else shares > 1
        shares[np.argmax(np.where(movable, step * (exact - shares), -np.inf))] += step
    return shares


def _take(array: Any, rows: np.ndarray) -> Any:
    if isinstance(array, list | tuple):
        return [array[i] for i in rows.tolist()]
    adapter, device = adapter_of(array), device_of(array)
    return adapter.take_rows(array, adapter.asarray(rows, device=device))
