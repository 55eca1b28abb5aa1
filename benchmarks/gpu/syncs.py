"""Section: how often a training step waits for the device.

Two independent ways. The first counts every read of an array by the host (``float(x)``, ``x.get()``,
``cupy.asnumpy``, a boolean mask as an index, ...): all of them end in one method of CuPy's class, which takes
a replacement. The second, on a GPU only, asks the device: behind a kernel that spins for a while, some steps
are enqueued; if the host is done before the kernel is, none of them waited, for whatever reason.
Each is tried out on deliberate waits first.
"""

from __future__ import annotations

import os
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from checks import ROOT, Check, Found, Skip
from machine import Machine

BATCH = 32
#: In one step of so many at most the host may read: the guard looks every 64 steps, at a few numbers.
ONE_IN = 16
#: All of CuPy's conversions call ``get``, also those in its compiled code.
CUPYS = ("get",)
STRICTS = ("to_device", "__float__", "__int__", "__bool__", "__index__", "__complex__")
#: Milliseconds for which the spinning kernel holds the device, and steps enqueued behind it. A step has some
#: dozens of kernels, and a full queue (about 1000) would make the host wait as well.
HELD, STEPS = 400.0, 6

_SPIN = r"""
extern "C" __global__ void nnx_spin(long long cycles) {
    long long start = clock64();
    while (clock64() - start < cycles) {}
}
"""


def checks(machine: Machine) -> Iterator[Check]:
    """Each way is proved before it is used."""
    yield Check("the counter counts deliberate reads", proved, twice=False)
    for name in ("rmsprop", "adam", "sgd"):
        yield Check(f"reads in training by {name}", lambda m, name=name: reads(m, name), twice=False)
    yield Check("a spinning kernel shows a deliberate wait", spin_shows_a_wait, twice=False)
    for name in ("rmsprop", "adam"):
        yield Check(f"steps of {name} behind a spinning kernel", lambda m, n=name: spin(m, n), twice=False)


@contextmanager
def counted(machine: Machine) -> Iterator[Counter[str]]:
    """Counts the reads by the place in nnx (or in this file) that asked for them."""
    cls, names = _class(machine)
    places: Counter[str] = Counter()
    depth = 0

    def counting(name: str, original: Any) -> Any:
        def method(self: Any, *args: Any, **options: Any) -> Any:
            nonlocal depth
            moved = name == "to_device" and args and args[0] == self.device
            if depth == 0 and not moved and not _on_the_host(self):
                places[f"{name} in {_place()}"] += 1
            depth += 1  # one method may call another: one read
            try:
                return original(self, *args, **options)
            finally:
                depth -= 1

        return method

    own = {name: vars(cls).get(name) for name in names}
    for name in names:
        setattr(cls, name, counting(name, getattr(cls, name)))
    try:
        yield places
    finally:
        for name, method in own.items():
            if method is None:
                delattr(cls, name)  # the base class's is there again
            else:
                setattr(cls, name, method)


def _class(machine: Machine) -> tuple[type, tuple[str, ...]]:
    if machine.backend.name == "cupy":
        import cupy

        return cupy.ndarray, CUPYS
    if machine.backend.name == "array_api_strict":
        from array_api_strict._array_object import Array

        return Array, STRICTS
    raise Skip(f"reads are counted on CuPy, and on array_api_strict in a rehearsal, not on {machine.name}")


def _on_the_host(x: Any) -> bool:
    """Whether an array of array-api-strict lies on its host device already."""
    return "CPU_DEVICE" in str(getattr(x, "device", ""))


def _place() -> str:
    """The innermost line of nnx outside of its backend room, which reads on behalf of others."""
    for frame in reversed(traceback.extract_stack()):
        path = frame.filename.removeprefix(f"{ROOT}{os.sep}")
        room = path != frame.filename and not path.startswith(os.path.join("nnx", "backend"))
        if room and (frame.filename != __file__ or frame.name == deliberate.__name__):
            return f"{path}:{frame.lineno} {frame.name}"
    return "another library"


def deliberate(machine: Machine) -> int:
    """Reads that no one can miss; gives how many."""
    import nnx

    x = machine.backend.asarray([1.0, 2.0, 3.0])
    float(x[0])
    bool(x[1] > 0.0)
    nnx.to_numpy(x)
    if machine.backend.name != "cupy":
        return 3
    x[x > 1.5]  # CuPy reads how many there are
    x[0].item()
    return 5


def proved(machine: Machine) -> Found:
    with counted(machine) as places:
        expected = deliberate(machine)
    if places.total() != expected:
        raise AssertionError(f"{places.total()} instead of {expected} were counted: {dict(places)}")
    with counted(machine) as places:
        x = machine.backend.asarray([1.0, 2.0, 3.0])
        x = x * x + 1.0
    if places:
        raise AssertionError(f"arithmetic was counted as a read: {dict(places)}")
    return Found(f"{expected} of {expected}, and none for arithmetic")


def trained(machine: Machine, optimizer: str) -> tuple[Any, Any, Any]:
    """A small classifier with dropout and a metric, and 256 batches, all on the device."""
    import nnx
    from nnx.layers import Dense, Dropout

    layers = [Dense(64, "relu", input_shape=(16,)), Dropout(0.2), Dense(4, "softmax")]
    model = nnx.Sequential(layers, backend=machine.backend, seed=0)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    x = np.random.default_rng(0).standard_normal((256 * BATCH, 16), dtype=np.float32)
    y = np.eye(4, dtype=np.float32)[np.argmax(x[:, :4], axis=1)]
    return model, *(machine.backend.asarray(a) for a in (x, y))


def reads(machine: Machine, optimizer: str) -> Found:
    """The reads of an epoch of 128 steps and of one of 256: the difference is what the steps read."""
    model, x, y = trained(machine, optimizer)
    found = []
    began = time.perf_counter()
    some = 32 * BATCH  # until steps are recorded: while they are compared with the eager ones they are read
    model.fit(x[:some, ...], y[:some, ...], batch_size=BATCH, epochs=1, verbose=0)
    warmup = time.perf_counter() - began
    for steps in (128, 256):
        with counted(machine) as places:
            model.fit(x[: steps * BATCH, ...], y[: steps * BATCH, ...], batch_size=BATCH, epochs=1, verbose=0)
        found.append(places)
    steps = found[1].total() - found[0].total()
    says = f"{steps / 128:.3f} reads a step; {found[0].total()} and {found[1].total()} in 128 and 256 steps"
    if steps * ONE_IN > 128:
        raise AssertionError(f"{says}; in 256 steps: {dict(found[1])}")
    rows = [(place, found[0][place], count) for place, count in found[1].most_common()]
    return Found(says, [("read", "in 128 steps", "in 256 steps"), *rows], warmup)


class Spinner:
    """A kernel that holds the device for :data:`HELD` milliseconds."""

    def __init__(self, machine: Machine) -> None:
        if machine.rehearsal:
            raise Skip("only on a GPU")
        import cupy

        self._cupy, self._kernel = cupy, cupy.RawKernel(_SPIN, "nnx_spin")
        self._launch(1)
        stop = machine.stopwatch()()
        self._launch(10_000_000)
        self._cycles = int(10_000_000 * HELD / (1e3 * stop()[0]))

    def _launch(self, cycles: int) -> None:
        self._kernel((1,), (1,), (np.int64(cycles),))

    def hold(self) -> Any:
        """Enqueues the kernel; gives an event whose ``done`` says whether it has ended."""
        self._launch(self._cycles)
        event = self._cupy.cuda.Event()
        event.record()
        return event


def spin_shows_a_wait(machine: Machine) -> Found:
    spinner, x = Spinner(machine), machine.backend.asarray([1.0, 2.0])
    float((x + x)[0])  # compiled before it counts
    machine.synchronize()
    event = spinner.hold()
    y = x + x
    if event.done:
        raise AssertionError("the kernel did not hold the device while an addition was enqueued")
    float(y[0])
    if not event.done:
        raise AssertionError("the kernel still ran after a number had been read")
    return Found(f"an addition does not wait, float(x) does; the device is held for {HELD:.0f} ms")


def spin(machine: Machine, optimizer: str) -> Found:
    """From the 71st step on, between two looks of the guard, the device is held while steps are enqueued."""
    import nnx

    spinner = Spinner(machine)
    model, x, y = trained(machine, optimizer)

    class Holds(nnx.callbacks.Callback):
        event: Any = None
        waited: Any = None

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if batch == 70:
                machine.synchronize()
                self.event, self.began = spinner.hold(), time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 70 + STEPS - 1:
                self.waited, self.host = bool(self.event.done), time.perf_counter() - self.began

    model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)
    holds = Holds()
    model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0, callbacks=[holds])
    says = f"{STEPS} steps were enqueued in {1e3 * holds.host:.1f} ms behind {HELD:.0f} ms"
    if holds.waited:
        raise AssertionError(f"the host waited for the device: {says}")
    return Found(f"no wait: {says}")
