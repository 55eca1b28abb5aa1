"""A walk stands for the tests that it joins: nothing is left out, and what failed has its name."""

from __future__ import annotations

import inspect

import pytest
import walks
from walks import walk

seen: list[tuple[int, int]] = []


@walk("n", range(3))
@pytest.mark.parametrize("m", [1, 2])
def test_fixtures_and_parameters_come_as_ever(n, m, tmp_path):
    assert tmp_path.is_dir()
    seen.append((n, m))


def test_every_case_has_run():
    assert seen == [(n, m) for m in (1, 2) for n in range(3)]


@walk("n, name", [(1, "one"), (0, "zero"), (2, "two"), (3, "three"), (4, "four")], ids=lambda case: case[1])
def divides(n, name, by):
    if name == "three":
        pytest.skip("unseen")
    with pytest.raises(ZeroDivisionError):
        by % n
    assert n == 0


def test_all_failures_are_told_together():
    assert list(inspect.signature(divides).parameters) == ["by"]
    with pytest.raises(BaseExceptionGroup) as caught:
        divides(by=8)
    assert caught.value.message == "4 of 5 cases failed: one, two, three, four"
    assert [e.__notes__ for e in caught.value.exceptions] == [
        [f"in the case {name}"] for name in ("one", "two", "three", "four")
    ]


def test_cases_are_chosen_by_a_part_of_their_names(monkeypatch):
    monkeypatch.setattr(walks, "chosen", "zero")
    divides(by=8)
    monkeypatch.setattr(walks, "chosen", "five")
    with pytest.raises(pytest.skip.Exception, match="no case of divides has 'five' in its name"):
        divides(by=8)


def test_a_walk_without_cases_is_refused():
    with pytest.raises(ValueError, match="would check nothing"):
        walk("n", [])
