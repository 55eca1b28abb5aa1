"""Peak memory of training beyond the data, against what training cannot do without.

Needed: weights + gradient + the optimizer's state + the activations of one batch, which are the outputs of
every layer and the batch's own x and y. The peak is that of NumPy's arrays and of Python's objects that come
and go during an epoch of ``fit``, as ``tracemalloc`` sees them. Not counted are the data, and what else lives
before the epoch begins (modules, compiled kernels). BLAS libraries' own buffers are not seen.
"""

from __future__ import annotations

import gc
import math
import os
import tracemalloc

import _turns
import mlp_step
import numpy as np

SAMPLES, MEGA = 3 * mlp_step.BATCH, 1e6
LIMIT = 1.3


def deep_network():
    """The lectures' deep tanh network: 11 972 510 weights."""
    import nnx
    from nnx.layers import Dense

    model = nnx.Sequential([nnx.Input((784,)), *(Dense(n, "tanh") for n in (2500, 2000, 1500, 1000, 500))])
    model.add(Dense(10, "softmax"))
    model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
    return model


def without_numba(network):
    os.environ["NNX_NUMBA"] = "0"
    return measure(network)


def measure(network):
    """``[peak, needed]`` in bytes."""
    x, y = (a[:SAMPLES] for a in mlp_step.data())
    tracemalloc.start()
    model = network()

    def epoch():
        model.fit(x, y, batch_size=mlp_step.BATCH, epochs=1, verbose=0)

    epoch()  # what it imports, compiles and keeps is there now
    gc.collect()
    theirs = tracemalloc.DomainFilter(inclusive=False, domain=np.lib.tracemalloc_domain)
    python = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([theirs]).traces)
    tracemalloc.reset_peak()
    epoch()
    return [tracemalloc.get_traced_memory()[1] - python, needed(model, x, y)]


def needed(model, x, y):
    """Bytes of weights, gradient, optimizer state and the activations of one batch."""
    weights = model.count_params()
    slots = len(model.optimizer.slots())
    outputs = sum(math.prod(spec.output_shape) for spec in model.network.specs)
    activations = mlp_step.BATCH * (x.shape[1] + y.shape[1] + outputs)
    return x.itemsize * (weights * (2 + slots) + activations)


def main():
    title = f"Peak memory of training beyond the data, batch {mlp_step.BATCH}, RMSprop (limit: ratio {LIMIT})"
    contenders = {
        "MLP": lambda: without_numba(mlp_step.network),
        "MLP with Numba": lambda: measure(mlp_step.network),
        "deep tanh net": lambda: without_numba(deep_network),
    }
    results, missing = _turns.in_turns(__file__, contenders, title, turns=1)
    print(f"{title}\n{'network':<28}{'peak':>12}{'needed':>12}{'ratio':>9}")
    for name, turns in results.items():
        if not turns:
            print(_turns.not_run(name, missing))
            continue
        peak, least = max(turns)
        print(f"{name:<28}{peak / MEGA:>9.2f} MB{least / MEGA:>9.2f} MB{peak / least:>9.2f}")


if __name__ == "__main__":
    main()
