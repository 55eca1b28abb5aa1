# %% [markdown]
# # A straight line
#
# A page for tests of the site: prose with a formula, $y = ax + b$, links to [`nnx.minimize`][nnx.minimize]
# and [`numpy.polyfit`][numpy.polyfit], and
#
# $$
# E(a, b) = \sum_i (a x_i + b - y_i)^2 .
# $$
#
# ## The source of a rule
#
# <!-- source: nnx.losses.regression:mean_squared_error -->

# %%
import matplotlib.pyplot as plt
import numpy as np

import nnx

x = np.linspace(0.0, 1.0, 5)
y = 2.0 * x + 1.0
result = nnx.minimize(lambda w: np.sum((w[0] * x + w[1] - y) ** 2), [0.0, 0.0])
print(result.x.round(4))
assert abs(result.x[0] - 2.0) < 1e-6  # a quadratic is minimised to rounding

# %%
# figure: Five points on a rising line
figure, ax = plt.subplots()
ax.plot(x, y, "o-")

# %%
x[:2] + 1.0
