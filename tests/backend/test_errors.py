"""The exceptions: what they are to `except`, and the place that `located` adds."""

from __future__ import annotations

import inspect

import pytest

from nnx import errors

HERE = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if cls.__module__ == errors.__name__]
ALL = [cls for cls in HERE if not issubclass(cls, Warning)]


@pytest.mark.parametrize("cls", ALL)
def test_every_error_is_an_nnx_error_and_one_of_pythons_own(cls):
    assert issubclass(cls, errors.NnxError)
    if cls is not errors.NnxError:
        assert len([base for base in cls.__mro__ if base.__module__ == "builtins"]) > 3  # Exception has three
    assert cls.__doc__


@pytest.mark.parametrize("name", ["BackendNotInstalled", "NoUsableDevice", "IncompleteLibraries"])
def test_the_three_reasons_are_distinct_and_share_a_base(name):
    assert issubclass(getattr(errors, name), errors.BackendUnavailable)
    assert issubclass(getattr(errors, name), RuntimeError)


def test_located_adds_the_places_from_the_inside_out_and_keeps_the_exception():
    error = errors.ShapeError("expects 784 features, got 783.")
    with (
        pytest.raises(errors.ShapeError) as caught,
        errors.located(lambda: "batch 17"),
        errors.located(lambda: "in layer 2 (Dense) of Sequential"),
    ):
        raise error
    assert caught.value is error
    assert caught.value.__notes__ == ["  in layer 2 (Dense) of Sequential", "  batch 17"]


def test_located_formats_nothing_when_all_is_well_and_leaves_an_interrupt_alone():
    def never() -> str:
        raise AssertionError("formatted on the happy path")

    with errors.located(never):
        pass
    with pytest.raises(KeyboardInterrupt), errors.located(never):
        raise KeyboardInterrupt
