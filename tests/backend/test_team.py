"""Blocks spread over the cores: what comes back, in which order, and what an error leaves."""

import threading
import time

import numpy as np
import pytest

from nnx.backend import team, threads
from nnx.backend.team import Team


@pytest.fixture
def two_cores(monkeypatch):
    """A team that takes BLAS to have two threads, on any machine; it notes what it tells BLAS."""

    class Library:
        def __init__(self):
            self.said = []

        def get_num_threads(self):
            return 2

        def set_num_threads(self, n):
            self.said.append(n)

    library = Library()
    monkeypatch.setattr(team, "_libraries", lambda: (library,))
    monkeypatch.setattr(team, "cores", lambda: 2)
    made = Team()
    made.library = library
    return made


def test_results_come_in_the_order_of_the_blocks(two_cores):
    def slow_if_even(k):
        time.sleep(0.004 if k % 2 == 0 else 0.0)
        return k, threading.get_ident()

    found = list(two_cores.each(slow_if_even, range(9)))
    assert [k for k, _ in found] == list(range(9))
    assert threading.get_ident() not in {who for _, who in found}
    assert two_cores.library.said == [1, 2]  # held once, and given back


def test_no_more_than_a_few_blocks_are_under_way(two_cores):
    begun = []
    results = two_cores.each(lambda k: begun.append(k) or k, iter(range(100)))
    assert next(results) == 0
    assert len(begun) <= 3
    results.close()
    assert two_cores.library.said == [1, 2]


def test_an_error_of_a_block_is_raised_and_blas_given_back(two_cores):
    def third(k):
        if k == 2:
            raise ValueError("block 2")
        return k

    found = []
    with pytest.raises(ValueError, match="block 2"):
        found.extend(two_cores.each(third, range(5)))
    assert two_cores.library.said == [1, 2]


def test_a_single_block_is_left_to_the_caller_and_to_blas(two_cores):
    assert list(two_cores.each(lambda k: threading.get_ident(), [0])) == [threading.get_ident()]
    assert list(two_cores.each(abs, [])) == []
    assert two_cores.library.said == []


def test_blocks_are_computed_in_the_context_of_the_caller(two_cores):
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        list(two_cores.each(lambda k: np.exp(np.asarray([1e4])), range(4)))


def test_without_cores_to_share_the_caller_does_it_all(two_cores, monkeypatch):
    monkeypatch.setattr(team, "cores", lambda: 1)
    assert set(two_cores.each(lambda k: threading.get_ident(), range(3))) == {threading.get_ident()}
    assert threads.cores() >= 1
