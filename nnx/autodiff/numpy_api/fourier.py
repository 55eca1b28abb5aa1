"""``np.fft`` with NumPy's arguments, by the standard's transforms."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.numpy_api.table import array, axes_of, axis_of, stands_for


def _complex(xp: Any, a: Any) -> Any:
    """``a`` as a complex array: the standard's complex transforms take nothing else."""
    if xp.base.isdtype(a.dtype, "complex floating"):
        return a
    return xp.astype(a, xp.base.result_type(a.dtype, xp.base.complex64))


def _one_axis(name: str, *, real: bool) -> None:
    def transform(xp: Any, a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
        a = array(xp, a)
        axis = axis_of(f"fft.{name}", axis, a)
        return getattr(xp.fft, name)(a if real else _complex(xp, a), n=n, axis=axis, norm=norm or "backward")

    stands_for("fft." + name)(transform)


def _several_axes(name: str, standard: str, default: Any, *, real: bool) -> None:
    def transform(
        xp: Any, a: Any, s: Any = None, axes: Any = default, norm: Any = None, out: Any = None
    ) -> Any:
        a = array(xp, a)
        if axes is None and s is not None:
            axes = range(-len(s), 0)
        # What is cropped or halved has no simple transpose if an axis comes twice.
        axes = axes_of(f"fft.{name}", axes, a, twice=s is None and standard in ("fftn", "ifftn"))
        sizes = None
        if s is not None:
            sizes = [a.shape[i] if k in (None, -1) else k for k, i in zip(s, axes, strict=True)]
            if name.startswith("irfft") and s[-1] is None:
                sizes[-1] = 2 * (sizes[-1] - 1)
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
        x = array(xp, x)
        return getattr(xp.fft, name)(x, axes=axes_of(f"fft.{name}", axes, x, twice=True))

    stands_for("fft." + name)(shift)


_shift("fftshift")
_shift("ifftshift")
