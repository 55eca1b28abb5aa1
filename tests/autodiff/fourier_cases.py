"""Examples of the Fourier transform extension, as rows of ``derivative_cases.Case``."""

from __future__ import annotations

from typing import Any

NORMS = ("backward", "ortho", "forward")


def _call(name: str, is_complex: bool, options: dict[str, Any]) -> Any:
    if is_complex:
        return lambda xp, a, b: getattr(xp.fft, name)(a + 1j * b, **options)
    return lambda xp, a: getattr(xp.fft, name)(a, **options)


def _rows(name: str, is_complex: bool, *examples: tuple[tuple[int, ...], dict[str, Any]]) -> list[Any]:
    copies = 2 if is_complex else 1
    return [
        (f"fft.{name}", _call(name, is_complex, options), (shape,) * copies, f"{shape} {options}")
        for shape, options in examples
    ]


# Even and odd lengths, one frequency, cropped and filled up, all scalings, axes in any order.
_ONE_AXIS = (
    ((4,), {}),
    ((5,), {}),
    ((1,), {}),
    ((3, 4), {"axis": 0}),
    ((2, 5), {"n": 3}),
    ((5, 2), {"n": 8, "axis": -2}),
    *(((2, 4), {"norm": norm}) for norm in NORMS),
    ((2, 3), {"n": 5, "norm": "ortho"}),
)
_MANY_AXES = (
    ((3, 4), {}),
    ((2, 3, 4), {"axes": (2, 0)}),
    ((3, 4), {"s": (2, 5), "axes": (0, 1)}),
    ((3, 4), {"s": (5,), "axes": (0,)}),
    *(((2, 3), {"norm": norm}) for norm in NORMS),
)
_TO_REAL = (
    ((4,), {}),
    ((3, 3), {"axis": 0}),
    ((4,), {"n": 7}),
    ((4,), {"n": 5}),
    ((3,), {"n": 8}),
    ((2,), {"n": 1}),
    *(((2, 4), {"n": 6, "norm": norm}) for norm in NORMS),
)
_SHIFTS = (((4,), {}), ((5,), {}), ((3, 4), {"axes": 0}), ((3, 4), {"axes": (1, 0)}))

FOURIER_CASES = [
    *[row for name in ("fft", "ifft") for row in _rows(name, True, *_ONE_AXIS)],
    *[row for name in ("fftn", "ifftn") for row in _rows(name, True, *_MANY_AXES)],
    *[row for name in ("rfft", "ihfft") for row in _rows(name, False, *_ONE_AXIS)],
    *[row for name in ("irfft", "hfft") for row in _rows(name, True, *_TO_REAL)],
    *_rows("rfftn", False, *_MANY_AXES),
    *_rows("irfftn", True, *_MANY_AXES),
    *[row for name in ("fftshift", "ifftshift") for row in _rows(name, True, *_SHIFTS)],
    (
        "fft.fftfreq",
        lambda xp, d: xp.fft.fftfreq(4, d=d) if hasattr(d, "space") else _frequencies(xp, "fftfreq", d),
        (((), (0.5, 1.5)),),
    ),
    (
        "fft.rfftfreq",
        lambda xp, d: xp.fft.rfftfreq(5, d=d) if hasattr(d, "space") else _frequencies(xp, "rfftfreq", d, 5),
        (((), (0.5, 1.5)),),
    ),
]


def _frequencies(xp: Any, name: str, d: Any, n: int = 4) -> Any:
    # with a spacing that is an array, which the standard does not know
    return getattr(xp.fft, name)(n, dtype=d.dtype, device=d.device) / d
