"""What the progress bar costs: ``fit(verbose=1)`` against ``fit(verbose=0)``, on the MLP and on the camera.

The bar is drawn on a pseudo-terminal that another process reads, as a terminal does; where there are none
(Windows) it is drawn into a file that says it is a terminal. In each process the two take turns and the ratio
is the median over pairs, so that neither the machine's drift nor its start counts.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager, redirect_stdout

import _turns
import camera_step
import mlp_step

PAIRS, SECONDS = 5, 0.7
LIMIT = 1.02
READER = "import sys\nwhile sys.stdin.buffer.read1(65536): pass"


@contextmanager
def terminal():
    """What is printed in the block goes to a pseudo-terminal."""
    if sys.platform == "win32":
        with open(os.devnull, "w", encoding="utf-8") as file:
            file.isatty = lambda: True
            with redirect_stdout(file):
                yield
        return
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", READER], stdin=ours, stderr=subprocess.DEVNULL) as reader:
        os.close(ours)
        with open(theirs, "w", encoding="utf-8") as file, redirect_stdout(file):
            yield
        reader.terminate()


def cost(script):
    """Seconds per step without the bar and with it, in alternation: ``[[off, on], ...]``."""
    model, (x, y) = script.network(), script.data()

    def fit(epochs, verbose):
        start = time.perf_counter()
        model.fit(x, y, batch_size=script.BATCH, epochs=epochs, verbose=verbose)
        return time.perf_counter() - start

    with terminal():
        fit(1, 0), fit(1, 1)
        epochs = max(1, round(SECONDS / fit(1, 0)))
        return [[fit(epochs, v) / (epochs * script.STEPS) for v in (0, 1)] for _ in range(PAIRS)]


def main():
    title = f"Progress bar: a step of fit with verbose=0 and verbose=1 (limit: ratio {LIMIT})"
    contenders = {"MLP": lambda: cost(mlp_step), "camera": lambda: cost(camera_step)}
    results, missing = _turns.in_turns(__file__, contenders, title, turns=3)
    print(f"{title}\n{'network':<28}{'off':>13}{'on':>13}{'min':>9}{'max':>9}{'ratio':>9}")
    for name, turns in results.items():
        if not turns:
            print(_turns.not_run(name, missing))
            continue
        pairs = [pair for turn in turns for pair in turn]
        off, on = (statistics.median(times) * 1e6 for times in zip(*pairs, strict=True))
        ratios = sorted(b / a for a, b in pairs)
        low, middle, high = ratios[0], statistics.median(ratios), ratios[-1]
        print(f"{name:<28}{off:>10.1f} µs{on:>10.1f} µs{low:>9.3f}{high:>9.3f}{middle:>9.3f}")


if __name__ == "__main__":
    main()
