"""Arrays that share memory, function by function: a write into one shows in the others just as in NumPy.

A table of expressions that give views of ``a`` or copies, and one of statements that write. What they mean
is left to NumPy: each program runs on plain arrays, and traced it must have the same numbers, and the
derivatives of finite differences in both modes to second order.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

import nnx
from nnx.errors import DerivativeError

POINT = np.asarray([0.4, -0.9, 1.3, 0.7, -1.6, 0.55])
MATRICES = "m, s = a.reshape(2, 3), a[:4].reshape(2, 2); t, u = m.T, s.T"


def _program(*lines):
    """The function of six numbers that executes the lines on a copy of them."""
    names = {"np": np}
    exec("\n    ".join(("def f(x):", "a = np.copy(x)", MATRICES, *lines)), names)
    return names["f"]


def _is_numpys(f):
    np.testing.assert_allclose(nnx.vjp(f, POINT)[0], f(POINT), rtol=1e-13, atol=1e-14)
    nnx.check_derivatives(f, POINT)


def _table(text):
    return re.split(r"\s\s+|\n", text.strip())


LOOKS = _table("""
a[1:4]  a[::-1]  a[::2]  a[...]  a[()]  a[None]  a[-1:0:-2]  a[:]  m[1]  m[:,1]  m[1,::-1]  m[:,None,1:]
m[...,-1:]  m[0][1:]  t[0]  u[:,1]  u.T[0]  [*m][1]  a[[1,2]]  a[a>0]  m[[0,1],[1,2]]  m[:,[0,2]]
m[np.ix_([0,1],[2,0])]  a[np.argsort([3,1,2,6,5,4])]
a.reshape(3,2)  t.reshape(-1)  a.reshape((2,3),order="F")  t.reshape(6,order="F")  m.reshape(3,2)[1:]
np.reshape(t,(2,3))  a.ravel()  t.ravel()  np.ravel(m)  m.ravel(order="F")  t.ravel(order="F")  a.flatten()
t.flatten()  (t*2).reshape(-1)  m.T  t.T  m.transpose()  m.swapaxes(0,1)  np.transpose(m)  np.swapaxes(m,0,1)
np.moveaxis(m,0,1)  np.rollaxis(m,1)  np.matrix_transpose(m)  np.permute_dims(m,(1,0))  np.expand_dims(a,0)
a.squeeze()  np.squeeze(a[None])  np.flip(a)  np.rot90(m)  np.fliplr(m)  np.flipud(m)  np.atleast_1d(a)
np.atleast_2d(a)  np.atleast_3d(a)  np.split(a,2)[1]  np.array_split(a,4)[0]  np.hsplit(a,2)[0]
np.vsplit(m,2)[1]  np.dsplit(a.reshape(1,3,2),2)[0]  np.unstack(m)[1]  np.trim_zeros(a)
np.einsum("i->i",a)  np.einsum("ii->i",s)  np.einsum("ij->ji",m)
a.real  np.real(a)  np.real_if_close(a)  (a+1j*a[::-1]).real  a.astype(float)  a.astype(float,copy=False)
np.copy(a)  np.copy(t)  +a  -a  a*1  np.positive(a)  np.conj(a)  np.clip(a,-9,9)  np.where(True,a,a)
np.nan_to_num(a)  np.nan_to_num(a,copy=False)  np.roll(a,1)  np.tile(a,1)  np.repeat(a,1)  np.resize(a,(6,))
np.delete(a,0)  np.concatenate([a])  np.vstack([a])  np.sort(a)  a.take([0,1])  np.take(a,[5,5])  np.tril(m)
np.fft.fftshift(a)  np.meshgrid(a,[1.0,2.0])[0]  a.copy()  t.copy()
a.conj()  a.conjugate()  (a+1j).conj().real  np.einsum("ii->i",t[:2])
""")
# NumPy does not let one write into these; into the array that they look into it does.
DIAGONALS = _table(
    "np.diagonal(t)  np.diag(m[:,1:])  np.diagonal(s)  m.diagonal()  np.linalg.diagonal(s)  np.diag(s)"
)
SPREAD = _table("""
np.broadcast_to(a,(2,6))  np.broadcast_to(m[:,:1],(2,3))  np.lib.stride_tricks.sliding_window_view(a,3)
np.lib.stride_tricks.sliding_window_view(m,(2,2))[:,0]
""")
BOTH = "return np.concatenate([np.ravel(a) ** 2, np.ravel(b) ** 3])"


@pytest.mark.parametrize("look", LOOKS + DIAGONALS + SPREAD)
def test_what_looks_into_an_array_sees_a_write_into_it(look):
    _is_numpys(_program(f"b = {look}", "a[2] = a[1] ** 2", "a[0] *= a[5]", BOTH))


@pytest.mark.parametrize("look", LOOKS)
def test_an_array_sees_a_write_into_what_looks_into_it(look):
    _is_numpys(_program(f"b = {look}", "b *= a[1]", "b[...] = b[::-1] * a[0]", BOTH))


@pytest.mark.parametrize("look", SPREAD)
def test_numbers_that_are_seen_in_several_places_cannot_be_written_there(look):
    f = _program(f"b = {look}", "b *= a[1]", BOTH)
    for run in (f, lambda x: nnx.vjp(f, x)):
        with pytest.raises(ValueError, match="read-only"):
            run(POINT)


@pytest.mark.parametrize("look", LOOKS)
def test_views_of_views(look):
    _is_numpys(_program(f"b = {look}", "c = b[..., 1:]", "c *= a[1]", "a[0] = np.sum(b) ** 2", BOTH))


#: Statements that write into ``a``, mostly through views and with values that overlap the place.
STATEMENTS = """
a += a[::-1]
a[1:] += a[:-1]
a[:-1] *= a[1:]
a[1:] = a[:-1]
a[:] = a[::-1]
a[:1], a[1:2] = a[1:2], a[:1]
a[0], a[1] = a[1], a[0]
b = a[1:4]; b[:] = b * a[0]
b = a[::-1]; a[0] = a[1] * 3; a += b
b = a[0:1]; a[0] = a[1] ** 2; a[1:] *= b
b = a[0]; a[0] = a[1]; a[2:] *= b
b = a; b += a[::-1]
b = a * 1; c = b; c += a; a *= b
b, c = np.array_split(a, 2); b[0] = c[1] ** 2
a[[0, 0, 1]] += 1 * a[3]
a[[0, 0, 1]] = a[3:]
a[a > 0] *= a[0]
a[a > 0] = 0
a[np.abs(a) > 0.5] = a[np.abs(a) > 0.5] ** 2
a[-1] = a[np.argmax(a)]
a[True] *= 2
a[1:3] = [a[0], a[5]]
a[1:3] = [a[0], 2.0]
a[1:3] = (1, 2)
a[1] = 3
a[1:4] = a[0]
for i in range(1, 6): a[i] += a[i - 1] ** 2
for row in m: row *= row[0]
m[0] = m[1] ** 2
m[:, 0] = a[4:] ** 2
m[:, None, 1] = m[:, None, 0] ** 2
m[..., [0, 2]] += m[..., [1, 1]] ** 2
m[[0, 1], [1, 2]] = a[0]
m[m.sum(1) > 0] = a[0]
m[np.ix_([0, 1], [2, 0])] *= a[0]
m[...] = m @ np.asarray([[2.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 3.0]])
b = m[1]; b[0] = a[0]; m[0, 0] = b[1]
t[1, 1] = a[0] * a[5]
t.T[0] = a[1] ** 2
b = m.reshape(6); b += a[::-1]
b = np.zeros_like(a); c = b[2:]; b[:] = a**2; a[2:] *= c
b = np.empty_like(a); b[::2] = a[::2]; b[1::2] = a[::2] ** 2; a *= b
b = np.zeros(6, like=x); b[2:] = a[2:] ** 2; c = b[3:]; c -= 1; a *= b
b = t.copy(); b.reshape(-1)[0] = a[4] ** 2; a *= b[0, 0]
b = np.copy(t); b.reshape(-1)[0] = a[4] ** 2; a *= b[0, 0]
b = t * 2; b.reshape(-1)[0] = a[4] ** 2; a *= b[0, 0]
b = np.exp(t) + t; c = b.ravel(order="F"); c += a; m *= b.T
b = np.zeros_like(t); b.reshape(-1)[0] = a[4] ** 2; a += b[0, 0]
b = np.ones_like(t); b.ravel(order="F")[0] = a[4] ** 2; a *= b[0, 0]
b = np.full_like(t, 2.0); b.reshape(-1)[0] = a[4] ** 2; a *= b[0, 0]
b = [0.0] * 6; b[0] = a[0]; a *= np.stack([z + a[1] for z in b])
np.add.at(a, [0, 0, 1], a[3:])
np.copyto(a, a[::-1] ** 2)
np.put(a, [0, -1], a[1:3])
np.putmask(a, a > 0, a**2)
np.fill_diagonal(s, a[5])
np.put_along_axis(m, np.asarray([[1], [2]]), a[5] ** 2, 1)
b = a.flat; b[0] = a[1] ** 2
a.flat[0] = a[1] ** 2
""".strip().splitlines()


@pytest.mark.parametrize("statement", STATEMENTS)
def test_statements_that_write(statement):
    _is_numpys(_program(statement, "return np.stack([a**2, a * np.arange(6.0)])"))


#: A plain array that changes after its use: what was computed with it stays.
CHANGED = """
p = np.zeros(6); b = a * 0; [(p.__setitem__(i, 1.0), b.__iadd__(a**2 * p)) for i in range(6)]
p = np.ones(6); b = a * p; p *= 5; b *= a
p = np.arange(6.0); b = a + p; p[:] = 0; b *= b
p = np.arange(6.0); q = p[:]; b = a * q; p[:] = 0; b *= b
p = a > 0; b = np.where(p, a * a, 0); p[:] = False
p = a > 0; b = a[p]; p[:] = False; b *= b
p = np.asarray([0, 1]); b = a[p]; p += 1; b *= b
""".strip().splitlines()


@pytest.mark.parametrize("statement", CHANGED)
def test_plain_arrays_that_change_after_their_use(statement):
    _is_numpys(_program(statement, "return b"))


REFUSED = {
    "np.add(a, a[::-1], out=a)": "add.*out=",
    "np.multiply(a, 2, out=a[:])": "multiply.*out=",
    "np.maximum(a, 0, where=a > 1, out=a)": "maximum",
    "np.place(a, a > 0, [1.0, 2.0])": "place.*one by one",
    "np.add(a, a, where=a > 0)": "add.*np.where",
    'm.ravel("K")': "ravel.*order='K'",
    't.flatten("A")': "order='A'",
}


@pytest.mark.parametrize("statement", REFUSED)
def test_what_cannot_be_followed_is_refused(statement):
    with pytest.raises(DerivativeError, match=f"(?s){REFUSED[statement]}"):
        nnx.grad(_program(statement, "return np.sum(a)"))(POINT)
