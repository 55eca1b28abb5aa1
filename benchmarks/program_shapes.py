"""Gradients of programs of many shapes: what they cost beside the program itself, and how that grows.

Each program does eight times the work at 8 n as at n. Time is that of the processor, the best of three, with
Python's collector of cycles off, as ``timeit`` has it (it looks through a long tape again and again, which
takes up to twice the time once more); memory is the peak of the gradient beyond its arguments, as
``tracemalloc`` sees it. Two gates: a gradient takes at most ten times the time of the program, and its memory
and its time for one n grow by at most half between n and 8 n.

Some miss the first gate: ``transposing_sweeps``, whose sweeps of 20 µs are seven operations and four views
each; ``recurrent_network``, where a step's product of a vector with a matrix takes 4 µs, and
``added_reshaped`` by a little (on a busy machine 13 to 15, 10 to 14 and 8 to 12).

The programs in ``SINGLE`` compute with one number in each operation. There Python's floats, which need 50 ns,
stand beside recorded operations of 5 to 10 µs: no ratio of ten can be had, and the gate is the growth alone.
"""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc

import numpy as np

import nnx

RATIO, GROWTH, MEGA = 10.0, 1.5, 1e6
WIDTH = 2000
SINGLE, PROGRAMS = [], {}


def program(n, *shapes, single=False):
    """Decorator: a program of that n, which is given arrays of the shapes, n being −1 in them."""

    def register(f):
        PROGRAMS[f.__name__] = (f, n, shapes)
        SINGLE.extend([f.__name__] * single)
        return f

    return register


# -- reads ---------------------------------------------------------------------------------------------


@program(50, (-1, WIDTH))
def iterated_rows(a):
    return sum(np.sum(np.tanh(row)) for row in a)


@program(50, (WIDTH, -1))
def columns(a):
    return sum(np.sum(np.tanh(a[:, j])) for j in range(a.shape[1]))


@program(50, (-1, WIDTH))
def pairs_of_rows(a):
    return sum(np.sum(np.sin(a[i] * a[i + 1])) for i in range(len(a) - 1))


@program(50, (-1, WIDTH))
def split_rows(a):
    return sum(np.sum(np.exp(part)) for part in np.split(a, len(a)))


@program(50, (50 * 8 * WIDTH,))
def windows(x, n=50):
    return sum(np.sum(np.cos(x[k * WIDTH : (k + 1) * WIDTH])) for k in range(n))


@program(50, (400, WIDTH))
def rows_by_index(a, n=50):
    return sum(np.sum(np.tanh(a[[k % 7, k % 11, k % 400]])) for k in range(n))


@program(50, (400, WIDTH))
def rows_taken(a, n=50):
    return sum(np.sum(np.tanh(np.take(a, [k % 7, k % 11, k % 400], axis=0))) for k in range(n))


@program(50, (-1, WIDTH))
def masked_rows(a):
    return sum(np.sum(np.tanh(row[row > 0.5])) for row in a)


@program(50, (1000, 1000))
def diagonals(a, n=50):
    return sum(np.sum(np.tanh(np.diagonal(a, offset=k % 9))) for k in range(n))


@program(1000, (-1,), single=True)
def numbers(x):
    return sum(x[i] * x[i] for i in range(len(x)))


# -- writes --------------------------------------------------------------------------------------------


@program(50, (-1, WIDTH))
def written_rows(a):
    r = np.zeros_like(a)
    for i in range(len(a)):
        r[i] = np.tanh(a[i])
    return np.sum(r * r)


@program(50, (-1, WIDTH))
def added_rows(a):
    r = np.zeros_like(a)
    for i in range(len(a)):
        r[i] += np.tanh(a[i])
    return np.sum(r * r)


@program(50, (-1, WIDTH))
def written_slices(a):
    r = np.zeros(a.size, like=a)
    for i in range(len(a)):
        r[i * WIDTH : (i + 1) * WIDTH] = np.tanh(a[i])
    return np.sum(r * r)


@program(50, (-1, WIDTH))
def written_masks(a):
    r = np.zeros_like(a)
    for i in range(len(a)):
        r[i][a[i] > 0.5] = np.sum(np.tanh(a[i]))
    return np.sum(r * r)


@program(50, (-1, WIDTH))
def written_transposed(a):
    r = np.zeros_like(a)
    for i in range(len(a)):
        r.T[:, i] = np.tanh(a[i])
    return np.sum(r * r)


@program(1000, (-1,), single=True)
def written_numbers(x):
    r = np.zeros_like(x)
    for i in range(len(x)):
        r[i] = x[i] * x[i]
    return np.sum(r)


@program(100, (-1, 10), single=True)
def numbers_in_rows(a):
    r = np.zeros_like(a)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            r[i][j] = a[i][j] * 2.0
    return np.sum(r * r)


@program(50, (-1, WIDTH))
def added_transposed(a):
    r = np.zeros_like(a)
    v = r.T
    for i in range(len(a)):
        v[:, i] += np.tanh(a[i])
    return np.sum(r * r)


@program(50, (-1, WIDTH))
def added_to_columns_backwards(a):
    r = np.zeros((2 * len(a), WIDTH), like=a)
    v = np.swapaxes(r[::2], 0, 1)[::-1]
    for i in range(len(a)):
        v[:, i] += np.tanh(a[i])
    return np.sum(r * r)


@program(50, (-1, WIDTH))
def added_reshaped(a):
    r = np.zeros_like(a)
    blocks = r.reshape(len(a), 2, -1)
    flat = r.ravel()
    for i in range(len(a)):
        blocks[i] += np.tanh(a[i]).reshape(2, -1)
        flat[i * WIDTH : (i + 1) * WIDTH] *= 0.5
    return np.sum(r * r)


@program(50, (-1, WIDTH))
def added_by_index_through_views(a):
    r = np.zeros_like(a)
    v = np.moveaxis(r, 0, -1)
    for i in range(len(a)):
        v[..., [i]] += np.tanh(a[i])[:, None]
    return np.sum(r * r)


@program(500, (-1, 2), single=True)
def numbers_added_through_views(a):
    r = np.zeros_like(a)
    v, flat = r.T, r.reshape(-1)
    for i in range(len(a)):
        v[:, i] += a[i]
        flat[2 * i] += a[i, 0]
    return np.sum(r * r)


# -- recurrences ------------------------------------------------------------------------------------------


@program(1000, (-1,), single=True)
def recurrence_of_numbers(x):
    r = np.zeros_like(x)
    for i in range(1, len(x)):
        r[i] = 0.9 * r[i - 1] + x[i]
    return np.sum(r * r)


@program(50, (-1, WIDTH))
def recurrence_of_rows(a):
    h = np.zeros_like(a)
    for t in range(1, len(a)):
        h[t] = np.tanh(0.9 * h[t - 1] + a[t])
    return np.sum(h * h)


@program(50, (-1, 100), (100, 100))
def recurrent_network(x, w):
    h, states = x[0], []
    for row in x:
        h = np.tanh(h @ w + row)
        states.append(h)
    return np.sum(np.stack(states) ** 2)


@program(50, (-1, WIDTH))
def best_paths(a):
    t = np.zeros_like(a)
    t[0] = a[0]
    for i in range(1, len(a)):
        t[i] = a[i] + np.logaddexp(t[i - 1], np.roll(t[i - 1], 1))
    return np.logaddexp.reduce(t[-1])


@program(20, (-1, 40), single=True)
def table_of_numbers(a):
    t = np.zeros_like(a)
    for i in range(1, a.shape[0]):
        for j in range(1, a.shape[1]):
            t[i, j] = a[i, j] + 0.3 * (t[i - 1, j] + t[i, j - 1] + t[i - 1, j - 1])
    return t[-1, -1]


# -- long loops, views --------------------------------------------------------------------------------------


@program(50, (WIDTH,))
def long_loop(x, n=50):
    for _ in range(n):
        x = np.sin(x) + 0.1 * x
    return np.sum(x)


@program(50, (10 * WIDTH,))
def diffusion(x, n=50):
    u = x * 1.0
    for _ in range(n):
        u[1:-1] += 0.1 * (u[2:] - 2.0 * u[1:-1] + u[:-2])
    return np.sum(u * u)


@program(50, (100, 100))
def transposing_sweeps(x, n=50):
    a = x * 1.0
    for _ in range(n):
        a[1:-1] += 0.1 * (a[2:] - 2.0 * a[1:-1] + a[:-2])
        a = a.T
    return np.sum(a * a)


@program(50, (8 * 50 + WIDTH,))
def shortened(x, n=50):
    s = 0.0
    for _ in range(n):
        s = s + np.sum(np.tanh(x[:WIDTH]))
        x = x[1:]
    return s


@program(50, (-1, WIDTH))
def written_by_index(a):
    r = np.zeros_like(a)
    for i in range(len(a)):
        r[[i]] = np.tanh(a[i])
    return np.sum(r * r)


@program(50, (-1, WIDTH))
def reshaped_and_written(a):
    r = np.zeros_like(a)
    flat = r.reshape(-1)
    for i in range(len(a)):
        flat[i * WIDTH : (i + 1) * WIDTH] = np.tanh(a[i])
    return np.sum(r * r)


# -- joining -------------------------------------------------------------------------------------------------


@program(100, (-1, WIDTH))
def joined_at_the_end(a):
    return np.sum(np.concatenate([np.tanh(row) for row in a]) ** 2)


@program(100, (-1, WIDTH))
def stacked_at_the_end(a):
    return np.sum(np.stack([np.tanh(row) for row in a]) ** 2)


@program(50, (8 * 50, 2 * WIDTH))
def window_that_moves(a, n=50):
    r = a[0]
    for k in range(n):
        r = np.concatenate([r[WIDTH:], np.tanh(a[k, :WIDTH])])
    return np.sum(r * r)


# -- linear algebra ----------------------------------------------------------------------------------------


@program(20_000, (-1, 3))
def least_squares(a):
    return np.sum(np.linalg.lstsq(a, np.ones(len(a)), rcond=None)[0])


@program(20_000, (-1, 3))
def pseudo_inverse(a):
    return np.sum(np.linalg.pinv(a) ** 3)


@program(20_000, (-1,))
def fitted_polynomial(x):
    return np.sum(np.polyfit(x, np.cos(x), 3))


@program(20_000, (-1, 3))
def singular_values(a):
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return np.sum(s) + np.sum(u[0] * s * vh[0])


@program(20_000, (-1, 3))
def qr(a):
    q, r = np.linalg.qr(a)
    return np.sum(q[0]) + np.sum(r)


@program(20_000, (-1, 3))
def condition(a):
    return np.linalg.cond(a) + np.linalg.norm(a, 2) + np.linalg.norm(a)


@program(2_000, (-1, 5, 5))
def many_solutions(a):
    return np.sum(np.linalg.solve(a + 5.0 * np.eye(5), np.ones((len(a), 5, 1))))


@program(2_000, (-1, 5, 5))
def many_determinants(a):
    return np.sum(np.linalg.det(a + 5.0 * np.eye(5)))


@program(2_000, (-1, 5, 5))
def many_inverses(a):
    return np.sum(np.linalg.inv(a + 5.0 * np.eye(5)))


# -- along an axis ----------------------------------------------------------------------------------------


@program(20_000, (-1,))
def running_products(x):
    return np.sum(np.cumprod(1.0 + x * 1e-6)) + np.prod(1.0 + x * 1e-6)


@program(20_000, (-1,))
def sorted_numbers(x):
    return np.sum(np.sort(x)[::2]) + np.median(x) + np.max(x)


@program(20_000, (-1,))
def filtered(x):
    return np.sum(np.convolve(x, np.ones(20), "valid") ** 2)


@program(20_000, (-1,))
def interpolated(x):
    return np.sum(np.interp(x, np.linspace(0.0, 1.0, 50), np.linspace(0.0, 1.0, 50) ** 2))


def _arguments(shapes, n):
    rng = np.random.default_rng(0)
    return [rng.uniform(size=tuple(n if k == -1 else k for k in shape)) for shape in shapes]


def _seconds(f, *args):
    best = float("inf")
    gc.disable()
    for _ in range(3):
        start = time.process_time()
        f(*args)
        best = min(best, time.process_time() - start)
    gc.enable()
    return best


def _peak(f, *args):
    tracemalloc.start()
    f(*args)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def measure(name):
    """Times of the program and its gradient, and the gradient's peak, at n and at 8 n."""
    f, n, shapes = PROGRAMS[name]
    found = []
    for size in (n, 8 * n):
        steps = {} if any(-1 in shape for shape in shapes) else {"n": size}

        def run(*args, steps=steps):
            return f(*args, **steps)

        gradient, args = nnx.grad(run, argnums=tuple(range(len(shapes)))), _arguments(shapes, size)
        gradient(*args)
        found.append((_seconds(run, *args), _seconds(gradient, *args), _peak(gradient, *args)))
    return found


def main():
    chosen = [name for name in PROGRAMS if not sys.argv[1:] or name in sys.argv[1:]]
    titles = f"{'ms':>9}{'gradient':>10}{'ratio':>8}{'at 8n':>9}{'growth':>8}{'MB at 8n':>10}{'growth':>8}"
    print(f"{'program':<24}{titles}")
    for name in chosen:
        (own, time_, memory), (own8, time8, memory8) = measure(name)
        growth, more = time8 / time_ / 8.0, memory8 / memory / 8.0
        late = name not in SINGLE and time8 / own8 > RATIO
        fails = ["time"] * late + ["growth"] * (growth > GROWTH) + ["memory"] * (more > GROWTH)
        times = f"{own8 * 1e3:>9.2f}{time8 * 1e3:>10.2f}{time_ / own:>8.1f}{time8 / own8:>9.1f}{growth:>8.2f}"
        print(f"{name:<24}{times}{memory8 / MEGA:>10.2f}{more:>8.2f}  {', '.join(fails)}", flush=True)


if __name__ == "__main__":
    main()
