"""The same trajectories as Keras 3 for rules that see whole weight arrays, in double precision.

``keras_3_arrays.json`` holds Keras' side, as ``keras_3.json`` does for ``test_keras.py``; it is written by
``PYTHONPATH=.:tests python tests/optimizers/test_keras_arrays.py`` (Keras 3.15 on PyTorch).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from optimizers.conftest import HandWritten
from optimizers.keras_peer import beside_keras, keras_peer, label, live_keras, write

from nnx import optimizers
from nnx.optimizers import schedules
from nnx.parameters import Layout

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras, with new NumPy

FILE = Path(__file__).with_name("keras_3_arrays.json")


class Arrays(HandWritten):
    """The function of :class:`HandWritten` for weights like those of a network of many kinds of layers."""

    layout = Layout(
        (
            "embedding/embeddings",
            "convolution/kernel",
            "convolution/bias",
            "tall/kernel",
            "wide/kernel",
            "square/kernel",
            "scale/gain",
        ),
        ((5, 3), (2, 2, 3, 4), (4,), (6, 2), (2, 5), (3, 3), ()),
    )
    steps = 40
    n = np.arange(layout.size)
    start = np.sin(n + 1.0)
    scale = 0.5 + n % 5
    centre = start + np.where(n % 3 == 0, -1.0, 1.0) * np.linspace(2.0, 3.0, layout.size)
    direction = np.linspace(-0.1, 0.15, layout.size)


OWN = {
    "Lamb": [{}, {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}],
    "Adafactor": [
        {},
        {"learning_rate": 0.2},  # above 1/√t from step 25 on
        {"learning_rate": 0.02, "beta_2_decay": -0.5, "epsilon_1": 1e-3, "epsilon_2": 2.0},
        {"learning_rate": 0.02, "clip_threshold": 0.5},
    ],
    "Muon": [
        {"learning_rate": 0.01},
        {"learning_rate": 0.01, "exclude_layers": ["tall", "squ.re/"], "exclude_embeddings": False},
        {"learning_rate": 0.02, "nesterov": False, "rms_rate": None, "momentum": 0.8, "ns_steps": 3},
        {"adam_beta_1": 0.8, "adam_beta_2": 0.9, "epsilon": 1e-3, "adam_lr_ratio": 10.0},
        {"learning_rate": 0.01, "muon_a": 2.0, "muon_b": -1.5, "muon_c": 0.5},
        {"learning_rate": 0.01, "weight_decay": None, "adam_weight_decay": 0.3},
        {"learning_rate": 0.01, "weight_decay": 0.3, "adam_weight_decay": None},
        {"weight_decay": None, "adam_weight_decay": 0.3, "exclude_from_weight_decay": ["bias"]},
    ],
}
COMMON = [  # with each of them
    {"weight_decay": 0.3},
    {"weight_decay": 0.3, "exclude_from_weight_decay": ["bias", "gain"]},
    {"clipnorm": 0.4},
    {"clipvalue": 0.3},
    {"global_clipnorm": 0.7},
    {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 7},
    {"learning_rate": ["CosineDecay", {"initial_learning_rate": 0.05, "decay_steps": 80}]},
]
CASES = [
    (name, {"learning_rate": 0.02} | options if options in COMMON else options)
    for name, own in OWN.items()
    for options in own + COMMON
]


@pytest.fixture(params=["live", "written"])
def peer(request):
    with keras_peer(request.param, FILE, Arrays()) as keras:
        yield keras


@pytest.mark.parametrize(("case", "peer"), beside_keras(CASES, "Lamb"), indirect=["peer"])
def test_forty_steps_end_where_those_of_keras_end(case, peer, run):
    name, options = case
    options = dict(options)
    if isinstance(options.get("learning_rate"), list):
        schedule, arguments = options["learning_rate"]
        options["learning_rate"] = getattr(schedules, schedule)(**arguments)
    optimizer = getattr(optimizers, name)(**options)
    w, state = run(optimizer, Arrays.steps, of=Arrays(), start=Arrays.start)
    w = optimizer.finalize(w, state)
    moved = Arrays.layout.views(np.abs(w - Arrays.start))
    assert all(np.max(piece) > 1e-3 for piece in moved)  # each went somewhere
    np.testing.assert_allclose(w, peer.trajectory(*case), rtol=1e-12)


if __name__ == "__main__":
    with live_keras(Arrays()) as keras:
        write(FILE, {label(case): keras.trajectory(*case) for case in CASES})
