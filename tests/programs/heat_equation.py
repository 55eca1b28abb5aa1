"""Heat on a plate by explicit steps, written into the interior by slices; the initial state is sought.

Source: R. Courant, K. Friedrichs, H. Lewy, "Über die partiellen Differenzengleichungen der mathematischen
Physik", Math. Ann. 100 (1928) 32–74 (the scheme and its limit of stability).
"""

import numpy as np

CANNOT = {"autograd", "jax"}  # it writes into arrays


def misfit(initial, conductivity, measured):
    """The mean squared difference to what was measured after 12 steps; the edge keeps its temperature."""
    u = initial.copy()
    for _ in range(12):
        laplacian = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4.0 * u[1:-1, 1:-1]
        u[1:-1, 1:-1] += 0.2 * conductivity * laplacian
    u -= measured
    return np.mean(np.square(u))


def example():
    """The function, where it is differentiated, its data."""
    random = np.random.default_rng(8)
    conductivity = 0.5 + 0.5 * random.uniform(size=(8, 10))
    return misfit, (random.normal(size=(10, 12)), conductivity), (0.3 * random.normal(size=(10, 12)),)
