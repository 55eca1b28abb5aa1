"""What a program waits for before its first result: imports and first uses, beyond NumPy's own import.

Each in new processes that have imported NumPy, in turns, with compiled modules (``__pycache__``) in place;
medians of the processor's time, which other programs on the machine change less than the clock's.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

TURNS = 15
FIT = """
model = nnx.Sequential([nnx.layers.Dense(4, activation="tanh", input_shape=(2,)), nnx.layers.Dense(1)])
model.compile(optimizer="adam", loss="mse")
model.fit(np.ones((8, 2)), np.ones((8, 1)), epochs=1, verbose=0)
"""
USES = {
    "import nnx": "import nnx",
    "from nnx import grad": "from nnx import grad",
    "a first gradient": "import nnx; nnx.grad(lambda x: np.sum(np.tanh(x) ** 2))(np.ones(3))",
    "a network built and fitted": f"import nnx{FIT}",
    "all names of the package": "from nnx import *",
}
PROCESS = """
import time
import numpy as np
start = time.process_time()
{}
print(time.process_time() - start)
"""


def seconds(statement: str) -> float:
    """The processor's time that a new process takes for a statement."""
    run = subprocess.run(
        [sys.executable, "-c", PROCESS.format(statement)], capture_output=True, text=True, check=True
    )
    return float(run.stdout)


def main() -> None:
    for statement in USES.values():
        seconds(statement)  # compiles what is not yet compiled
    turns = [{name: seconds(statement) for name, statement in USES.items()} for _ in range(TURNS)]
    print("| | seconds |\n|---|---|")
    for name in USES:
        print(f"| {name} | {statistics.median(turn[name] for turn in turns):.3f} |", flush=True)


if __name__ == "__main__":
    main()
