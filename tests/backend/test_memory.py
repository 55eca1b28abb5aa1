"""Memory that is used again: only what nobody has an array of."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from nnx.backend.memory import reused

SHAPE = (64, 512)


def place(array):
    return array.__array_interface__["data"][0]


@pytest.fixture(autouse=True)
def _own_blocks(monkeypatch):
    monkeypatch.setattr("nnx.backend.memory._blocks.kept", [])


def test_memory_is_used_again_once_the_array_is_gone():
    first = reused(SHAPE, "float64")
    where = place(first)
    del first
    again = reused(SHAPE, "float32")  # half the size: another block
    assert place(again) != where or again.nbytes > 64 * 512 * 4
    assert place(reused(SHAPE, "float64")) == where


@pytest.mark.parametrize(
    "keep", [lambda a: a, lambda a: a[3:, ::2].T, lambda a: memoryview(a), lambda a: [a.reshape(-1)[5:9]]]
)
def test_what_somebody_has_a_view_of_is_left_alone(keep):
    held = keep(reused(SHAPE, "float64"))
    others = [reused(SHAPE, "float64") for _ in range(3)]
    arrays = [np.asarray(held[0] if isinstance(held, list) else held), *others]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[i + 1 :])


def test_only_so_many_blocks_are_kept():
    from nnx.backend import memory

    arrays = [reused(SHAPE, "float64") for _ in range(40)]
    assert len(memory._blocks.kept) == memory._MOST
    assert len({place(a) for a in arrays}) == 40


def test_small_and_huge_arrays_are_numpys():
    from nnx.backend import memory

    assert reused((3,), "float32").base is None
    assert reused((0, 4), "float32").shape == (0, 4)
    assert reused((memory._LARGEST // 8 + 1,), "float64").base is None
    assert memory._blocks.kept == []


def test_each_thread_has_its_own():
    mine = place(reused(SHAPE, "float64"))
    found = []
    thread = threading.Thread(target=lambda: found.append(place(reused(SHAPE, "float64"))))
    thread.start()
    thread.join()
    assert found != [mine]
