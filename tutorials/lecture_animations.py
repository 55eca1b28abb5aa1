# %% [markdown]
# # The lectures' two animations
#
# The lectures on optimizers end with two films (made by Alec Radford in 2014): optimizers that race over
# the contour lines of Beale's function, and optimizers that leave a saddle point. This page makes both
# anew with the rules of nnx, and writes them into the current folder as `optimizers_beale.gif` and
# `optimizers_saddle.gif`. It takes about a minute, most of it for drawing frames.

# %%
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import nnx
from nnx.optimizers import SGD, Adadelta, Adagrad, Adam, RMSprop

try:
    from IPython.display import Image  # in a notebook: shows the film
except ImportError:
    Image = str

# %% [markdown]
# ## Over the contours of Beale's function
#
# $$
# f(w) = (1.5 - w_1 + w_1 w_2)^2 + (2.25 - w_1 + w_1 w_2^2)^2 + (2.625 - w_1 + w_1 w_2^3)^2
# $$
#
# It is 0 at its minimum $(3, 0.5)$, and grows to more than 100 000 at the corners of $[-4.5, 4.5]^2$:
# near the minimum lies a flat valley with steep sides. All rules start from $(1, 1.5)$ on one of the
# sides. Learning rates differ, since the rules mean different things by them: one that is right for Adam,
# which divides by the size of the gradient, would make SGD diverge here.


# %%
def beale(w):
    a, b = w[0], w[1]
    return (1.5 - a + a * b) ** 2 + (2.25 - a + a * b**2) ** 2 + (2.625 - a + a * b**3) ** 2


rules = {
    "SGD": SGD(0.002),
    "momentum": SGD(0.002, momentum=0.9),
    "Nesterov": SGD(0.002, momentum=0.9, nesterov=True),
    "Adagrad": Adagrad(0.4),
    "Adadelta": Adadelta(80.0),
    "RMSprop": RMSprop(0.03),
    "Adam": Adam(0.1),
}
picture = {"limits": ((-0.5, 4.0), (-1.7, 2.0)), "minima": [(3.0, 0.5)]}

animation = nnx.plotting.race_animation(beale, [1.0, 1.5], rules, steps=100, **picture)
animation.save("optimizers_beale.gif", writer="pillow", dpi=72)
plt.close()  # the figure of the film, whose first frame would be shown as well
# figure: a film of seven rules that race over the contours of Beale's function
Image("optimizers_beale.gif")

# %% [markdown]
# The end of the film as a still picture:

# %%
# figure: Seven paths over Beale's contours: momentum and Nesterov swing below the valley, SGD is last.
ax = nnx.plotting.race(beale, [1.0, 1.5], rules, steps=100, **picture)

# %% [markdown]
# SGD gets down the steep side fast and crawls along the flat valley: its steps are as long as the
# gradient says. Momentum and Nesterov carry the speed of the steep side with them and overshoot, and then
# are fast in the valley, where the gradients of many steps add up. The other rules divide by the size of
# past gradients. Their first step says nothing of the gradient but its sign: in each variable it is
# $\eta$ for Adam and Adagrad, $\eta/\sqrt{1-\rho}$ for RMSprop, and $\eta\sqrt{\varepsilon/(1-\rho)}$ for
# Adadelta. That is 0.0014 for $\eta = 1$, $\rho = 0.95$ and Keras' $\varepsilon = 10^{-7}$, so Adadelta
# needs a large factor here.

# %%
paths = {line.get_label(): line.get_xydata() for line in ax.lines}
left = {label: float(np.linalg.norm(path[-1] - [3.0, 0.5])) for label, path in paths.items()}
steps = {label: np.linalg.norm(np.diff(path, axis=0), axis=1) for label, path in paths.items()}
print(f"{'':10s} to the minimum   step 1   step 61")
for label, distance in sorted(left.items(), key=lambda item: item[1]):
    print(f"{label:10s} {distance:14.3f} {steps[label][0]:8.3f} {steps[label][60]:9.3f}")

assert all(left[label] < 0.25 * left["SGD"] for label in ("momentum", "Nesterov"))
assert max(left, key=left.get) == "SGD"
assert paths["momentum"][:, 1].min() < -1.0 < 0.0 < paths["SGD"][:, 1].min()  # the overshoot
first = {
    "Adam": 0.1,
    "Adagrad": 0.4,
    "RMSprop": 0.03 / np.sqrt(0.1),
    "Adadelta": 80.0 * np.sqrt(1e-7 / 0.05),
}
for label, length in first.items():
    # Adagrad begins with 0.1 in its sum of squares, where g² is above 1000: relatively 5e-5.
    assert np.allclose(np.abs(np.diff(paths[label][:2], axis=0)), length, rtol=1e-4)

# %% [markdown]
# ## Leaving a saddle point
#
# $f(w) = w_1^2 - w_2^2$ has the gradient $(2w_1, -2w_2)$, which vanishes at the origin: a minimum along
# $w_1$, a maximum along $w_2$. The start $(1, 0.001)$ lies almost on the ridge, so the way leads to the
# saddle first.


# %%
def saddle(w):
    return w[0] ** 2 - w[1] ** 2


rate = 0.05
rules = {
    "SGD": SGD(rate),
    "momentum": SGD(rate, momentum=0.9),
    "Nesterov": SGD(rate, momentum=0.9, nesterov=True),
    "Adagrad": Adagrad(rate),
    "Adadelta": Adadelta(1.0),
    "RMSprop": RMSprop(0.02),
    "Adam": Adam(rate),
}
limits = ((-1.0, 1.3), (-0.3, 1.1))

animation = nnx.plotting.race_animation(saddle, [1.0, 0.001], rules, steps=80, limits=limits)
animation.save("optimizers_saddle.gif", writer="pillow", dpi=72)
plt.close()
# figure: a film of seven rules that leave a saddle point one after the other
Image("optimizers_saddle.gif")

# %%
# figure: Seven paths near a saddle: SGD goes to the origin and turns there, Adam and others leave at once.
ax = nnx.plotting.race(saddle, [1.0, 0.001], rules, steps=80, limits=limits)

# %% [markdown]
# A step of SGD multiplies $w_2$ by $1 + 2\eta = 1.1$. From $0.001$ to $1$ that takes $\lceil \ln 1000 /
# \ln 1.1 \rceil = 73$ steps, and from a start that is a thousand times nearer to the ridge twice as many.
# RMSprop and Adam divide by the size of the gradient: their steps have about the length $\eta$, however
# small the gradient is, and the start makes no difference to speak of.


# %%
def steps_to_leave(label, distance):
    """How many steps it takes until w₂ is above 1."""
    figure, ax = plt.subplots()
    rule = {label: rules[label]}
    nnx.plotting.race(saddle, [1.0, distance], rule, steps=200, limits=limits, ax=ax)
    plt.close(figure)
    return int(np.argmax(ax.lines[0].get_ydata() > 1.0))


print(f"{'':10s} from 1e-3  from 1e-6")
needed = {label: [steps_to_leave(label, distance) for distance in (1e-3, 1e-6)] for label in rules}
for label, (near, nearer) in needed.items():
    print(f"{label:10s} {near:9d}  {nearer:9d}")

assert needed["SGD"] == [int(np.ceil(k * np.log(1000.0) / np.log(1.1))) for k in (1, 2)]
assert max(abs(a - b) for a, b in (needed["RMSprop"], needed["Adam"])) <= 2

# %% [markdown]
# The two files:

# %%
for name in ("optimizers_beale.gif", "optimizers_saddle.gif"):
    size = Path(name).stat().st_size
    print(f"{name}: {size / 1e6:.2f} MB")
    assert size < 1.5e6
