"""Figures of pyplot are closed after each test."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _figures_are_closed():
    from matplotlib import pyplot as plt

    before = plt.get_fignums()
    yield
    for number in set(plt.get_fignums()) - set(before):
        plt.close(number)
