"""Planets under their mutual attraction: leapfrog steps in place, the forces added up pair by pair.

Source: L. Verlet, "Computer 'experiments' on classical fluids", Phys. Rev. 159 (1967) 98–103; the start is
that of the figure-eight orbit: A. Chenciner, R. Montgomery, Annals of Mathematics 152 (2000) 881–901.
"""

import numpy as np

CANNOT = {"autograd", "jax"}  # it writes into arrays


def accelerations(positions, masses):
    a = np.zeros_like(positions)
    n = len(positions)
    for i in range(n):
        for j in range(i + 1, n):
            gap = positions[j] - positions[i]
            pull = gap / (np.linalg.norm(gap) ** 3 + 1e-3)
            a[i] += masses[j] * pull
            a[j] -= masses[i] * pull
    return a


def energy(positions, velocities, masses):
    total = 0.5 * (masses * (velocities**2).sum(axis=1)).sum()
    for i in range(len(positions)):
        for j in range(i):
            total -= masses[i] * masses[j] / np.linalg.norm(positions[i] - positions[j])
    return total


def miss(positions, velocities, masses):
    """How far the bodies are, after eight steps, from where they were; and the energy, weighted."""
    x, v = positions.copy(), velocities.copy()
    dt = 0.05
    v += 0.5 * dt * accelerations(x, masses)
    for _ in range(8):
        x += dt * v
        v += dt * accelerations(x, masses)
    return np.linalg.norm(x - positions) ** 2 + 0.1 * energy(x, v, masses)


def example():
    """The function, where it is differentiated, its data."""
    positions = np.array([[0.97000436, -0.24308753], [-0.97000436, 0.24308753], [0.02, 0.01]])
    velocities = np.array([[0.46620368, 0.43236573], [0.46620368, 0.43236573], [-0.93240737, -0.86473146]])
    return miss, (positions, velocities, np.array([1.0, 1.1, 0.9])), ()
