"""``np.fft`` with NumPy's arguments, by the standard's transforms."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.numpy_api.table import array, stands_for


def _complex(xp: Any, a: Any) -> Any:
    """``a`` as a complex array: the standard's transforms of complex numbers take nothing else."""
    if xp.base.isdtype(a.dtype, "complex floating"):
        return a
    return xp.astype(a, xp.base.result_type(a.dtype, xp.base.complex64))


def _one_axis(name: str, *, real: bool) -> None:
    def transform(xp: Any, a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
        a = array(xp, a)
        return getattr(xp.fft, name)(a if real else _complex(xp, a), n=n, axis=axis, norm=norm or "backward")

    stands_for("fft." + name)(transform)


def _several_axes(name: str, standard: str, default: Any, *, real: bool) -> None:
    def transform(
        xp: Any, a: Any, s: Any = None, axes: Any = default, norm: Any = None, out: Any = None
    ) -> Any:
        a = array(xp, a)
        if axes is None and s is not None:
            axes = tuple(range(-len(s), 0))
        axes = None if axes is None else tuple(axes)
        sizes = (
            None if s is None else tuple(a.shape[i] if k is None else k for k, i in zip(s, axes, strict=True))
        )
        call = getattr(xp.fft, standard)
        return call(a if real else _complex(xp, a), s=sizes, axes=axes, norm=norm or "backward")

    stands_for("fft." + name)(transform)


for _name in ("fft", "ifft", "irfft", "hfft"):
    _one_axis(_name, real=False)
for _name in ("rfft", "ihfft"):
    _one_axis(_name, real=True)
for _name in ("fftn", "ifftn", "irfftn"):
    _several_axes(_name, _name, None, real=False)
_several_axes("rfftn", "rfftn", None, real=True)
for _name in ("fft2", "ifft2", "irfft2"):
    _several_axes(_name, _name[:-1] + "n", (-2, -1), real=False)
_several_axes("rfft2", "rfftn", (-2, -1), real=True)


def _shift(name: str) -> None:
    def shift(xp: Any, x: Any, axes: Any = None) -> Any:
        return getattr(xp.fft, name)(x, axes=tuple(axes) if type(axes) is list else axes)

    stands_for("fft." + name)(shift)


_shift("fftshift")
_shift("ifftshift")
