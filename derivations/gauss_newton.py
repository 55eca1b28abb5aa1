# %% [markdown]
# # Gauss–Newton
#
# ## Claim
#
# Let the cost be half a sum of squares of errors, $E(w) = \tfrac12 \sum_i e_i(w)^2 = \tfrac12 \|e\|^2$, with
# $N$ errors and the Jacobian of their **first** derivatives
#
# $$
# J_{ij} = \frac{\partial e_i}{\partial w_j}, \qquad J \in \mathbb R^{N \times n} .
# $$
#
# (The lectures' slide prints second derivatives in $J$: see the
# [errata](errata.md#the-jacobian-of-levenberg-and-marquardt).) Then
#
# $$
# g = J^\top e, \qquad H = J^\top J + \sum_i e_i \nabla^2 e_i ,
# $$
#
# and Gauss–Newton leaves out the second term of $H$:
#
# $$
# p = -(J^\top J)^{-1} J^\top e .
# $$
#
# 1. $p$ solves the linear problem $\min_p \|J p + e\|$, the errors with their tangents in place of
#    themselves.
# 2. It is a descent direction wherever $J$ has full column rank and $g \ne 0$.
# 3. Near a minimum $w^*$ the error is multiplied by $-(J^\top J)^{-1} S$ with $S = \sum_i e_i \nabla^2
#    e_i$, up to terms of second order. So it converges **quadratically** where the errors vanish at the
#    minimum ($S = 0$), linearly where $S$ is small beside $J^\top J$, and it runs away from the minimum by
#    itself where an eigenvalue of $(J^\top J)^{-1} S$ is above 1 in magnitude.

# %% [markdown]
# ## Derivation
#
# **Gradient and Hessian.** $\partial E/\partial w_j = \sum_i e_i\, \partial e_i/\partial w_j = (J^\top e)_j$.
# Once more:
#
# $$
# \frac{\partial^2 E}{\partial w_j \partial w_k} = \sum_i \frac{\partial e_i}{\partial w_k} \frac{\partial
# e_i}{\partial w_j} + \sum_i e_i \frac{\partial^2 e_i}{\partial w_j \partial w_k} .
# $$
#
# No second derivative is needed for the first term. It is positive semidefinite: $x^\top J^\top J x =
# \|Jx\|^2$.
#
# **1. The linear problem.** $\tfrac12 \|Jp + e\|^2 = \tfrac12 \|e\|^2 + g^\top p + \tfrac12 p^\top J^\top J
# p$ has the gradient $J^\top (Jp + e)$. It is 0 for the $p$ of the claim (the *normal equations*): the
# residual $Jp + e$ is orthogonal to the columns of $J$. The model promises the fall $\tfrac12 g^\top (J^\top
# J)^{-1} g$.
#
# With $J = QR$ (orthogonal $Q$, triangular $R$) the normal equations become $R p = -Q^\top e$. This is the
# better way: $J^\top J = R^\top R$ has the *square* of the condition number of $J$.
#
# **2. Descent.** $g^\top p = -g^\top (J^\top J)^{-1} g < 0$ for a positive definite $J^\top J$.
#
# **3. Rate.** Let $d_k = w_k - w^*$ and $A = J^\top J$. Since $g(w^*) = 0$, $g_k = H d_k + O(\|d_k\|^2) =
# (A + S)\, d_k + O(\|d_k\|^2)$, so
#
# $$
# d_{k+1} = d_k - A^{-1} g_k = -A^{-1} S\, d_k + O(\|d_k\|^2) .
# $$
#
# ∎
#
# **Why it fits to statistics.** If the data are $y_i = h(x_i, w) + \text{noise}$ with independent normal
# noise of variance $\sigma^2$, the likelihood is largest where $\sum e_i^2$ is smallest, and near there the
# covariance of the estimate is $\sigma^2 (J^\top J)^{-1}$. That is what [`nnx.curve_fit`][nnx.curve_fit]
# returns.
#
# **The Jacobian of a network** costs one pass back for each *output*, not for each error. Let sample $s$ have
# the errors $e_{so} = a^{(L)}_{so} - y_{so}$. Start [backpropagation](backpropagation.md) for all samples at
# once with the derivative of output $o$ in place of that of the cost. It gives $\delta^{(l)}_s = \partial
# e_{so} / \partial z^{(l)}_s$: row $s$ of the batch belongs to sample $s$ alone, since no layer mixes
# samples. The row of $J$ is then made of BP4 *without* its sum over the samples,
#
# $$
# \frac{\partial e_{so}}{\partial \Theta^{(l)}} = \left( a^{(l-1)}_s \right)^\top \delta^{(l)}_s, \qquad
# \frac{\partial e_{so}}{\partial \beta^{(l)}} = \delta^{(l)}_s :
# $$
#
# the outer product of a sample's input and its $\delta$.

# %% [markdown]
# ## In nnx
#
# The step is solved with the least damping that is needed (none where $J$ has full rank), and halved until
# the cost falls as Armijo's condition asks:
#
# <!-- source: nnx.optimizers.squares.gauss_newton:GaussNewton.move -->
#
# The system comes in blocks of rows of $J$, so $J$ is never stored whole. By QR, which keeps the digits:
#
# <!-- source: nnx.optimizers.squares.systems:OrthogonalFactors.__init__ -->
#
# For a network, each layer says how its samples' rows are made. Of a dense layer:
#
# <!-- source: nnx.layers.dense:Affine.per_sample -->

# %%
import numpy as np
from scipy.optimize import curve_fit

import nnx

rng = np.random.default_rng(0)
t = np.linspace(0.0, 3.0, 40)


def model(t, a, b, c):
    return a * np.exp(-b * t) + c


def errors(w, y):
    return model(t, w[0], w[1], w[2]) - y


truth, start = np.array([2.0, 1.5, 0.5]), np.array([1.6, 1.2, 0.4])
y = model(t, *truth) + 0.05 * rng.normal(size=40)
problem = nnx.optimizers.ResidualProblem(lambda w: errors(w, y))
point = problem.at(start)
j, e = point.jacobian, point.residual
second = sum(
    e_i * h_i for e_i, h_i in zip(e, nnx.jacobian(nnx.jacobian(lambda w: errors(w, y)))(start), strict=True)
)
h = nnx.hessian(lambda w: 0.5 * np.sum(errors(w, y) ** 2))(start)
print("J", j.shape, " largest entry of JᵀJ", np.abs(j.T @ j).max(), " of Σ eᵢ∇²eᵢ", np.abs(second).max())

# %% [markdown]
# ## Assertions
#
# $J$ by hand ($\partial e/\partial a = e^{-bt}$, $\partial e/\partial b = -a t e^{-bt}$, $\partial e/\partial
# c = 1$), the gradient, the two terms of $H$, and one step of nnx against NumPy's least squares and the
# normal equations.

# %%
a, b, _ = start
by_hand = np.stack([np.exp(-b * t), -a * t * np.exp(-b * t), np.ones_like(t)], axis=1)
assert np.allclose(j, by_hand, rtol=1e-14)
assert np.allclose(point.gradient, by_hand.T @ e, rtol=1e-12)
assert np.allclose(h, j.T @ j + second, rtol=1e-12)


def path_of(f, start, **options):
    """The iterates of Gauss–Newton, the start included."""
    path = [start]
    nnx.least_squares(
        f, start, method="gauss_newton", options=options, callback=lambda x: path.append(x.copy())
    )
    return np.array(path)


step = np.linalg.lstsq(j, -e, rcond=None)[0]
path = path_of(lambda w: errors(w, y), start)
assert np.allclose(step, -np.linalg.solve(j.T @ j, j.T @ e), rtol=1e-10)
assert np.allclose(path[1] - path[0], step, rtol=1e-10)  # the whole step was accepted
assert np.allclose(j.T @ (j @ step + e), 0.0, atol=1e-12)  # orthogonal to the columns

# %% [markdown]
# **The rate.** With noise the distances to the minimum fall by a constant factor, the largest eigenvalue of
# $A^{-1}S$ in magnitude. Without noise ($e = 0$ at the minimum) each is about the square of the one before.

# %%
best = nnx.least_squares(lambda w: errors(w, y), start, method="lm").x
at = problem.at(best)
second = np.einsum("i,ijk->jk", at.residual, nnx.jacobian(nnx.jacobian(lambda w: errors(w, y)))(best))
rates = np.linalg.eigvals(-np.linalg.solve(at.jacobian.T @ at.jacobian, second))
noisy = np.linalg.norm(path - best, axis=1)
clean = np.linalg.norm(path_of(lambda w: errors(w, model(t, *truth)), start) - truth, axis=1)
print("with noise   ", noisy[:6], " predicted factor", np.abs(rates).max())
print("without noise", clean[:6])
seen = noisy[3] / noisy[2]
assert np.isclose(seen, np.abs(rates).max(), rtol=0.1)  # the terms of second order are a hundredth by then
assert clean[3] < 10.0 * clean[2] ** 2 and clean[4] < 1e-9

# %% [markdown]
# **The covariance** at the minimum, $s^2 (J^\top J)^{-1}$ with $s^2 = \|e\|^2/(N - n)$, is that of
# `nnx.curve_fit` and of SciPy's.

# %%
s2 = at.residual @ at.residual / (40 - 3)
by_formula = s2 * np.linalg.inv(at.jacobian.T @ at.jacobian)
ours, theirs = nnx.curve_fit(model, t, y, start), curve_fit(model, t, y, start)
assert np.allclose(ours.pcov, by_formula, rtol=1e-5) and np.allclose(theirs[1], by_formula, rtol=1e-4)
print("standard errors", ours.perr)

# %% [markdown]
# **The Jacobian of a network**, 2-4-3 with tanh, for 5 samples: three passes by hand give the 15 rows that
# [`nnx.jacobian`][nnx.jacobian] finds.

# %%
net = {"k1": rng.normal(size=(2, 4)), "b1": rng.normal(size=4), "k2": rng.normal(size=(4, 3))}
x = rng.normal(size=(5, 2))
rows = nnx.jacobian(lambda net: np.tanh(x @ net["k1"] + net["b1"]) @ net["k2"])(net)
a = np.tanh(x @ net["k1"] + net["b1"])
for o in range(3):
    delta_2 = np.tile(np.eye(3)[o], (5, 1))
    delta_1 = (delta_2 @ net["k2"].T) * (1.0 - a * a)
    assert np.allclose(rows["k2"][:, o], a[:, :, None] * delta_2[:, None, :], rtol=1e-13)
    assert np.allclose(rows["k1"][:, o], x[:, :, None] * delta_1[:, None, :], rtol=1e-13)
    assert np.allclose(rows["b1"][:, o], delta_1, rtol=1e-13)  # rounding of a few products

# %% [markdown]
# ## When it fails
#
# - **Large errors that bend.** $e = (w + 1,\; \lambda w^2 + w - 1)$ has its minimum at $w = 0$, with
#   $J^\top J = 2$ and $S = -2\lambda$: the factor is $\lambda$. For $\lambda = -2$ full steps run away from
#   the minimum; for $\lambda > 1$ it is no minimum at all. The line search of nnx keeps the cost falling.
# - **$J$ without full rank.** There is no unique step; nnx adds the least damping that makes the system
#   solvable. [Levenberg–Marquardt](levenberg_marquardt.md) does so from the start.
# - **Far from the minimum** the linear model does not hold, and short steps along $p$ may be all that the
#   search finds.
# - **Costs that are no sum of squares**: cross-entropy, absolute values. There $H \approx J^\top J$ has no
#   meaning as it is.


# %%
def bent(w, size):
    return np.stack([w[0] + 1.0, size * w[0] ** 2 + w[0] - 1.0])


factors = {}
for size in (0.5, -0.9, -2.0):
    full, w = [0.01], np.array([0.01])
    for _ in range(4):
        e, j = bent(w, size), nnx.jacobian(lambda w: bent(w, size))(w)  # noqa: B023
        w = w - np.linalg.solve(j.T @ j, j.T @ e)
        full.append(abs(w[0]))
    factors[size] = full[1] / full[0]
print("factor of the first step, by λ:", factors)
for size, factor in factors.items():
    assert np.isclose(factor, abs(size), rtol=0.1)  # up to terms of the order of the distance, 0.01
result = nnx.least_squares(lambda w: bent(w, -2.0), [0.01], method="gauss_newton")
assert result.success and abs(result.x[0]) < 1e-6  # E differs from its minimum by less than rounding

# %% [markdown]
# ## References
#
# - C. F. Gauss, *Theoria motus corporum coelestium*, Hamburg 1809, book II, section 3.
# - J. E. Dennis, R. B. Schnabel, *Numerical Methods for Unconstrained Optimization and Nonlinear
#   Equations*, SIAM 1996: section 10.2 (pp. 221–228), Theorem 10.2.1 (the rate).
# - J. Nocedal, S. J. Wright, *Numerical Optimization*, 2nd ed., Springer 2006: section 10.3 (pp. 254–258).
# - Å. Björck, *Numerical Methods for Least Squares Problems*, SIAM 1996: chapters 1, 2 and 9.
# - The example: K. Madsen, H. B. Nielsen, O. Tingleff, *Methods for Non-Linear Least Squares Problems*, 2nd
#   ed., DTU 2004, example 3.4.
