"""A wrong axis of NumPy's functions on traced arrays: NumPy's class of error, a message that names both."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

import nnx
from nnx.autodiff.numpy_api import FUNCTIONS

X = np.asarray([[0.3, 1.2, 2.0], [1.1, 0.4, 0.7], [0.6, 1.5, 2.2]])
NAMES = {"np": np, "Y": X.T, "I": np.argsort(X, axis=0)}

#: Expressions in x and one axis i, for which 1 is right.
_ONE = """
np.diff(x, axis=i); np.trapezoid(x, axis=i); np.unwrap(x, axis=i); np.sort(x, axis=i); np.partition(x, 1, axis=i)
np.cumsum(x, axis=i); np.cumprod(x, axis=i); np.nancumsum(x, axis=i); np.nancumprod(x, axis=i); np.pad(x, {i: 1})
np.cumulative_sum(x, axis=i); np.cumulative_prod(x, axis=i); np.unstack(x, axis=i); np.stack([x, x], axis=i)
np.concatenate([x, x], axis=i); np.append(x, x, axis=i); np.array_split(x, 2, axis=i); np.split(x, [1], axis=i)
np.split(x, 3, axis=i); np.repeat(x, 2, axis=i); np.repeat(x, [1, 2, 0], axis=i); np.delete(x, 1, axis=i)
np.insert(x, 1, x[0], axis=i); np.take(x, [0, 1], axis=i); np.compress([True, False, True], x, axis=i)
np.take_along_axis(x, I, axis=i); (np.put_along_axis(y := x * 1.0, I[:, :1], 1.0, i), y)[1]
np.linspace(x, Y, 4, axis=i); np.logspace(x, Y, 4, axis=i); np.geomspace(x, Y, 4, axis=i)
np.cross(x, Y, axisa=i); np.cross(x, Y, axisb=i); np.cross(x, Y, axisc=i); np.cross(x, Y, axis=i)
np.linalg.cross(x, Y, axis=i); np.vecdot(x, Y, axis=i); np.linalg.vecdot(x, Y, axis=i)
np.swapaxes(x, i, 0); np.swapaxes(x, 0, i); np.rollaxis(x, i); np.rollaxis(x, 1, i); np.roll(x, (1, 2), (0, i))
np.diagonal(x, 0, i, 0); np.diagonal(x, 0, 0, i); np.trace(x, 0, i, 0); np.trace(x, 0, 0, i)
np.apply_along_axis(lambda v: v * v[0], i, x); np.apply_over_axes(np.sum, x, [0, i])
np.trim_zeros(x[0], axis=i - 1); np.linalg.tensorsolve(x, Y[0], (i,)); np.linalg.norm(x, "fro", axis=(0, i))
np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(0, i)); np.linalg.tensordot(x, Y, axes=((0,), (i,)))
np.fft.fft(x, axis=i); np.fft.ifft(x, axis=i); np.fft.rfft(x, axis=i); np.fft.irfft(x, axis=i); np.fft.hfft(x, axis=i)
np.fft.ihfft(x, axis=i); np.fft.fftn(x, axes=(0, i)); np.fft.ifftn(x, axes=(0, i)); np.fft.fft2(x, axes=(i, 0))
np.fft.ifft2(x, axes=(0, i)); np.fft.rfftn(x, axes=(0, i)); np.fft.irfftn(x, (2, 3), (0, i)); np.fft.rfft2(x, axes=(0, i))
np.fft.irfft2(x, axes=(0, i)); np.fft.fftshift(x, i); np.fft.ifftshift(x, (0, i))
np.hypot.reduce(x, axis=i); np.add.accumulate(x, axis=i); np.hypot.accumulate(x, axis=i); np.add.reduceat(x, [0, 1], axis=i)
"""  # noqa: E501

#: Expressions in x and one axis or several.
_SEVERAL = """
np.sum(x, axis=i); np.prod(x, axis=i); np.max(x, axis=i); np.min(x, axis=i); np.amax(x, axis=i); np.amin(x, axis=i)
np.mean(x, axis=i); np.var(x, axis=i); np.std(x, axis=i); np.ptp(x, axis=i); np.sum(axis=i, a=x); np.mean(x, i, where=x > 1)
np.nansum(x, axis=i); np.nanprod(x, axis=i); np.nanmax(x, axis=i); np.nanmin(x, axis=i); np.nanmean(x, axis=i)
np.nanvar(x, axis=i); np.nanstd(x, axis=i); np.median(x, axis=i); np.nanmedian(x, axis=i); np.quantile(x, 0.3, axis=i)
np.nanquantile(x, 0.3, axis=i); np.percentile(x, 30, axis=i); np.nanpercentile(x, 30, axis=i)
np.average(x, axis=i); np.average(x, axis=i, weights=Y); np.add.reduce(x, axis=i); np.maximum.reduce(x, axis=i)
np.logaddexp.reduce(x, axis=i); np.linalg.norm(x, axis=i); np.linalg.norm(x, 1, axis=i); np.linalg.vector_norm(x, axis=i)
np.flip(x, axis=i); np.expand_dims(x, i); np.squeeze(x[:1, :1], axis=i); np.gradient(x, axis=i)
np.moveaxis(x, i, 0 * np.asarray(i, int)); np.moveaxis(x, 0, i); np.transpose(x, (0, i) if np.ndim(i) == 0 else i)
np.rot90(x, 1, (0, i) if np.ndim(i) == 0 else i); np.tensordot(x, Y, (i, i)); np.tensordot(x, Y, (0, i))
"""  # noqa: E501


def _read(text):
    return [expression.strip() for line in text.strip().splitlines() for expression in line.split(";")]


WRONG = dict.fromkeys(_read(_ONE), (5, -7, 1.5))
WRONG |= dict.fromkeys(_read(_SEVERAL), (5, -7, 1.5, (0, 5), (0, 1.5), (0, 0), (1, -1)))
WRONG["np.expand_dims(x, i)"] = (5, -7, 1.5, (0, 5), (0, 1.5), (0, 0), (1, -3))  # of the four axes it makes


def _name(expression):
    return re.search(r"np\.([\w.]+)\(", expression)[1]


def _total(y):
    return sum(map(_total, y)) if type(y) in (tuple, list) else np.sum(np.real(y))


@pytest.mark.parametrize("expression", WRONG)
def test_a_wrong_axis(expression):
    def f(x):
        return eval(expression, {**NAMES, "x": x, "i": axis})

    axis = 1
    try:
        right = f(X)
    except (AttributeError, TypeError):
        pytest.skip("This NumPy has no such function, or it takes no axis.")
    for ours, numpys in zip(*(nnx.autodiff.flatten(y)[0] for y in (nnx.vjp(f, X)[0], right)), strict=True):
        np.testing.assert_allclose(ours, numpys, rtol=1e-12, atol=1e-12)
    for axis in WRONG[expression]:
        kinds = (TypeError,)
        if 1.5 not in np.atleast_1d(axis):  # which np.linalg.norm takes for 1, and np.rot90 for an index
            with pytest.raises((ValueError, IndexError)) as numpys:
                f(X)
            kinds = [kind for kind in (ValueError, IndexError) if isinstance(numpys.value, kind)]
        with pytest.raises((TypeError, ValueError, IndexError)) as ours:
            nnx.grad(lambda x: _total(f(x)))(X)
        assert all(isinstance(ours.value, kind) for kind in kinds), (axis, ours.value)
        assert re.match(rf"np\.{re.escape(_name(expression))}: (an )?axis", str(ours.value)), ours.value


def test_no_function_with_an_axis_is_forgotten():
    names = {"axis", "axes", "axis1", "axis2", "axisa", "source"}
    have = {name for name, f in FUNCTIONS.items() if names & inspect.signature(f).parameters.keys()}
    old = {"trapz", "logsumexp"}  # np.trapezoid's name before, and what np.logaddexp.reduce is
    assert have - old == {name for name in map(_name, WRONG) if name in have}
