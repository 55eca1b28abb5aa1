# %% [markdown]
# # The effective number of parameters
#
# ## Claim
#
# Bayesian regularization (MATLAB's `trainbr`) minimises
#
# $$
# F(w) = \beta E_D + \alpha E_W, \qquad E_D = \sum_{i=1}^N e_i^2, \qquad E_W = \sum_{j=1}^n w_j^2 ,
# $$
#
# and finds $\alpha$ and $\beta$ from the data. With $H = \nabla^2 F \approx 2\beta J^\top J + 2\alpha I$ at
# the minimum,
#
# $$
# \gamma = n - 2\alpha \operatorname{tr} H^{-1}, \qquad \alpha = \frac{\gamma}{2 E_W}, \qquad \beta =
# \frac{N - \gamma}{2 E_D} .
# $$
#
# 1. These are the conditions for the largest **evidence**: the probability of the data with the weights
#    integrated out, if noise and weights are normally distributed.
# 2. $\gamma = \sum_i \dfrac{\lambda_i}{\lambda_i + 2\alpha}$, where $\lambda_i \ge 0$ are the eigenvalues
#    of $2\beta J^\top J$. So $0 \le \gamma \le \min(n, N)$: the number of weights that the data determine.
# 3. The noise variance is estimated by $\sigma^2 = 1/(2\beta) = E_D/(N - \gamma)$: the residuals have lost
#    $\gamma$ degrees of freedom, not $n$.

# %% [markdown]
# ## Derivation
#
# **The model.** Errors are independent and normal with variance $1/(2\beta)$, weights are so with variance
# $1/(2\alpha)$:
#
# $$
# P(\text{data} \mid w) = \left( \frac\beta\pi \right)^{N/2} e^{-\beta E_D}, \qquad P(w) = \left(
# \frac\alpha\pi \right)^{n/2} e^{-\alpha E_W} .
# $$
#
# The product is proportional to $e^{-F}$: the most probable weights minimise $F$. Their integral is the
# evidence. Near the minimum $w^*$, $F(w) \approx F(w^*) + \tfrac12 (w - w^*)^\top H (w - w^*)$ (exact for
# errors linear in $w$), so
#
# $$
# \ln P(\text{data} \mid \alpha, \beta) = -F(w^*) + \frac n2 \ln 2\pi - \frac12 \ln\det H + \frac N2 \ln
# \frac\beta\pi + \frac n2 \ln \frac\alpha\pi .
# $$
#
# **1. Its maximum.** $w^*$ moves with $\alpha$ and $\beta$, but $\partial F/\partial w = 0$ there, so only
# the explicit dependence counts. With $\partial \ln\det H = \operatorname{tr}(H^{-1}\, \partial H)$, $J$
# taken as constant,
#
# $$
# \frac{\partial}{\partial \alpha}: \quad -E_W - \operatorname{tr} H^{-1} + \frac{n}{2\alpha} = 0
# \quad\Longleftrightarrow\quad 2\alpha E_W = n - 2\alpha \operatorname{tr} H^{-1} = \gamma ,
# $$
#
# $$
# \frac{\partial}{\partial \beta}: \quad -E_D - \operatorname{tr} (H^{-1} J^\top J) + \frac{N}{2\beta} = 0
# \quad\Longleftrightarrow\quad 2\beta E_D = N - \operatorname{tr}(2\beta J^\top J\, H^{-1}) .
# $$
#
# Since $2\beta J^\top J = H - 2\alpha I$, the last trace is $n - 2\alpha \operatorname{tr} H^{-1} = \gamma$.
# ∎
#
# **2. Eigenvalues.** $H$ has the eigenvalues $\lambda_i + 2\alpha$, so $n - 2\alpha \sum 1/(\lambda_i +
# 2\alpha) = \sum \lambda_i/(\lambda_i + 2\alpha)$. A direction with $\lambda_i \gg 2\alpha$, which the data
# fix, counts as 1; one with $\lambda_i \ll 2\alpha$, which only the penalty holds, as 0. $J^\top J$ has at
# most $\min(n, N)$ eigenvalues above 0.
#
# For errors that are linear, $e = \Phi w - y$, the fit is $\Phi w^* = S y$ with $S = \Phi (\Phi^\top \Phi +
# \tfrac\alpha\beta I)^{-1} \Phi^\top$, and $\gamma = \operatorname{tr} S$: the degrees of freedom of ridge
# regression.
#
# **The algorithm** (Foresee and Hagan): one step of [Levenberg–Marquardt](levenberg_marquardt.md) on $F$,
# whose Gauss–Newton matrix is $H$; then new $\gamma$, $\alpha$, $\beta$; and again.

# %% [markdown]
# ## In nnx
#
# Only the ratio $\alpha/\beta$ matters for the step: the residuals have the penalty $\tfrac12 \cdot
# \text{ratio} \cdot \|w\|^2$ with ratio $= \alpha/\beta$, and $\gamma$ follows from the eigenvalues of
# $J^\top J$ alone.
#
# <!-- source: nnx.optimizers.squares.bayesian:BayesianRegularization._estimate -->
#
# The formulas hold near a minimum of $F$. Before, with large errors, they would take signal for noise:
# therefore the ratio starts at nearly nothing and rises by at most a factor 1.5 in a step.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

import nnx

rng = np.random.default_rng(0)
x = np.linspace(-1.0, 1.0, 40)
y = np.sin(3.0 * x) + 0.1 * rng.normal(size=40)
phi = np.exp(-((x[:, None] - np.linspace(-1.0, 1.0, 25)) ** 2) / (2.0 * 0.2**2))  # 25 bumps
result = nnx.least_squares(lambda w: phi @ w - y, np.ones(25), method="bayesian")
print(
    "γ", result.effective_parameters, " α", result.alpha, " β", result.beta, " σ", (2.0 * result.beta) ** -0.5
)

# %% [markdown]
# ## Assertions
#
# **The result is a solution of the three equations**, by NumPy alone; $\gamma$ in its three forms (the trace,
# the eigenvalues, the trace of the smoother $S$).

# %%
w, alpha, beta, gamma = result.x, result.alpha, result.beta, result.effective_parameters
h = 2.0 * beta * phi.T @ phi + 2.0 * alpha * np.eye(25)
e_d, e_w = np.sum((phi @ w - y) ** 2), np.sum(w**2)
eigenvalues = np.linalg.eigvalsh(2.0 * beta * phi.T @ phi)
smoother = phi @ np.linalg.solve(phi.T @ phi + alpha / beta * np.eye(25), phi.T)
# the run ends where α/β changes by less than 1e-7 in a step
assert np.isclose(gamma, 25.0 - 2.0 * alpha * np.trace(np.linalg.inv(h)), rtol=1e-5)
assert np.isclose(gamma, np.sum(eigenvalues / (eigenvalues + 2.0 * alpha)), rtol=1e-5)
assert np.isclose(gamma, np.trace(smoother), rtol=1e-5)
assert np.isclose(alpha, gamma / (2.0 * e_w), rtol=1e-5)
assert np.isclose(beta, (40.0 - gamma) / (2.0 * e_d), rtol=1e-5)
assert np.allclose(w, np.linalg.solve(h, 2.0 * beta * phi.T @ y), rtol=1e-4, atol=1e-6)

# %% [markdown]
# **They maximise the evidence.** For linear errors it is known in another way: $y$ is normal with covariance
# $\frac1{2\beta} I + \frac1{2\alpha} \Phi\Phi^\top$. SciPy's density agrees with the formula of the
# derivation, and its maximum over $\alpha$ and $\beta$ is where nnx ended.


# %%
def log_evidence(logs):
    alpha, beta = np.exp(logs)
    h = 2.0 * beta * phi.T @ phi + 2.0 * alpha * np.eye(25)
    w = np.linalg.solve(h, 2.0 * beta * phi.T @ y)
    f = beta * np.sum((phi @ w - y) ** 2) + alpha * np.sum(w**2)
    return (
        -f
        + 12.5 * np.log(2.0 * np.pi)
        - 0.5 * np.linalg.slogdet(h)[1]
        + 20.0 * np.log(beta / np.pi)
        + 12.5 * np.log(alpha / np.pi)
    )


covariance = np.eye(40) / (2.0 * beta) + phi @ phi.T / (2.0 * alpha)
by_scipy = multivariate_normal(np.zeros(40), covariance).logpdf(y)
assert np.isclose(log_evidence(np.log([alpha, beta])), by_scipy, rtol=1e-9)
best = minimize(
    lambda logs: -log_evidence(logs),
    [0.0, 2.0],
    method="Nelder-Mead",
    options={"xatol": 1e-7, "fatol": 1e-10},
)
print("largest evidence at α, β =", np.exp(best.x))
assert np.allclose(np.exp(best.x), [alpha, beta], rtol=1e-3)  # Nelder–Mead sees the evidence, flat at its top

# %% [markdown]
# **The estimate of the noise.** Over 60 noisy copies of the data, $E_D/(N - \gamma)$ has the mean $\sigma^2 =
# 0.01$ (within three standard errors); $E_D/N$, which counts no lost degrees of freedom, lies below.

# %%
with_gamma, without = [], []
for seed in range(60):
    noisy = np.sin(3.0 * x) + 0.1 * np.random.default_rng(100 + seed).normal(size=40)
    fit = nnx.least_squares(lambda w: phi @ w - noisy, np.ones(25), method="bayesian")  # noqa: B023
    with_gamma.append(0.5 / fit.beta)
    without.append(2.0 * fit.cost / 40.0)
error = np.std(with_gamma) / np.sqrt(60)
print("with γ", np.mean(with_gamma), "±", error, " without", np.mean(without))
assert abs(np.mean(with_gamma) - 0.01) < 3.0 * error
assert np.mean(without) < 0.01 - 3.0 * error

# %% [markdown]
# **A network that is too large stays smooth.** Networks of 2 to 30 tanh neurons on the same 40 points: beyond
# a few neurons $\gamma$ hardly grows with the number of weights.

# %%
# figure: the number of weights grows along a straight line, the effective number stays nearly constant
sizes, gammas = (2, 5, 10, 20, 30), []
for size in sizes:
    layers = [nnx.layers.Dense(size, "tanh", input_shape=(1,)), nnx.layers.Dense(1)]
    net = nnx.Sequential(layers, dtype="float64", seed=1)
    net.compile(optimizer="trainbr", loss="mse")
    gammas.append(net.fit(x[:, None], y[:, None], epochs=200, verbose=0).history["effective_parameters"][-1])
figure, axes = plt.subplots(figsize=(6, 4))
axes.plot(sizes, [3 * size + 1 for size in sizes], "o-", label="weights $n$")
axes.plot(sizes, gammas, "s-", label=r"effective number $\gamma$")
axes.set_xlabel("neurons")
axes.legend()

# %%
print(dict(zip(sizes, gammas, strict=True)))
assert gammas[-1] < 15.0 < 3 * 30 + 1
assert all(0.0 < g <= min(3 * size + 1, 40) for g, size in zip(gammas, sizes, strict=True))

# %% [markdown]
# ## When it fails
#
# - **Few data for many weights with no noise.** $N - \gamma$ gets close to 0, $\beta$ grows without bound,
#   and the data are interpolated: the fit says that there is no noise.
# - **Unlike weights.** One $\alpha$ for all of them asks for inputs and targets of about the same size.
#   Scale them first.
# - **Several minima.** The evidence is that of one minimum, with the curvature there. And $H \approx 2\beta
#   J^\top J + 2\alpha I$ leaves out second derivatives, as [Gauss–Newton](gauss_newton.md) does.
# - **Errors that are not normal**, outliers above all: $\beta$ is then that of the outliers.
# - **Too early.** Far from the minimum all errors look like noise, $\beta$ is small, the penalty large, and
#   weights that have shrunk to 0 stay there. This is what the slow rise of the ratio is for.

# %% [markdown]
# ## References
#
# - D. J. C. MacKay, *Bayesian interpolation*, Neural Computation 4 (1992) 415–447: section 4.
# - D. J. C. MacKay, *A practical Bayesian framework for backpropagation networks*, Neural Computation 4
#   (1992) 448–472.
# - F. D. Foresee, M. T. Hagan, *Gauss–Newton approximation to Bayesian learning*, Proc. ICNN 1997,
#   1930–1935.
# - S. F. Gull, *Developments in maximum entropy data analysis*, in *Maximum Entropy and Bayesian Methods*,
#   Kluwer 1989, 53–71.
# - C. M. Bishop, *Pattern Recognition and Machine Learning*, Springer 2006: section 3.5 (pp. 165–172).
