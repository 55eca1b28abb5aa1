"""Gradients of functions of large arrays: time and peak memory against gradients written by hand in NumPy.

By hand means: the chain rule step by step, nothing computed twice, plain NumPy expressions (no ``out=``). The
peak is that of NumPy's arrays beyond the inputs, as ``tracemalloc`` sees them; libraries with a memory of
their own (JAX, PyTorch) are not seen.

Where in memory the arrays of a process happen to lie changes the time of a product with a vector by a third,
be it by hand or not. Contenders that compute with NumPy therefore take turns with the gradient by hand on
the same arrays in the same process; "paired" is the ratio to that.
"""

from __future__ import annotations

import gc
import statistics
import time
import tracemalloc
from functools import partial

import _gradients
import _turns
import numpy as np
from autodiff_small import elementwise, elementwise_by_hand

TURNS, REPEAT, MEGA = 5, 5, 1e6
FIRST = "NumPy by hand"
UNSEEN = ("JAX eager", "JAX jit", "PyTorch eager")


def tanh_layer(np, w, x):
    return np.sum(np.tanh(x @ w) ** 2)


def tanh_layer_by_hand(w, x):
    y = np.tanh(x @ w)
    return x.T @ (2.0 * y * (1.0 - y * y))


def logistic(np, w, x, sign):
    return np.mean(np.log1p(np.exp(-sign * (x @ w))))


def logistic_by_hand(w, x, sign):
    e = np.exp(-sign * (x @ w))
    return (-sign * (e / (1.0 + e)) / len(sign)) @ x


def reductions(np, x):
    y = x - np.mean(x, axis=0)
    spread = np.mean(y * y, axis=1)
    return np.sum(np.log(np.sum(np.exp(y), axis=1)) * spread)


def reductions_by_hand(x):
    y = x - np.mean(x, axis=0)
    e = np.exp(y)
    s = np.sum(e, axis=1)
    spread, logs = np.mean(y * y, axis=1), np.log(s)
    g = (spread / s)[:, None] * e + (2.0 / x.shape[1] * logs)[:, None] * y
    return g - np.mean(g, axis=0)


def cases():
    """``{title: (function, by hand, arrays)}``; the gradient is with respect to the first array."""
    random = np.random.default_rng(0)
    square, weights = random.standard_normal((2, 1000, 1000))
    rows = random.standard_normal((100_000, 100))
    sign = np.where(random.random(100_000) < 0.5, -1.0, 1.0)
    return {
        "sum(tanh(x @ w)²), 1000×1000": (tanh_layer, tanh_layer_by_hand, (weights / 30.0, square)),
        "elementwise chain, 10⁶ numbers": (
            elementwise,
            elementwise_by_hand,
            (random.standard_normal(10**6),),
        ),
        "logistic regression, 10⁵×100": (logistic, logistic_by_hand, (np.zeros(100), rows, sign)),
        "mixed reductions, 1000×1000": (reductions, reductions_by_hand, (square,)),
    }


def peak(step):
    """Bytes that come and go during ``step()``."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    step()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most - before


def in_alternation(*steps):
    """The median time of each of the steps, which take turns of six; the first of each turn does not count.

    It would pay for the memory that the turn before has given back to the system.
    """
    times = [[] for _ in steps]
    for _ in range(TURNS + 1):
        for step, taken in zip(steps, times, strict=True):
            step()
            for _ in range(REPEAT):
                start = time.perf_counter()
                step()
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken[REPEAT:]) for taken in times]


def contender(name):
    """``{case: [seconds, bytes, seconds by hand in the same process]}`` of one contender."""

    def run():
        found = {}
        for title, (f, by_hand, arrays) in cases().items():
            hand = partial(by_hand, *arrays)
            if name == FIRST:
                found[title] = [*in_alternation(hand), peak(hand), None]
                continue
            step = _gradients.checked(_gradients.TOOLS[name](f, *arrays), hand())
            if name in UNSEEN:
                found[title] = [*in_alternation(step), 0, None]
            else:
                seconds, by_hands = in_alternation(step, hand)
                found[title] = [seconds, peak(step), by_hands]
        return found

    return run


def main():
    contenders = {name: contender(name) for name in (FIRST, *_gradients.TOOLS)}
    results, missing = _turns.in_turns(__file__, contenders, "Gradients of functions of large arrays")
    for case in cases():
        times = {name: [t[case][0] for t in turns] for name, turns in results.items()}
        peaks = {
            name: statistics.median(t[case][1] for t in turns) for name, turns in results.items() if turns
        }

        def remark(name, case=case, peaks=peaks):
            if not peaks[name]:
                return f"{'peak not seen':>26}"
            ratio = f"{peaks[name] / peaks[FIRST]:>7.2f}" if FIRST in peaks else ""
            pairs = [seconds / hand for seconds, _, hand in (t[case] for t in results[name]) if hand]
            paired = f"   paired {statistics.median(pairs):.2f}" if pairs else ""
            return f"{peaks[name] / MEGA:>9.1f} MB peak{ratio}{paired}"

        _turns.table(f"\nGradient in float64: {case}", times, missing, "ms", remark)


if __name__ == "__main__":
    main()
