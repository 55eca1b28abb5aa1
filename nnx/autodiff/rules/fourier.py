"""Rules of the Fourier transform extension.

The matrix of the discrete Fourier transform is symmetric, so ``fft`` is its own transpose, and so is every
scaled variant of it. A length ``n`` first crops the argument or pads it with zeros; the transpose crops or
pads the cotangent. ``rfft`` gives the first half of the frequencies: each inner one also represents its
mirror image, hence the weights ½ and 2 in the transposes of ``rfft`` and ``irfft``.
"""

from __future__ import annotations

from typing import Any

from nnx.autodiff.families import Linear, along

#: The scaling of the opposite direction that has the same factor.
_OPPOSITE = {"backward": "forward", "forward": "backward", "ortho": "ortho", None: "forward"}


def _fitted(xp: Any, x: Any, shape: Any) -> Any:
    """``x`` cropped, or padded with zeros at the end, to ``shape``."""
    for axis, n in enumerate(shape):
        have = x.shape[axis]
        if have > n:
            x = x[along(axis, slice(0, n))]
        elif have < n:
            missing = (*x.shape[:axis], n - have, *x.shape[axis + 1 :])
            zeros = xp.zeros(missing, dtype=x.dtype, device=xp.device_of(x))
            x = xp.concat([x, zeros], axis=axis)
    return x


def _one_axis(name: str) -> Linear:
    def apply(xp: Any, x: Any, n: Any = None, axis: int = -1, norm: Any = "backward") -> Any:
        return getattr(xp.fft, name)(x, n=n, axis=axis, norm=norm)

    def transpose(xp: Any, g: Any, shape: Any, n: Any = None, axis: int = -1, norm: Any = "backward") -> Any:
        return _fitted(xp, getattr(xp.fft, name)(g, axis=axis, norm=norm), shape)

    return Linear(f"fft.{name}", apply, transpose)


def _many_axes(name: str) -> Linear:
    def apply(xp: Any, x: Any, s: Any = None, axes: Any = None, norm: Any = "backward") -> Any:
        return getattr(xp.fft, name)(x, s=s, axes=axes, norm=norm)

    def transpose(
        xp: Any, g: Any, shape: Any, s: Any = None, axes: Any = None, norm: Any = "backward"
    ) -> Any:
        back = getattr(xp.fft, name)(g, axes=_axes(len(shape), s, axes), norm=norm)
        return _fitted(xp, back, shape)

    return Linear(f"fft.{name}", apply, transpose)


def _axes(ndim: int, s: Any, axes: Any) -> tuple[int, ...]:
    if axes is not None:
        return tuple(axes)
    return tuple(range(ndim)) if s is None else tuple(range(ndim - len(s), ndim))


def _inner(xp: Any, z: Any, n: int, axis: int, factor: float) -> Any:
    """``z`` with the frequencies that have a mirror image (of a real signal of length n) times ``factor``."""
    axis %= len(z.shape)
    end = (n + 1) // 2
    first, last = z[along(axis, slice(0, 1))], z[along(axis, slice(end, None))]
    return xp.concat([first, z[along(axis, slice(1, end))] * factor, last], axis=axis)


def _rfft(xp: Any, x: Any, n: Any = None, axis: int = -1, norm: Any = "backward") -> Any:
    return xp.fft.rfft(x, n=n, axis=axis, norm=norm)


def _rfft_back(xp: Any, g: Any, shape: Any, n: Any = None, axis: int = -1, norm: Any = "backward") -> Any:
    n = shape[axis] if n is None else n
    half = xp.conj(_inner(xp, g, n, axis, 0.5))
    return _fitted(xp, xp.fft.irfft(half, n=n, axis=axis, norm=_OPPOSITE[norm]), shape)


def _irfft(xp: Any, z: Any, n: Any = None, axis: int = -1, norm: Any = "backward") -> Any:
    return xp.fft.irfft(z, n=n, axis=axis, norm=norm)


def _irfft_back(xp: Any, g: Any, shape: Any, n: Any = None, axis: int = -1, norm: Any = "backward") -> Any:
    half = xp.conj(xp.fft.rfft(g, axis=axis, norm=_OPPOSITE[norm]))
    return _fitted(xp, _inner(xp, half, g.shape[axis], axis, 2.0), shape)


def _shift(name: str, back: str) -> Linear:
    return Linear(
        f"fft.{name}",
        lambda xp, x, axes=None: getattr(xp.fft, name)(x, axes=axes),
        lambda xp, g, shape, axes=None: getattr(xp.fft, back)(g, axes=axes),
    )


FOURIER = (
    _one_axis("fft"),
    _one_axis("ifft"),
    _many_axes("fftn"),
    _many_axes("ifftn"),
    Linear("fft.rfft", _rfft, _rfft_back),
    Linear("fft.irfft", _irfft, _irfft_back),
    _shift("fftshift", "ifftshift"),
    _shift("ifftshift", "fftshift"),
)


# -- written in the others -----------------------------------------------------------------------------


def _rfftn(xp: Any, x: Any, s: Any = None, axes: Any = None, norm: Any = "backward") -> Any:
    axes = _axes(x.ndim, s, axes)
    z = xp.fft.rfft(x, n=None if s is None else s[-1], axis=axes[-1], norm=norm)
    if len(axes) == 1:
        return z
    return xp.fft.fftn(z, s=None if s is None else s[:-1], axes=axes[:-1], norm=norm)


def _irfftn(xp: Any, z: Any, s: Any = None, axes: Any = None, norm: Any = "backward") -> Any:
    axes = _axes(z.ndim, s, axes)
    if len(axes) > 1:
        z = xp.fft.ifftn(z, s=None if s is None else s[:-1], axes=axes[:-1], norm=norm)
    return xp.fft.irfft(z, n=None if s is None else s[-1], axis=axes[-1], norm=norm)


def _hfft(xp: Any, z: Any, n: Any = None, axis: int = -1, norm: Any = "backward") -> Any:
    return xp.fft.irfft(xp.conj(z), n=n, axis=axis, norm=_OPPOSITE[norm])


def _ihfft(xp: Any, x: Any, n: Any = None, axis: int = -1, norm: Any = "backward") -> Any:
    return xp.conj(xp.fft.rfft(x, n=n, axis=axis, norm=_OPPOSITE[norm]))


def _frequencies(name: str) -> Any:
    def composed(xp: Any, n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
        create = getattr(xp.fft, name)
        return create(n, dtype=d.dtype if dtype is None else dtype, device=xp.device_of(d)) / d

    composed.__name__ = name
    return composed


COMPOSITIONS: dict[str, Any] = {
    "fft.rfftn": _rfftn,
    "fft.irfftn": _irfftn,
    "fft.hfft": _hfft,
    "fft.ihfft": _ihfft,
    "fft.fftfreq": _frequencies("fftfreq"),
    "fft.rfftfreq": _frequencies("rfftfreq"),
}
