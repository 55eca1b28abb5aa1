"""A hologram's phases: light is propagated by its angular spectrum, and its intensity compared.

Source: J. W. Goodman, *Introduction to Fourier Optics*, 3rd edition, Roberts 2005, section 3.10.
"""

import numpy as np

CANNOT = {"autograd"}  # lacks the attributes real and imag


def propagated(field, distance, wavelength, pitch):
    """The complex field after ``distance``; waves beyond 1/wavelength do not travel."""
    fy = np.fft.fftfreq(field.shape[0], pitch)[:, None]
    fx = np.fft.fftfreq(field.shape[1], pitch)[None, :]
    squared = 1.0 / wavelength**2 - fx**2 - fy**2
    transfer = np.where(squared > 0, np.exp(2j * np.pi * distance * np.sqrt(np.maximum(squared, 0.0))), 0.0)
    return np.fft.ifft2(np.fft.fft2(field) * transfer)


def cost(phase, amplitude, wanted):
    """The mean squared error of the intensity, and of a second plane's by real and imaginary part."""
    field = amplitude * np.exp(1j * phase)
    near = propagated(field, 20e-6, 0.5e-6, 1e-6)
    far = propagated(near, 30e-6, 0.5e-6, 1e-6)
    first = np.mean((np.abs(near) ** 2 - wanted) ** 2)
    return first + np.mean((far.real**2 + far.imag**2 - wanted) ** 2)


def example():
    """The function, where it is differentiated, its data."""
    random = np.random.default_rng(13)
    y, x = np.mgrid[-1:1:8j, -1:1:10j]
    amplitude = np.exp(-(x**2) - y**2)
    return cost, (random.uniform(-1.0, 1.0, (8, 10)),), (amplitude, (np.abs(x) < 0.5) * 0.8)
