"""Calls of NumPy's functions, as people write them: groups of expressions in x, y, z of some shapes.

Each is compared with NumPy's own answer (value and data type) and its derivative with finite differences. The
entries are spread over a range, well apart from each other (no ties, no kinks).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

WIDE, POSITIVE, SMALL = (-2.0, 2.0), (0.3, 2.5), (-0.9, 0.9)
#: Names that the expressions may use in addition to np, x, y, z.
NAMES = {
    "np": np,
    "sliding_window_view": sliding_window_view,
    "mask": np.asarray([[True, False, True], [True, True, False]]),
    "nan": float("nan"),
    "with_nan": np.asarray([[0.0, np.nan, 0.0], [0.0, 0.0, np.nan]]),
    "f": lambda line: line * line[0],
}


class NumpyCase(NamedTuple):
    expression: str
    shapes: tuple[Any, ...]
    ranges: tuple[float, float]

    def __str__(self) -> str:
        return f"{self.expression} {self.shapes}".replace("(", "[").replace(")", "]")

    def arrays(self, dtype: str) -> list[np.ndarray]:
        random = np.random.default_rng(zlib.crc32(repr(self).encode()))
        low, high = self.ranges
        out = []
        for shape in self.shapes:
            n = int(np.prod(shape))
            grid = low + (high - low) * (np.arange(n) + 0.3 + 0.4 * random.random(n)) / max(n, 1)
            out.append(random.permutation(grid).reshape(shape).astype(dtype))
        return out

    def function(self, *arrays: Any) -> Any:
        given = dict(zip("xyz", arrays, strict=False))
        return eval(self.expression, {**NAMES, **given})


def _read(text: str, ranges: tuple[float, float]) -> Iterator[NumpyCase]:
    """Lines "shapes: expression; expression"."""
    for line in text.strip().splitlines():
        shapes, _, expressions = line.partition(":")
        parsed = eval(f"[{shapes}]")
        for expression in expressions.split(";"):
            yield NumpyCase(expression.strip(), tuple(parsed), ranges)


_ANYWHERE = """
(2, 3): np.abs(x); np.fabs(x); np.arctan(x); np.arcsinh(x); np.cos(x); np.cosh(x); np.exp(x); np.expm1(x); np.exp2(x)
(2, 3): np.negative(x); np.positive(x); np.sin(x); np.sinh(x); np.square(x); np.tanh(x); np.sinc(x); np.deg2rad(x)
(2, 3): np.radians(x); np.rad2deg(x); np.degrees(x); np.conjugate(x); np.real(x); np.imag(x) + x; np.real_if_close(x)
(2, 3): np.angle(x) + x; np.angle(x + 1j * x**2); np.angle(1j - x, deg=True); np.cbrt(x); np.nan_to_num(x)
(2, 3): np.nan_to_num(np.where(mask, x, nan), nan=2.0); np.abs(x + 2j); np.real(np.exp(1j * x)); np.imag(np.exp(1j * x))
(2, 3): np.exp(x, dtype='float64'); np.add(x, 1.0, dtype=np.float64); np.add(x, [1.0, 2.0, 3.0]); 2.0 - x; np.float64(2) * x
(2, 3), (3,): np.add(x, y); np.subtract(x, y); np.multiply(x, y); np.divide(x, y); np.true_divide(y, x); x @ y
(2, 3), (3,): np.maximum(x, y); np.minimum(x, y); np.fmax(x, y); np.fmin(x, y); np.logaddexp(x, y); np.logaddexp2(x, y)
(2, 3), (3,): np.arctan2(x, y); np.hypot(x, y); np.copysign(x, y); np.nextafter(x, y); np.sign(x) * y; np.heaviside(0.0 * x, y); np.heaviside(x, y) + x
(2, 3), (3,): np.where(mask, x, y); np.where(x > 0, x, 1.0); np.where([1, 0, 1], x, y); np.maximum(x, 0.1) * y
(2, 3): np.fmod(x, 0.7); np.divmod(x, 0.7)[1]; np.modf(x)[0]; np.ldexp(x, 3); np.remainder(x, 0.7); np.mod(x, -0.7)
(2, 3): np.clip(x, -1, 1); np.clip(x, None, 0.5); np.clip(x, min=-0.5); np.clip(x, [-1.0, 0.0, 0.0], [1.0, 1.0, 1.0])
(2, 3): np.piecewise(x, [x < 0, x >= 1], [lambda v: v**2, 3.0, np.sin]); np.select([x < 0, x < 1], [x, x**2], 4.0)
(2, 3): np.select([x > 0], [x]); np.choose([[0, 1, 0], [1, 1, 0]], [x, x**2]); np.choose([0, 3, 1], [x, -x], mode='wrap')
(2, 3, 2): np.sum(x); np.sum(x, 1); np.sum(x, axis=(0, 2)); np.sum(x, axis=-1, keepdims=True); np.sum(x, dtype=np.float64)
(2, 3, 2): np.sum(x, initial=2.0); np.mean(x); np.mean(x, axis=(0, -1)); np.mean(x, 0, dtype='float64'); np.var(x)
(2, 3, 2): np.var(x, 1, ddof=1); np.var(x, axis=(0, 1), keepdims=True); np.std(x); np.std(x, -1, ddof=1); np.std(x, correction=1)
(2, 3, 2): np.prod(x, axis=1); np.prod(x, initial=2.0); np.max(x); np.max(x, 1); np.amax(x, axis=0); np.min(x, axis=(0, 1))
(2, 3, 2): np.amin(x, -1, keepdims=True); np.max(x, initial=1.0); np.ptp(x); np.ptp(x, 1); np.cumsum(x); np.cumsum(x, 1)
(2, 3, 2): np.cumprod(x); np.cumprod(x, axis=1, dtype=float); np.cumulative_sum(x, axis=1); np.cumulative_prod(x, axis=0)
(2, 3): np.cumulative_sum(x, axis=1, include_initial=True); np.var(x + 1j * x**2); np.std(x - 1j, axis=0)
(2, 3): np.sum(x, where=mask); np.prod(x, axis=1, where=mask); np.mean(x, axis=1, where=mask); np.var(x, where=mask)
(2, 3): np.std(x, axis=1, where=mask, ddof=0.5); np.max(x, where=mask, initial=-9.0); np.min(x, axis=0, where=mask, initial=9.0)
(2, 3): np.var(x, mean=np.mean(x, 0, keepdims=True), axis=0); np.apply_over_axes(np.sum, x, [0, 1]); np.apply_along_axis(f, 1, x)
(2, 3): np.apply_along_axis(f, 0, x); np.apply_along_axis(np.sum, 0, x)
(2, 3): np.nansum(x + with_nan); np.nansum(x + with_nan, 0); np.nanprod(x + with_nan, 1); np.nanmean(x + with_nan, 0)
(2, 3): np.nanmean(x + with_nan); np.nanmax(x + with_nan, 1); np.nanmin(x + with_nan); np.nanvar(x + with_nan, 1)
(2, 3): np.nanstd(x + with_nan, axis=1, ddof=1); np.nancumsum(x + with_nan, 1); np.nancumprod(x + with_nan); np.nanmean(x)
(2, 3): np.nanmedian(x + with_nan, 1); np.nanmedian(x + with_nan); np.nanquantile(x + with_nan, 0.3, axis=1)
(2, 3): np.nanpercentile(x + with_nan, [20, 60], axis=1); np.nanquantile(x, [0.1, 0.9])
(3, 4): np.median(x); np.median(x, 1); np.median(x, axis=(0, 1), keepdims=True); np.percentile(x, 30); np.quantile(x, 0.4, axis=0)
(3, 4): np.quantile(x, [0.1, 0.5, 0.77], axis=1); np.quantile(x, [0.2, 0.3]); np.percentile(x, [10, 90], axis=0, keepdims=True)
(3, 4): np.quantile(x, 0.4, method='lower'); np.quantile(x, 0.4, method='higher'); np.quantile(x, 0.4, method='midpoint')
(3, 4): np.average(x); np.average(x, 1); np.average(x, axis=0, weights=[1.0, 2.0, 3.0]); np.average(x, axis=1, keepdims=True)
(3, 4): np.average(x, weights=x**2, returned=True); np.average(x, axis=1, returned=True); np.cov(x); np.cov(x, rowvar=False)
(3, 4): np.cov(x, bias=True); np.cov(x, ddof=0); np.cov(x, aweights=[1.0, 2.0, 1.0, 3.0]); np.cov(x, fweights=[1, 2, 1, 3])
(3, 4): np.cov(x[0]); np.cov(x[0], x[1]); np.corrcoef(x); np.corrcoef(x[0], x[1]); np.corrcoef(x, rowvar=False); np.cov(x + 1j * x**2)
(3, 4): np.histogram(x, 3)[1]; np.histogram_bin_edges(x, 4); np.histogram(x, 3, density=True)[0]; np.histogram(x, [-1, 0, 1])[0] + x[0, 0]
(4,): np.bincount([0, 2, 0, 1], weights=x); np.bincount([0, 2, 0, 1], x, 5)
(2, 3, 2): np.reshape(x, (3, 4)); np.reshape(x, -1); np.reshape(x, (2, 6), order='F'); np.reshape(x, (-1, 4), 'F'); np.ravel(x)
(2, 3, 2): np.ravel(x, 'F'); np.transpose(x); np.transpose(x, (1, 0, 2)); np.transpose(x, [-1, 0, 1]); np.swapaxes(x, 0, -1)
(2, 3, 2): np.moveaxis(x, 0, -1); np.moveaxis(x, [0, 1], [-1, 0]); np.rollaxis(x, 2); np.rollaxis(x, 0, 3); np.rollaxis(x, 1)
(2, 3, 2): np.matrix_transpose(x); np.permute_dims(x, (2, 1, 0)); np.linalg.matrix_transpose(x); np.flip(x); np.flip(x, (0, 1))
(2, 3, 2): np.flipud(x); np.fliplr(x); np.rot90(x); np.rot90(x, 2); np.rot90(x, -1, (1, 2)); np.roll(x, 2); np.roll(x, 1, axis=1)
(2, 3, 2): np.roll(x, (1, -1), (0, 1)); np.roll(x, 1, axis=(0, 2)); np.copy(x); np.expand_dims(x, 1); np.expand_dims(x, (0, -1))
(2, 3, 2): np.broadcast_to(x, (2, 2, 3, 2)); np.unstack(x, axis=1); np.tril(x); np.triu(x, 1); np.astype(x, np.float64); np.take(x, 3)
(2, 3, 2): np.resize(x, (3, 5)); np.trace(x); np.trace(x, 1, 1, 2); np.trace(x, dtype='float64'); np.diagonal(x); np.diagonal(x, -1, 2, 1)
(2, 3, 2): np.linalg.diagonal(x, offset=-1); np.linalg.trace(x); np.sort(x); np.sort(x, axis=0); np.sort(x, axis=None); np.partition(x, 1)
(2, 3, 2): np.partition(x, 4, axis=None); np.take(x, [0, 2, 2], axis=1); np.take(x, [[0, 1], [2, -1]], axis=1); np.take(x, [7, -9], mode='clip')
(2, 3, 2): np.take(x, [3, 7], axis=1, mode='wrap'); np.take_along_axis(x, np.argsort(x, 1), 1); np.take_along_axis(x, np.argsort(x, None), None)
(2, 3, 2): np.take_along_axis(x, np.argmax(x, 1, keepdims=True), 1); np.compress([True, False, True], x, axis=1); np.compress([0, 1, 1], x)
(2, 3, 2): np.extract(np.abs(x) > 0.5, x); np.dsplit(x, 2); np.unstack(x); x[x > 0]; x[[0, 1, 1], [2, 0, 0]]
(1, 3, 1): np.squeeze(x); np.squeeze(x, 0); np.squeeze(x, axis=(0, 2)); np.broadcast_arrays(x, np.ones((2, 1, 1)))
(): np.atleast_1d(x); np.atleast_2d(x); np.atleast_3d(x, x); np.diagflat(x); x * np.ones(2)
(3,): np.atleast_1d(x); np.atleast_2d(x); np.atleast_3d(x); np.diag(x); np.diag(x, 2); np.diag(x, -1); np.diagflat(x, 1); np.tril(x)
(3,): np.triu(x, 1); np.vander(x); np.vander(x, 2); np.vander(x, 5, increasing=True); np.trim_zeros(np.concatenate([[0.0], x, [0.0]]))
(3, 4): np.diag(x); np.diag(x, 1); np.diag(x, -2); np.diagflat(x); np.array_split(x, 3, axis=1); np.split(x, [1, 3], 1); np.split(x, 3)
(3, 4): np.hsplit(x, 2); np.vsplit(x, [1]); np.tile(x, 2); np.tile(x, (2, 1, 2)); np.repeat(x, 2); np.repeat(x, [1, 0, 2], axis=0)
(3, 4): np.repeat(x, 3, axis=1); np.delete(x, 1); np.delete(x, [0, -1], axis=1); np.delete(x, slice(0, 2), 1); np.delete(x, 1, 0)
(3, 4): np.delete(x, [True, False, True], 0); np.insert(x, 1, 5.0, axis=1); np.insert(x, [0, 2], x[:2], axis=0); np.insert(x, 2, x[0, 0])
(3, 4): np.insert(x, 1, x[0], axis=0); np.insert(x, [1, 1, 3], [1.0, 2.0, 3.0]); sliding_window_view(x, (2, 2)); sliding_window_view(x, 3, axis=1)
(3, 4): np.pad(x, 1); np.pad(x, (1, 2)); np.pad(x, ((1, 2), (0, 1)), constant_values=3.0); np.pad(x, 1, constant_values=((1, 2), (3, 4)))
(3, 4): np.pad(x, 2, 'edge'); np.pad(x, 2, 'reflect'); np.pad(x, 5, mode='reflect'); np.pad(x, 2, 'symmetric'); np.pad(x, 7, 'symmetric')
(3, 4): np.pad(x, 3, 'wrap'); np.pad(x, 6, 'wrap'); np.pad(x, 2, 'linear_ramp', end_values=(1.0, -1.0)); np.pad(x, 1, 'mean'); np.pad(x, 1, 'maximum')
(3, 4): np.pad(x, ((0, 0), (2, 1)), 'minimum', stat_length=2); np.pad(x, 1, 'median'); np.pad(x, 1, constant_values=x[0, 0])
(2, 3), (2, 3): np.concatenate([x, y]); np.concatenate((x, y), 1); np.concatenate([x, y], axis=None); np.concat([x, 2 * y], axis=0)
(2, 3), (2, 3): np.stack([x, y], 1); np.vstack([x, y]); np.hstack([x, y]); np.dstack([x, y]); np.column_stack([x, y]); np.append(x, y)
(2, 3), (2, 3): np.append(x, y, axis=0); np.block([[x, y], [y, x]]); np.block([x, y]); np.stack([x, np.ones((2, 3))]); np.concatenate([x, y], dtype='float64')
(3,), (3,): np.vstack([x, y, [1.0, 2.0, 3.0]]); np.hstack([x, y]); np.dstack([x, y]); np.column_stack([x, y]); np.stack([x[0], y[1], 2.0]); np.block([x, y, 1.0])
(3,), (2,): np.meshgrid(x, y); np.meshgrid(x, y, indexing='ij'); np.meshgrid(x, y, sparse=True); np.outer(x, y); np.kron(x, y); np.multiply.outer(x, y)
(3,), (2,): np.add.outer(x, y); np.subtract.outer(y, x); np.convolve(x, y); np.convolve(x, y, 'same'); np.convolve(y, x, 'valid'); np.correlate(x, y)
(3,), (2,): np.correlate(y, x, 'full'); np.correlate(y, x, 'same'); np.correlate(x, y, 'same'); np.correlate(y, x); np.correlate(x, 1j * y); np.polyadd(x, y)
(3,), (2,): np.polysub(y, x); np.polymul(x, y); np.polyval(x, y); np.polyval([1, 2], y) + x[0]; np.poly(x); np.polyder(x); np.polyint(x); np.polyint(x, 2, [1.0, 2.0])
(4,), (4,): np.convolve(x, y, 'same'); np.polyder(x, 2); np.polyfit(x, y, 1); np.polyfit(x, y, 2, w=[1.0, 2.0, 1.0, 3.0]); np.correlate(x, y, 'full')
(5,), (4,): np.convolve(x, y, 'same'); np.convolve(y, x, 'same'); np.correlate(x, y, 'same'); np.correlate(y, x, 'same'); np.correlate(y, x, 'valid')
(3, 4): np.diff(x); np.diff(x, 2); np.diff(x, axis=0); np.diff(x, prepend=0.0); np.diff(x, axis=0, append=x[:1]); np.ediff1d(x)
(3, 4): np.ediff1d(x, to_end=[1.0, 2.0], to_begin=x[0]); np.gradient(x); np.gradient(x, axis=1); np.gradient(x, 2.0, 3.0); np.gradient(x, 0.5)
(3, 4): np.gradient(x, [1.0, 2.0, 4.0], axis=0); np.gradient(x, edge_order=2); np.gradient(x, [0.0, 1.0, 3.0, 3.5], axis=1, edge_order=2)
(3, 4): np.trapezoid(x); np.trapezoid(x, dx=0.5, axis=0); np.trapezoid(x, [0.0, 1.0, 3.0, 4.0]); np.trapezoid(x, x**3); np.unwrap(3 * x); np.unwrap(x, axis=0, period=1.0)
(5,), (3,): np.interp(x, [-1.0, 0.5, 1.0], y); np.interp(x, [-1.0, 0.5, 1.0], y, left=0.0, right=1.0); np.interp(x, [0.0, 0.4, 0.9], y, period=1.0)
(5,), (3,): np.interp([0.1, 0.3], np.sort(y), y); np.interp(0.2, np.sort(x), np.sin(x)); np.interp(x[0], [0.0, 1.0, 2.0], y)
(3,), (3,): np.dot(x, y); np.inner(x, y); np.vdot(x, y); np.cross(x, y); np.vecdot(x, y); np.linalg.cross(x, y); np.dot(x, 2.0); np.linalg.outer(x, y)
(2, 3), (3, 4): np.dot(x, y); np.matmul(x, y); np.tensordot(x, y, 1); np.tensordot(x, y, ([1], [0])); np.tensordot(x, y, (1, 0)); np.linalg.matmul(x, y); np.kron(x, y)
(2, 3), (4, 3): np.inner(x, y); np.tensordot(x, y, axes=((-1,), (-1,))); np.linalg.tensordot(x, y.T, axes=1)
(2, 3), (4, 3, 2): np.dot(x, y); np.dot(y, x); np.inner(x.T, y); np.kron(x, y); np.tensordot(x, y, ([0, 1], [2, 1]))
(2, 3), (2, 3): np.cross(x, y); np.cross(x, y, axis=1); np.vdot(x, y); np.vdot(x + 1j * y, y); np.vecdot(x, y, axis=0); np.linalg.vecdot(x, y)
(2, 3), (2, 3): np.vecdot(x + 1j * y, x); np.cross(x.T, y.T, axisa=0, axisb=0, axisc=0); np.matvec(x, y[0]); np.vecmat(x[0], y.T); np.inner(x, 2.0)
(2, 3, 3), (2, 3): np.matvec(x, y); np.vecmat(y, x); np.einsum('bij,bj->bi', x, y); np.einsum('bii', x); np.einsum('...ii->...i', x)
(2, 3): np.einsum('ij->ji', x); np.einsum('ij', x); np.einsum('ji', x); np.einsum('ij->', x); np.einsum('ij->i', x); np.einsum(x, [0, 1], [1]); np.einsum('i...->...', x)
(3, 3): np.einsum('ii', x); np.einsum('ii->i', x); np.einsum('ij,ji', x, x); np.einsum('ij,jk,kl', x, x, x); np.einsum('ii,jj->ij', x, x); np.einsum(x, [0, 0])
(2, 3), (3, 4): np.einsum('ij,jk', x, y); np.einsum('ij,jk->ki', x, y); np.einsum('ij,kl->ijkl', x, y); np.einsum(x, [0, 1], y, [1, 2], [0, 2]); np.einsum('ij,jk->', x, y)
(2, 3), (3, 4): np.einsum('ij,jk->ijk', x, y); np.einsum('ij,jk->j', x, y); np.einsum('...j,j...->...', x, y[:, 0]); np.einsum('ij,jk->ik', x, y, optimize=True); np.einsum(' i j , j k -> i k ', x, y)
(2, 3), (1, 3): np.einsum('ij,ij->ij', x, y); np.einsum('ij,ij', x, y); np.einsum('...j,...j->...', x, y); np.einsum('...,...', x, y); np.einsum('ij,kj->ik', x, y)
(2, 2, 3), (3, 2): np.einsum('...ij,jk->...ik', x, y); np.einsum('bij,jk,bkl->bil', x, y, x.mT[:, :2] @ x); np.einsum('aij,ja->i', x, y); np.einsum('ijk,kl', x, y)
(2, 3), (3,): np.add.reduce(x); np.add.reduce(x, axis=None); np.multiply.reduce(x, 1); np.maximum.reduce(x); np.minimum.reduce(x, axis=1, keepdims=True); np.logaddexp.reduce(x, axis=1)
(2, 3), (3,): np.add.accumulate(x); np.multiply.accumulate(x, 1); np.maximum.accumulate(y); np.logaddexp.accumulate(x, axis=1); np.subtract.reduce(x, axis=1); np.hypot.reduce(x, axis=1)
(2, 3), (3,): np.add.reduceat(y, [0, 2, 1]); np.maximum.outer(x, y); np.add.reduce(x, axis=(0, 1)); np.add.reduce(x, where=mask); np.minimum.accumulate(x, 1)
(), (): np.linspace(x, y, 4); np.linspace(x, 5.0, 3, endpoint=False); np.linspace(0.0, y, 5, retstep=True); np.logspace(x, y, 3); np.linspace(x, y, 1)
(2,), (2,): np.linspace(x, y, 3); np.linspace(x, y, 3, axis=1); np.full_like(x, y); np.full_like(y, x[0]); np.zeros_like(x) + y; np.ones_like(x) * y; np.full_like(x, 3.0) + y
(2, 3): np.empty_like(x) * 0.0 + x; np.full_like(x, x[0, 0], shape=(2, 2)); np.zeros_like(x, dtype='float64') + x; np.round(x) + x; np.fix(x) * x; np.sort_complex(x)
(6,): np.fft.fft(x); np.fft.ifft(x); np.fft.rfft(x); np.fft.rfft(x, 4); np.fft.fft(x, n=8, norm='ortho'); np.fft.irfft(np.fft.rfft(x)); np.fft.hfft(x + 1j * x**2); np.fft.ihfft(x)
(3, 4): np.fft.fft2(x); np.fft.ifft2(x); np.fft.rfft2(x); np.fft.irfft2(np.fft.rfft2(x), s=(3, 4)); np.fft.fftn(x, axes=(0,)); np.fft.rfftn(x); np.fft.fft(x, axis=0); np.fft.ifftn(x)
(3, 4): np.fft.fftshift(x); np.fft.ifftshift(x, axes=1); np.fft.irfftn(np.fft.rfftn(x), s=(3, 4), axes=(0, 1)); np.fft.fftn(x, s=(2, 5), axes=(0, 1)); np.abs(np.fft.fft(x)) ** 2
(3, 4): np.linalg.norm(x); np.linalg.norm(x, axis=1); np.linalg.norm(x, 1); np.linalg.norm(x, 'fro'); np.linalg.norm(x, np.inf); np.linalg.norm(x, 2); np.linalg.norm(x, 'nuc'); np.linalg.norm(x, axis=0, keepdims=True)
(3, 4): np.linalg.norm(x[0]); np.linalg.norm(x[0], 3); np.linalg.norm(x[0], np.inf); np.linalg.norm(x[0], -1); np.linalg.norm(x, keepdims=True); np.linalg.vector_norm(x); np.linalg.matrix_norm(x); np.linalg.norm(x[None], axis=(1, 2))
(3, 4): np.linalg.svdvals(x); np.linalg.svd(x, compute_uv=False); np.linalg.pinv(x); np.linalg.pinv(x.T); np.linalg.qr(x.T)[1]; np.linalg.qr(x.T, mode='r'); np.linalg.svd(x, full_matrices=False)[1]; np.linalg.cond(x)
(3, 4): np.linalg.lstsq(x.T, np.ones(4))[0]; np.linalg.lstsq(x.T, x.T[:, :2], rcond=None)[:2]; np.linalg.multi_dot([x, x.T, x]); np.linalg.multi_dot([x[:, 0], x, x.T, x[:, 1]]); np.linalg.multi_dot([x, x.T])
(3, 3): np.linalg.det(x); np.linalg.slogdet(x)[1]; np.linalg.inv(x); np.linalg.matrix_power(x, 3); np.linalg.matrix_power(x, -2); np.linalg.cholesky(x @ x.T + np.eye(3)); np.linalg.cond(x, 1); np.linalg.matrix_power(x, 0) + x
(3, 3): np.linalg.eigvalsh(x @ x.T); np.linalg.eigh(x + x.T)[0]; np.linalg.eigvalsh(x); np.linalg.eigvalsh(x, 'U'); np.linalg.eigh(x, UPLO='U').eigenvalues; np.linalg.cholesky(x @ x.T + np.eye(3), upper=True)
(3, 3), (3,): np.linalg.solve(x, y); np.linalg.solve(x, x.T); np.linalg.solve(x, y[:, None])
(2, 3, 6): np.linalg.tensorsolve(x.reshape(6, 2, 3), x[:, :, 0].reshape(6)); np.linalg.tensorinv(x.reshape(6, 2, 3), ind=1)
(2, 3): x.sum(); x.sum(0); x.sum(axis=1, keepdims=True); x.mean(1); x.std(); x.var(axis=0, ddof=1); x.prod(1); x.max(); x.min(0); x.reshape(3, 2); x.reshape((3, 2)); x.reshape(-1); x.reshape(3, -1, order='F')
(2, 3): x.ravel(); x.ravel('F'); x.flatten(); x.flatten(order='F'); x.transpose(); x.transpose(1, 0); x.transpose((1, 0)); x.transpose(None); x.swapaxes(0, 1); x[None].squeeze(); x[None].squeeze(0); x.dot(x.T)
(2, 3): x.astype(float); x.astype('float64', copy=False); x.astype(x.dtype); x.copy(); x.clip(-1, 1); x.clip(max=0.5); x.cumsum(); x.cumsum(axis=1); x.cumprod(0); 0.0 * x.round(1) + x; x.take([0, 1]); x.take([0, 2], axis=1)
(2, 3): x.repeat(2, axis=0); x.diagonal(); x.diagonal(1); x.conj(); x.conjugate(); x.real; x.imag + x; (x + 1j).imag; (x * 1j).real; x.compress([True, False], axis=0); x.flat[2]; x[[0, 1, 0]]; x[:, [2, 0]]; x[..., None]
(2, 3): x[::-1, 1:]; x[[True, False]]; x[np.array([1, 0]), 1]; x[-1]; x[1][2]; x.T; x.T @ x; x.mT; [row * 2 for row in x]; x[mask]; len(x) * x; x.size * x; x.ndim * x; x.nbytes * x; x.itemsize * x; x[np.newaxis]
(2, 3): x + [1.0, 2.0, 3.0]; [1.0, 2.0, 3.0] - x; x * [[1.0], [2.0]]; [2.0] / x; (x > 0) * x; x[np.argmax(x, 0), np.arange(3)]; x[np.nonzero(x > 0)]; abs(x); -x; +x; x**2; 2.0**x; np.float32(2) + x; np.ones(3) @ x.T
(2, 3, 4): x.T; x.transpose(2, 0, 1); x.sum(axis=(0, 2)); x.mean(axis=(1, 2), keepdims=True); x.swapaxes(-1, 0); x.reshape(6, 4).T; x[1, ..., 0]; x[:, 1, [0, 0]]; x[0, :, ::-2]
(): x.sum(); np.sum(x); np.exp(x); np.stack([x, x**2]); x.reshape(1); x.ravel(); np.reshape(x, (1, 1)); np.max(x); np.mean(x); np.dot(x, x); x[()]; x[None]; np.transpose(x)
(0, 3): np.sum(x); np.concatenate([x, x]); np.ravel(x); np.sum(x, axis=0); np.cumsum(x, 0); x.T; np.sort(x, axis=0); np.reshape(x, (3, 0))
"""  # noqa: E501

_POSITIVE = """
(2, 3): np.log(x); np.log1p(x); np.log2(x); np.log10(x); np.reciprocal(x); np.sqrt(x); np.arccosh(x + 1.0); np.cbrt(x); np.nanprod(x); np.prod(x); np.multiply.reduce(x, axis=None)
(2, 3), (3,): np.power(x, y); np.float_power(x, y); np.divide(x, y); np.power(x, 3); np.power(2.0, y); x**y; x ** [1.0, 2.0, 3.0]; [1.0, 2.0, 3.0] ** y; np.average(x, axis=1, weights=y); np.float_power(x, 2)
(), (): np.geomspace(x, y, 4); np.geomspace(x, 5.0, 3, endpoint=False)
(4,), (4,): np.i0(x); np.cov(x, y, aweights=y); np.gradient(y, np.cumsum(x)); np.gradient(y, np.cumsum(x), edge_order=2); np.trapezoid(y, np.cumsum(x)); np.interp([0.5, 1.3], np.cumsum(x), y); np.gradient(y, x[0])
"""  # noqa: E501

_SMALL = """
(2, 3): np.arccos(x); np.arcsin(x); np.arctanh(x); np.tan(x); np.sinc(x)
"""

CASES = [*_read(_ANYWHERE, WIDE), *_read(_POSITIVE, POSITIVE), *_read(_SMALL, SMALL)]
