"""Stable fluids: which initial wind blows smoke into a wanted shape, on a periodic grid.

Advection looks back along the velocity and interpolates (the cells are integers that depend on the
velocity); the pressure is solved by Jacobi iterations. Source: J. Stam, "Stable fluids", SIGGRAPH 1999.
"""

import numpy as np


def without_divergence(vx, vy):
    divergence = 0.5 * (
        np.roll(vx, -1, axis=0) - np.roll(vx, 1, axis=0) + np.roll(vy, -1, 1) - np.roll(vy, 1, 1)
    )
    p = np.zeros(divergence.shape)
    for _ in range(6):
        p = (np.roll(p, 1, 0) + np.roll(p, -1, 0) + np.roll(p, 1, 1) + np.roll(p, -1, 1) - divergence) / 4.0
    vx = vx - 0.5 * (np.roll(p, -1, axis=0) - np.roll(p, 1, axis=0))
    vy = vy - 0.5 * (np.roll(p, -1, axis=1) - np.roll(p, 1, axis=1))
    return vx, vy


def advected(f, vx, vy):
    rows, columns = f.shape
    ys, xs = np.meshgrid(np.arange(columns), np.arange(rows))
    from_x, from_y = xs - vx, ys - vy
    left, top = np.floor(from_x).astype(int), np.floor(from_y).astype(int)
    right_weight, bottom_weight = from_x - left, from_y - top
    left, right = left % rows, (left + 1) % rows
    top, bottom = top % columns, (top + 1) % columns
    upper = (1 - right_weight) * f[left, top] + right_weight * f[right, top]
    lower = (1 - right_weight) * f[left, bottom] + right_weight * f[right, bottom]
    return (1 - bottom_weight) * upper + bottom_weight * lower


def misfit(vx, vy, smoke, wanted):
    """The mean squared difference of smoke after three steps to the wanted picture."""
    for _ in range(3):
        vx, vy = advected(vx, vx, vy), advected(vy, vx, vy)
        vx, vy = without_divergence(vx, vy)
        smoke = advected(smoke, vx, vy)
    return np.mean((smoke - wanted) ** 2)


def example():
    """The function, where it is differentiated, its data."""
    random = np.random.default_rng(9)
    x, y = np.mgrid[0:8, 0:9]
    smoke = np.exp(-0.2 * ((x - 3.0) ** 2 + (y - 4.0) ** 2))
    wanted = np.exp(-0.2 * ((x - 4.0) ** 2 + (y - 5.0) ** 2))
    wind = (0.4 + 0.1 * random.uniform(size=(8, 9)), 0.4 + 0.1 * random.uniform(size=(8, 9)))
    return misfit, wind, (smoke, wanted)
