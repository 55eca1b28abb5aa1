#!/usr/bin/env bash
# optax.rprop hands out the update of the call before: the first call moves nothing, an entry whose gradient
# has become 0 still moves, and an entry whose gradient changes sign at every second call never moves at all.
#
# Why care: Rprop is compared with other optimizers by its steps. Here it is Rprop on stale gradients, and no
# loss curve says so. Reported in google-deepmind/optax#1725.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet optax==0.2.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

"$folder/bin/python" - <<'PYTHON'
from importlib.metadata import version

import jax.numpy as jnp
import numpy as np
import optax

optimizer = optax.rprop(learning_rate=0.1, eta_minus=0.5, eta_plus=1.2)


def updates(gradients):
    weight, seen = jnp.zeros(1), []
    state = optimizer.init(weight)
    for gradient in gradients:
        update, state = optimizer.update(jnp.array([gradient]), state, weight)
        seen.append(round(float(update[0]), 4) + 0.0)
    return seen


print("optax", version("optax"), "with jax", version("jax"))
cases = {
    # gradients: (updates of Rprop without backtracking, and of torch.optim.Rprop; updates of optax)
    (1.0, 1.0, 1.0): ([-0.1, -0.12, -0.144], [0.0, -0.1, -0.12]),
    (1.0, 0.0): ([-0.1, 0.0], [0.0, -0.1]),
    (1.0, -1.0, -1.0, 1.0, 1.0, -1.0): ([-0.1, 0.0, 0.05, 0.0, -0.025, 0.0], [0.0] * 6),
}
still = True
for gradients, (expected, late) in cases.items():
    seen = updates(gradients)
    still &= bool(np.allclose(seen, late))
    print("gradients", gradients)
    print("  expected:", expected)
    print("  seen:    ", seen)
raise SystemExit(0 if still else "no longer so")
PYTHON
