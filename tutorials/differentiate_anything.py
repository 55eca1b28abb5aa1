# %% [markdown]
# # Differentiate anything
#
# [`nnx.grad`][nnx.grad] differentiates code that was not written for it: loops and assignments in plain
# NumPy, SciPy's and scikit-learn's functions, and solutions of equations that some solver found. This page
# tries it, checks every derivative against finite differences, and says what is refused.
#
# How it works: [automatic differentiation](../derivations/autodiff.md). What can be called: [the
# reference](../differentiation.md).

# %%
import os

os.environ["SCIPY_ARRAY_API"] = "1"  # read by SciPy when it is imported: its functions then keep nnx's arrays

import matplotlib.pyplot as plt
import numpy as np
import scipy.integrate
import scipy.optimize
import sklearn
from scipy import fft, integrate, optimize, signal, special, stats
from scipy.spatial.transform import Rotation
from sklearn import decomposition, metrics
from sklearn.metrics import pairwise

import nnx

sklearn.set_config(array_api_dispatch=True)

# %% [markdown]
# ## Your own code, with loops and assignments
#
# A chain of masses on springs, integrated step by step (velocity Verlet) in an array that is written into.
# The derivative of the last position of the last mass by all stiffnesses comes from the same code.

# %%


def last_position(stiffness):
    q, v = np.zeros_like(stiffness), np.zeros_like(stiffness)
    v[0] = 1.0  # a kick for the first mass
    for _ in range(200):
        stretch = q - np.concatenate([np.zeros_like(q[:1]), q[:-1]])
        force = -stiffness * stretch
        force[:-1] += stiffness[1:] * stretch[1:]
        v += 0.05 * force
        q += 0.05 * v
    return q[-1]


stiffness = np.array([1.0, 2.0, 1.5, 3.0])
print("derivative by each stiffness:", nnx.grad(last_position)(stiffness).round(4))
nnx.check_derivatives(
    last_position, stiffness
)  # raises where it differs from finite differences, to second order

# %% [markdown]
# ## SciPy and scikit-learn
#
# Two ways lead in. SciPy's *special functions* are NumPy ufuncs, and nnx knows rules for 137 of them.
# Functions that are written against the array API standard call the traced array's own namespace; SciPy's
# do so with `SCIPY_ARRAY_API=1` in the environment, scikit-learn's with `array_api_dispatch=True`. We try
# some of both: the gradient of a weighted sum of the result, and its largest deviation from finite
# differences.

# %%
X = np.random.default_rng(0).uniform(0.3, 2.0, (5, 3))
Y = np.random.default_rng(1).uniform(0.2, 1.2, (5, 3))


def constant(x, values):
    """A constant as an array of x's own namespace: these libraries want all arguments in one."""
    return x.__array_namespace__().asarray(values)


TRIED = {
    "special.gammaln": special.gammaln,
    "special.erf": special.erf,
    "special.j1 (Bessel)": special.j1,
    "special.logsumexp": lambda x: special.logsumexp(x, axis=1),
    "special.softmax": lambda x: special.softmax(x, axis=1),
    "stats.gmean": stats.gmean,
    "stats.zscore": stats.zscore,
    "stats.kurtosis": stats.kurtosis,
    "stats.ttest_ind, p-value": lambda x: stats.ttest_ind(x[:, 0], x[:, 1]).pvalue,
    "optimize.rosen": lambda x: optimize.rosen(x[:, 0]),
    "integrate.cumulative_simpson": lambda x: integrate.cumulative_simpson(x, axis=0),
    "signal.fftconvolve": lambda x: signal.fftconvolve(x, x),
    "|fft.rfft|²": lambda x: abs(fft.rfft(x, axis=0)) ** 2,
    "spatial Rotation": lambda x: Rotation.from_rotvec(x).as_matrix(),
    "sklearn r2_score": lambda x: metrics.r2_score(constant(x, Y), x, multioutput="raw_values"),
    "sklearn rbf_kernel": lambda x: pairwise.rbf_kernel(x, x * x),
    "sklearn PCA": lambda x: decomposition.PCA(2, svd_solver="full").fit(x).explained_variance_,
}


def weighted(f):
    """A number that depends on each entry of f's result in its own way."""

    def total(x):
        y = f(x)
        return np.sum(y * np.cos(np.arange(1.0, y.size + 1.0)).reshape(y.shape))

    return total


def differences(f, x, step=1e-4):
    """The gradient by central differences of fourth order."""
    gradient = np.zeros_like(x)
    for i in np.ndindex(*x.shape):
        d = np.zeros_like(x)
        d[i] = step
        gradient[i] = (8 * (f(x + d) - f(x - d)) - (f(x + 2 * d) - f(x - 2 * d))) / (12 * step)
    return gradient


for name, f in TRIED.items():
    gradient, expected = nnx.grad(weighted(f))(X), differences(weighted(f), X)
    error = abs(gradient - expected).max() / abs(expected).max()
    print(f"{name:30} largest relative error {error:.0e}")
    assert error < 1e-6, name  # the differences' own error: 1e-16/1e-4, and the step to the fourth power

# %% [markdown]
# ## What is refused
#
# Code that leaves the arrays (by `np.asarray(x)` or `float(x)`) would cut the derivative silently. nnx
# refuses it and says what to do.

# %%
REFUSED = {
    "sklearn mean_squared_error": lambda x: metrics.mean_squared_error(constant(x, Y), x),
    "fft.dct": lambda x: fft.dct(x, axis=0),
    "np.asarray": np.asarray,
}
for name, f in REFUSED.items():
    try:
        nnx.grad(weighted(f))(X)
    except nnx.errors.DerivativeError as error:
        print(f"{name}:\n  {str(error).split('. ')[0]}.")
    else:
        raise AssertionError(f"{name} should have been refused")

# %% [markdown]
# ## Used: a Gaussian process on scikit-learn's kernel
#
# The likelihood of data under a Gaussian process depends on a length $\ell$, an amplitude and the noise.
# With scikit-learn's `rbf_kernel` as the kernel and nnx's gradient, BFGS finds them. No derivative was
# written by hand.

# %%
random = np.random.default_rng(3)
t = np.sort(random.uniform(0.0, 10.0, 40))
observed = np.sin(t) + 0.2 * random.standard_normal(40)


def covariance(log_options, a, b):
    length, amplitude = np.exp(log_options[0]), np.exp(log_options[1])
    return amplitude**2 * pairwise.rbf_kernel(a[:, None] / length, b[:, None] / length, gamma=0.5)


def minus_log_likelihood(log_options):
    points = constant(log_options, t)
    total = covariance(log_options, points, points) + np.exp(2.0 * log_options[2]) * np.eye(t.size)
    _, logdet = np.linalg.slogdet(total)
    return 0.5 * (observed @ np.linalg.solve(total, observed) + logdet + t.size * np.log(2.0 * np.pi))


start = np.array([0.0, 0.0, 0.0])
nnx.check_derivatives(minus_log_likelihood, start)
fitted = nnx.minimize(minus_log_likelihood, start, method="bfgs")
length, amplitude, noise = np.exp(fitted.x)
print(
    f"{fitted.nit} iterations: length {length:.2f}, amplitude {amplitude:.2f}, noise {noise:.3f} (true 0.2)"
)
assert fitted.success
# From 40 data the noise is known to about 1/√(2·40) = 11 %; twice that.
assert abs(noise / 0.2 - 1.0) < 0.22

# %%
# figure: noisy observations of a sine, and the Gaussian process with the options that BFGS found
grid = np.linspace(-1.0, 11.0, 200)
K = covariance(fitted.x, t, t) + noise**2 * np.eye(t.size)
cross = covariance(fitted.x, grid, t)
mean = cross @ np.linalg.solve(K, observed)
deviation = np.sqrt(amplitude**2 - np.sum(cross * np.linalg.solve(K, cross.T).T, axis=1))
figure, ax = plt.subplots(figsize=(7.0, 3.6), layout="constrained")
ax.fill_between(grid, mean - 2.0 * deviation, mean + 2.0 * deviation, alpha=0.3, label="± 2 deviations")
ax.plot(grid, mean, label="Gaussian process")
ax.plot(grid, np.sin(grid), "k--", linewidth=1.0, label="sin t")
ax.plot(t, observed, ".", color="0.4", label="data")
ax.legend(fontsize=8)
ax.grid(alpha=0.3)

# %% [markdown]
# ## Implicit functions: the derivative of a root
#
# $E(M, e)$, the solution of Kepler's equation $E - e \sin E = M$, has no formula. A solver finds it, here
# SciPy's `brentq`, which nnx cannot look into. It need not: by the implicit function theorem the solution
# of $g(x, \theta) = 0$ has
#
# $$ \frac{dx}{d\theta} =
#    -\Bigl(\frac{\partial g}{\partial x}\Bigr)^{-1} \frac{\partial g}{\partial\theta}. $$
#
# [`nnx.implicit`][nnx.implicit] takes the equation and the solver.

# %%


def kepler_equation(anomaly, mean, e):
    return anomaly - e * np.sin(anomaly) - mean


@nnx.implicit(root=kepler_equation)
def kepler(mean, e):
    return np.asarray(
        scipy.optimize.brentq(kepler_equation, mean - 1.0, mean + 1.0, args=(mean, e), xtol=1e-14)
    )


M, e = np.asarray(0.7), np.asarray(0.4)
E = kepler(M, e)
slopes, second = nnx.grad(kepler, argnums=(0, 1))(M, e), nnx.grad(nnx.grad(kepler))(M, e)
print(f"E = {E:.6f}, dE/dM = {slopes[0]:.6f}, dE/de = {slopes[1]:.6f}, d²E/dM² = {second:.6f}")
# By hand: dE/dM = 1/(1 − e cos E), dE/de = sin E/(1 − e cos E). The solver's tolerance is 1e-14.
np.testing.assert_allclose(slopes, np.array([1.0, np.sin(E)]) / (1.0 - e * np.cos(E)), rtol=1e-12)
nnx.check_derivatives(kepler, M, e)

# %% [markdown]
# ## The derivative of a fixed point
#
# In an epidemic with basic reproduction number $R$ the share $z$ that is infected in the end satisfies $z =
# 1 - e^{-Rz}$. Iterating finds it. The derivative needs the last iterate only, not the hundreds before it.

# %%


@nnx.implicit(fixed_point=lambda z, r: 1.0 - np.exp(-r * z))
def infected(r):
    z = np.ones_like(r)
    for _ in range(400):
        z = 1.0 - np.exp(-r * z)
    return z


for R in (1.2, 1.5, 3.0):
    z, slope = infected(np.asarray(R)), nnx.grad(infected)(np.asarray(R))
    print(f"R = {R}: {100 * z:.1f} % infected, {slope:.3f} more per unit of R")
    # Differentiating z = 1 − exp(−Rz) by hand: z' = z(1 − z)/(1 − R(1 − z)).
    assert abs(slope - z * (1.0 - z) / (1.0 - R * (1.0 - z))) < 1e-9

# %% [markdown]
# ## The derivative of an optimum
#
# Ridge regression has a penalty $\lambda$ that one chooses on validation data. The weights are
# $w^*(\lambda) = \arg\min_w E(w, \lambda)$, found by some optimizer, and the validation error is a function
# of $\lambda$ through them. Its derivative lets a second optimizer choose $\lambda$.

# %%
features = random.standard_normal((30, 15))
true_weights = np.where(np.arange(15) < 4, 1.0, 0.0)
targets = features @ true_weights + 1.5 * random.standard_normal(30)
val_features = random.standard_normal((40, 15))
val_targets = val_features @ true_weights + 1.5 * random.standard_normal(40)


def penalized(w, log_penalty):
    return 0.5 * np.sum((features @ w - targets) ** 2) + 0.5 * np.exp(log_penalty) * np.sum(w**2)


@nnx.implicit(minimum=penalized)
def ridge(log_penalty):
    return nnx.minimize(penalized, np.zeros(15), args=(log_penalty,), method="newton").x


def validation_error(log_penalty):
    return np.mean((val_features @ ridge(log_penalty) - val_targets) ** 2)


nnx.check_derivatives(validation_error, np.asarray(1.0))
chosen = nnx.minimize(lambda p: validation_error(p[0]), np.array([0.0]), method="bfgs")
print(f"λ = {np.exp(chosen.x[0]):.2f} after {chosen.nfev} evaluations, validation error {chosen.fun:.4f}")
tried = np.linspace(-4.0, 7.0, 45)
swept = np.array([validation_error(np.asarray(p)) for p in tried])
assert chosen.success and chosen.fun <= swept.min()  # no point of the grid is lower

# %%
# figure: the validation error against the penalty, with the minimum that BFGS found through the derivative.
figure, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
ax.semilogx(np.exp(tried), swept, label="validation error")
ax.plot(np.exp(chosen.x), chosen.fun, "o", color="tab:red", label="found by its derivative")
ax.set(xlabel="penalty λ", ylabel="mean squared error")
ax.legend()
ax.grid(alpha=0.3)

# %% [markdown]
# ## A derivative that you write
#
# [`nnx.custom_derivative`][nnx.custom_derivative] gives a derivative to code that nnx cannot see into. Here
# SciPy's `quad`, compiled code: $F(x) = \int_0^x e^{-s^2} \cos(3s)\,ds$ has the integrand as its
# derivative.

# %%


def integrand(s):
    return np.exp(-(s**2)) * np.cos(3.0 * s)


@nnx.custom_derivative(derivative=lambda xp, x, y: integrand(x))
def integral(x):
    return np.vectorize(lambda end: scipy.integrate.quad(integrand, 0.0, end, epsabs=1e-13)[0])(x)


x = np.array([0.2, 0.8, 1.5])
print("F  =", integral(x).round(6), "\nF' =", nnx.grad(lambda x: np.sum(integral(x)))(x).round(6))
nnx.check_derivatives(integral, x)

# %% [markdown]
# ## A ufunc that nnx does not know
#
# [`nnx.register_ufunc`][nnx.register_ufunc] teaches nnx a ufunc for the whole program. SciPy's
# `voigt_profile`, the shape of a spectral line, has no rule in nnx. With $z = (x + i\gamma)/(\sigma\sqrt2)$
# and Faddeeva's function $w$, it is
#
# $$ V = \frac{\mathrm{Re}\,w(z)}{\sigma\sqrt{2\pi}}, \qquad w'(z) = \frac{2i}{\sqrt\pi} - 2 z\,w(z). $$
#
# With the rule, `curve_fit` works on it.

# %%


def voigt_back(xp, g, needs, y, x, sigma, gamma):
    z = (x + 1j * gamma) / (np.sqrt(2.0) * sigma)
    slope = -2.0 * z * special.wofz(z) + 2j / np.sqrt(np.pi)
    by_x = xp.real(slope) / (2.0 * np.sqrt(np.pi) * sigma**2)
    by_gamma = -xp.imag(slope) / (2.0 * np.sqrt(np.pi) * sigma**2)
    by_sigma = -y / sigma - xp.real(slope * z) / (np.sqrt(2.0 * np.pi) * sigma**2)
    return g * by_x, g * by_sigma, g * by_gamma


nnx.register_ufunc(special.voigt_profile, reverse=voigt_back)
nnx.check_derivatives(
    special.voigt_profile, np.array([0.3, -1.0]), np.array([0.8, 0.7]), np.array([0.5, 1.2])
)


def line(x, area, centre, sigma, gamma):
    return area * special.voigt_profile(x - centre, sigma, gamma)


x = np.linspace(-6.0, 8.0, 150)
spectrum = line(x, 3.0, 1.0, 0.7, 0.4) + 0.005 * random.standard_normal(150)
fit = nnx.curve_fit(line, x, spectrum, p0=np.array([1.0, 0.0, 1.0, 1.0]))
for name, value, error, known in zip(
    ("area", "centre", "σ", "γ"), fit.popt, fit.perr, (3.0, 1.0, 0.7, 0.4), strict=True
):
    print(f"{name:7} {value:.4f} ± {error:.4f}, true {known}")
    assert abs(value - known) < 4.0 * error
