# ruff: noqa: D103 (each is NumPy's function of that name)
"""``np.pad``."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.array import is_traced, plain
from nnx.autodiff.families import along
from nnx.autodiff.numpy_api.statistics import median
from nnx.autodiff.numpy_api.table import array, axis_of, pick, refuse, stands_for

_STATISTICS = {
    "maximum": lambda xp, x, axis: xp.max(x, axis=axis, keepdims=True),
    "minimum": lambda xp, x, axis: xp.min(x, axis=axis, keepdims=True),
    "mean": lambda xp, x, axis: xp.mean(x, axis=axis, keepdims=True),
    "median": lambda xp, x, axis: median(xp, x, axis, keepdims=True),
}
_OPTIONS = {
    "constant": {"constant_values"}, "linear_ramp": {"end_values"}, "reflect": {"reflect_type"},
    "symmetric": {"reflect_type"}, **{name: {"stat_length"} for name in _STATISTICS},
}  # fmt: skip


@stands_for("pad")
def pad(xp: Any, array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    x = array
    if callable(mode) or mode not in {"edge", "wrap", "empty", *_OPTIONS}:
        refuse("pad", f"nnx does not know mode={mode!r}", "Join the parts with np.concatenate.")
    for option in set(kwargs) - _OPTIONS.get(mode, set()):
        raise ValueError(f"np.pad with mode={mode!r} has no argument {option!r}.")
    if kwargs.get("reflect_type", "even") != "even":
        refuse("pad", "reflect_type='odd' has no derivative in nnx", "Write 2*edge - np.pad(x, ...) there.")
    if type(pad_width) is dict:
        given = {axis_of("pad", axis, x): width for axis, width in pad_width.items()}
        pad_width = [given.get(axis, 0) for axis in range(x.ndim)]
        pad_width = [width if hasattr(width, "__len__") else (width, width) for width in pad_width]
    widths = _pairs(pad_width, x.ndim)
    if mode == "empty" or (mode == "constant" and type(kwargs.get("constant_values", 0)) in (int, float)):
        return _framed(xp, x, widths, kwargs.get("constant_values", 0))
    ends = _pairs(kwargs.get("constant_values", kwargs.get("end_values", 0)), x.ndim)
    lengths = _pairs(kwargs.get("stat_length"), x.ndim)
    for axis, width in enumerate(widths):
        if any(width):
            x = _along_axis(xp, x, axis, width, mode, ends[axis], lengths[axis])
    return x


def _pairs(given: Any, ndim: int) -> list[tuple[Any, Any]]:
    """One value, a pair for all axes, or a pair for each axis, as a pair for each axis."""
    given = plain(given).tolist() if not is_traced(given) and hasattr(given, "tolist") else given
    if type(given) not in (tuple, list):
        return [(given, given)] * ndim
    if all(type(part) not in (tuple, list) for part in given):
        return [(given[0], given[-1])] * ndim
    pairs = [tuple(part) if type(part) in (tuple, list) else (part, part) for part in given]
    return [(p[0], p[-1]) for p in (pairs * ndim if len(pairs) == 1 else pairs)]


def _framed(xp: Any, x: Any, widths: Any, value: Any) -> Any:
    shape = tuple(a + n + b for n, (a, b) in zip(x.shape, widths, strict=True))
    frame = xp.base.full(shape, value, dtype=x.dtype, device=xp.device_of(x))
    inside = tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True))
    return xp.set_at(frame, x, key=inside)


def _along_axis(xp: Any, x: Any, axis: int, width: Any, mode: str, ends: Any, lengths: Any) -> Any:
    n = x.shape[axis]
    if mode in _POSITIONS:
        place = _POSITIONS[mode]
        return pick(xp, x, (place(i, n) for i in range(-width[0], n + width[1])), axis)
    sides = []
    for side in (0, 1):
        shape = tuple(width[side] if i == axis else k for i, k in enumerate(x.shape))
        if mode in _STATISTICS:
            length = n if lengths[side] is None else min(lengths[side], n)
            part = x[along(axis, slice(0, length) if side == 0 else slice(n - length, n))]
            sides.append(xp.broadcast_to(_STATISTICS[mode](xp, part, axis), shape))
            continue
        end = array(xp, ends[side], x)
        value = xp.astype(xp.broadcast_to(end, shape), x.dtype)
        if mode == "linear_ramp":
            edge = x[along(axis, slice(0, 1) if side == 0 else slice(n - 1, n))]
            value = value + (edge - value) * _ramp(xp, x, axis, width[side], side)
        sides.append(value)
    return xp.concat([sides[0], x, sides[1]], axis=axis)


def _ramp(xp: Any, x: Any, axis: int, width: int, side: int) -> Any:
    steps = xp.base.arange(width, dtype=plain(x).dtype, device=xp.device_of(x)) / max(width, 1)
    steps = xp.base.flip(steps) if side else steps
    return xp.base.reshape(steps, tuple(width if i == axis else 1 for i in range(x.ndim)))


def _reflected(i: int, n: int) -> int:
    period = 2 * (n - 1)
    i = i % period if period else 0
    return i if i < n else period - i


def _mirrored(i: int, n: int) -> int:
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i


_POSITIONS = {
    "edge": lambda i, n: min(max(i, 0), n - 1), "wrap": lambda i, n: i % n,
    "reflect": _reflected, "symmetric": _mirrored,
}  # fmt: skip
