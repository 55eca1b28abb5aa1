"""The same trajectories as PyTorch, in double precision.

PyTorch adds ε where Keras does not; without ε the two are the same rule, and that is what is compared.
"""

from __future__ import annotations

import numpy as np
import pytest

from nnx import optimizers

torch = pytest.importorskip("torch")

CASES = [  # name, options, PyTorch's options (and name, where it is another one)
    ("SGD", {"learning_rate": 0.05}, {"lr": 0.05}),
    ("SGD", {"momentum": 0.9}, {"lr": 0.01, "momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}, {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    ("Adagrad", {"epsilon": 0.0}, {"lr": 0.001, "initial_accumulator_value": 0.1, "eps": 0}),
    ("Adadelta", {"learning_rate": 1.0, "rho": 0.9}, {"lr": 1.0, "rho": 0.9, "eps": 1e-7}),
    ("RMSprop", {"epsilon": 0.0}, {"lr": 0.001, "alpha": 0.9, "eps": 0}),
    ("RMSprop", {"epsilon": 0.0, "momentum": 0.5}, {"lr": 0.001, "alpha": 0.9, "eps": 0, "momentum": 0.5}),
    ("RMSprop", {"epsilon": 0.0, "centered": True}, {"lr": 0.001, "alpha": 0.9, "eps": 0, "centered": True}),
    ("Adam", {"epsilon": 0.0}, {"lr": 0.001, "eps": 0}),
    ("AMSGrad", {"epsilon": 0.0}, {"lr": 0.001, "eps": 0, "amsgrad": True}, "Adam"),
    ("AdamW", {"epsilon": 0.0, "weight_decay": 0.1}, {"lr": 0.001, "eps": 0, "weight_decay": 0.1}),
    ("Adamax", {"epsilon": 0.0}, {"lr": 0.001, "eps": 0}),
    ("Nadam", {"epsilon": 1e-7}, {"lr": 0.001, "eps": 1e-7, "momentum_decay": 1.0}, "NAdam"),
    ("Rprop", {}, {}),
    ("Rprop", {"learning_rate": 0.5, "etas": (0.3, 1.5)}, {"lr": 0.5, "etas": (0.3, 1.5)}),
    ("Rprop", {"step_sizes": (1e-3, 0.02)}, {"step_sizes": (1e-3, 0.02)}),
    ("IRpropMinus", {"learning_rate": 0.1}, {"lr": 0.1}, "Rprop"),
]


@pytest.fixture(autouse=True)
def double_precision():
    # else the running product of NAdam's momenta is single
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]} {c[1]}")
def test_a_hundred_steps_end_where_those_of_pytorch_end(case, problem, run):
    ours, options, arguments = case[:3]
    theirs = case[-1] if len(case) == 4 else ours
    w = torch.nn.Parameter(torch.tensor(problem.start, dtype=torch.float64))
    peer = getattr(torch.optim, theirs)([w], **arguments)
    for _ in range(100):
        w.grad = torch.tensor(problem.gradient(w.detach().numpy()))
        peer.step()
    mine, _ = run(getattr(optimizers, ours)(**options))
    assert np.max(np.abs(mine - problem.start)) > 1e-3
    np.testing.assert_allclose(mine, w.detach().numpy(), rtol=1e-12)
