"""The lectures' notebook runs with only its import lines changed, on any backend.

``notebook.py`` holds its cells as they were. The quick test makes the data and the deep network smaller by
replacing numbers in the text; the slow one runs it as it stands, on real MNIST.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).with_name("notebook.py")
DATA = Path(__file__).parents[3] / "shared" / "data"

#: Serves the first 600 + 100 digits under the name of MNIST, wherever scikit-learn's or the real ones are.
SMALL_DATA = """
import numpy as np
from nnx.datasets import digits, mnist
def load_data():
    (x, y), _ = digits.load_data()
    x = np.pad(x, ((0, 0), (10, 10), (10, 10))) * 15
    return (x[:600].astype("uint8"), y[:600]), (x[600:700].astype("uint8"), y[600:700])
mnist.load_data = load_data
import nnx
nnx.utils.set_random_seed(0)
"""
SMALLER = {
    "60000": "600", "10000": "100", "2500": "25", "2000": "20", "1500": "15",
    "epochs=10": "epochs=2", "epochs=5": "epochs=2",
}  # fmt: skip


def smaller(text: str) -> str:
    for long, short in SMALLER.items():
        text = re.sub(rf"(?<![\d_]){re.escape(long)}", short, text)
    return text.replace("Dense(1000", "Dense(10")


def run(text: str, backend: str, tmp_path: Path) -> str:
    script = tmp_path / "notebook.py"
    script.write_text(text, encoding="utf-8")
    env = {**os.environ, "NNX_BACKEND": backend, "MPLBACKEND": "Agg"}
    if DATA.is_dir():
        env.setdefault("NNX_DATA_DIR", str(DATA))
    done = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize(
    "library",
    [
        "numpy",
        "array_api_strict:device1",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("torch", "array_api_strict")),
    ],
)
def test_the_cells_run_on_small_data(library, tmp_path):
    pytest.importorskip(library.split(":")[0])
    pytest.importorskip("sklearn")
    out = run(SMALL_DATA + smaller(NOTEBOOK.read_text(encoding="utf-8")), library, tmp_path)
    assert "[-4, -4, 3]" in out
    assert "[0.3932238664829637, -0.5898357997244456]" in out
    assert "669,706" in out
    assert "Total params: 116" in out
    assert "array([[ 1., -1.,  0.,  0.],\n       [ 1.,  1.,  0.,  0.]," in out
    accuracies = [float(a) for a in re.findall(r"Test accuracy[^:]*: ([\d.]+)", out)]
    assert len(accuracies) == 5
    # the camera: weights set by hand are always right; training reaches it too
    assert accuracies[3:] == [1.0, 1.0]


@pytest.mark.slow
def test_the_cells_run_as_they_stand(tmp_path):
    if not (DATA / "mnist").is_dir() and "NNX_DATA_DIR" not in os.environ:
        pytest.skip("Real MNIST is in neither shared/data nor NNX_DATA_DIR.")
    out = run(NOTEBOOK.read_text(encoding="utf-8"), "numpy", tmp_path)
    accuracies = [float(a) for a in re.findall(r"Test accuracy[^:]*: ([\d.]+)", out)]
    # single runs: the lectures' own figures (0.9810, 0.9801, 0.9698) less the spread between seeds
    assert accuracies[0] > 0.978
    assert accuracies[1] > 0.975
    assert accuracies[2] > 0.955
    assert accuracies[3:] == [1.0, 1.0]
