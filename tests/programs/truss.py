"""A truss by the direct stiffness method: how much it gives, a function of its bars and of its joints.

Source: O. C. Zienkiewicz, R. L. Taylor, *The Finite Element Method*, 5th edition, Butterworth 2000, volume 1,
chapter 1.
"""

import numpy as np

CANNOT = {"autograd", "jax"}  # it writes into arrays


def compliance(areas, joints, bars, free, load):
    """The work of the load: its displacement times the load; the stiffness is assembled bar by bar."""
    stiffness = np.zeros((joints.size, joints.size), like=areas)
    for area, (i, j) in zip(areas, bars, strict=True):
        direction = joints[j] - joints[i]
        length = np.sqrt(direction @ direction)
        block = area / length**3 * np.outer(direction, direction)
        places = [2 * i, 2 * i + 1, 2 * j, 2 * j + 1]
        stiffness[np.ix_(places, places)] += np.block([[block, -block], [-block, block]])
    displacement = np.linalg.solve(stiffness[np.ix_(free, free)], load)
    return load @ displacement


def example():
    """The function, where it is differentiated, its data."""
    joints = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.1], [2.0, 0.1]])
    bars = [(0, 2), (1, 2), (1, 3), (0, 3), (2, 3), (2, 4), (3, 4)]
    free, load = np.arange(4, 10), np.array([0.0, 0.0, 0.0, -0.2, 0.1, -1.0])
    return compliance, (np.linspace(1.0, 2.0, len(bars)), joints), (bars, free, load)
