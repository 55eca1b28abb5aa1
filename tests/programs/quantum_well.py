"""Electrons in a potential: energies and density of the lowest states, from a Hamiltonian on a grid.

Source: J. M. Thijssen, *Computational Physics*, 2nd edition, Cambridge 2007, chapter 2 and appendix A.7.
"""

import numpy as np

CANNOT = {"autograd"}  # lacks trapezoid


def cost(depths, widths, x, wanted):
    """The energy of two electrons in a well made of Gaussians, and their density against a wanted one."""
    h = x[1] - x[0]
    potential = -np.sum(depths[:, None] * np.exp(-((x[None, :] - widths[:, None]) ** 2)), axis=0)
    n = x.size
    kinetic = (np.eye(n) - 0.5 * np.eye(n, k=1) - 0.5 * np.eye(n, k=-1)) / h**2
    energies, states = np.linalg.eigh(kinetic + np.diag(potential))
    density = (np.abs(states[:, :2]) ** 2).sum(axis=1) / h
    return energies[:2].sum() + 5.0 * np.trapezoid((density - wanted) ** 2, x)


def example():
    """The function, where it is differentiated, its data."""
    x = np.linspace(-4.0, 4.0, 21)
    wanted = np.exp(-((x - 1.0) ** 2)) + np.exp(-((x + 1.0) ** 2))
    return cost, (np.array([2.0, 1.6]), np.array([-0.9, 1.2])), (x, wanted / np.sqrt(np.pi))
