"""The hologram of ``programs/optics.py``, written against the array API standard and its ``fft``."""

import math

from array_api_compat import array_namespace, device


def propagated(xp, field, distance, wavelength, pitch, where):
    fy = xp.fft.fftfreq(field.shape[0], d=pitch, dtype=xp.float64, device=where)[:, None]
    fx = xp.fft.fftfreq(field.shape[1], d=pitch, dtype=xp.float64, device=where)[None, :]
    squared = 1.0 / wavelength**2 - fx**2 - fy**2
    root = xp.sqrt(xp.maximum(squared, xp.zeros_like(squared)))
    wave = xp.exp(2j * math.pi * distance * xp.astype(root, xp.complex128))
    transfer = xp.where(squared > 0, wave, xp.zeros_like(wave))
    return xp.fft.ifftn(xp.fft.fftn(field) * transfer)


def cost(phase, amplitude, wanted):
    xp = array_namespace(phase)
    field = xp.astype(amplitude, xp.complex128) * xp.exp(1j * xp.astype(phase, xp.complex128))
    near = propagated(xp, field, 20e-6, 0.5e-6, 1e-6, device(amplitude))
    far = propagated(xp, near, 30e-6, 0.5e-6, 1e-6, device(amplitude))
    first = xp.mean((xp.abs(near) ** 2 - wanted) ** 2)
    return first + xp.mean((xp.real(far) ** 2 + xp.imag(far) ** 2 - wanted) ** 2)
