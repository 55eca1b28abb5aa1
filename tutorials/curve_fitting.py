# %% [markdown]
# # Curve fitting with Levenberg–Marquardt
#
# A curve with four parameters is fitted to the growth of onions, a problem whose answer is certified by the
# National Institute of Standards and Technology (NIST). We write the algorithm of the lectures by hand,
# then use [`nnx.curve_fit`][nnx.curve_fit], count the digits that agree with the certificate, and look at
# what the standard errors and the confidence band mean.
#
# Derivations: [Gauss–Newton](../derivations/gauss_newton.md),
# [Levenberg–Marquardt](../derivations/levenberg_marquardt.md), [trust
# regions](../derivations/trust_regions.md). All 27 of NIST's problems: [the certified
# regressions](../nist.md).

# %%
import matplotlib.pyplot as plt
import numpy as np
import scipy.optimize

import nnx
from nnx import plotting

# %% [markdown]
# ## The data and the certificate
#
# The problem *Rat43*: the dry weight of onion bulbs and tops ($y$) against growing time ($x$), from D. A.
# Ratkowsky, *Nonlinear Regression Modeling* (1983). The model is a sigmoid with a fourth parameter that
# makes it asymmetric,
#
# $$ f(x) = \frac{b_1}{\bigl(1 + e^{\,b_2 - b_3 x}\bigr)^{1/b_4}}. $$
#
# NIST computed the best parameters and their standard deviations with extended precision, and gives two
# starts: one far away, one near.

# %%
time = np.arange(1.0, 16.0)
measured = """16.08 33.83 65.80 97.20 191.55 326.20 386.87 520.53
              590.03 651.92 724.93 699.56 689.96 637.56 717.41"""
weight = np.array(measured.split(), dtype=float)
certified = np.array([6.9964151270e02, 5.2771253025e00, 7.5962938329e-01, 1.2792483859e00])
certified_errors = np.array([1.6302297817e01, 2.0828735829e00, 1.9566123451e-01, 6.8761936385e-01])
certified_squares = 8.7864049080e03
far, near = np.array([100.0, 10.0, 1.0, 1.0]), np.array([700.0, 5.0, 0.75, 1.3])


def growth(x, b1, b2, b3, b4):
    return b1 / (1.0 + np.exp(b2 - b3 * x)) ** (1.0 / b4)


def digits(found, known):
    """How many decimal digits agree: −log₁₀ of the relative error."""
    return -np.log10(np.abs(found / known - 1.0))


# %% [markdown]
# ## The algorithm of the lectures, by hand
#
# With residuals $e_i(b) = f(x_i) - y_i$ and $E = \tfrac12 \sum_i e_i^2$,
#
# $$ J_{ij} = \frac{\partial e_i}{\partial b_j}, \qquad g = J^\top e, \qquad G = J^\top J + \nu I, \qquad
#    p = -G^{-1} g. $$
#
# (The slides print second derivatives in $J$. They are first derivatives: see the
# [errata](../derivations/errata.md#the-jacobian-of-levenberg-and-marquardt).)
# A step that lowers $E$ is accepted and $\nu$ divided by 10: towards Gauss–Newton. Any other is refused and
# $\nu$ multiplied by 10: towards a short step along $-g$. A step may go so far that the exponential
# overflows. Then $E$ is not finite and the step is refused like any other that does not help.

# %%


def residual(b):
    return growth(time, b[0], b[1], b[2], b[3]) - weight


def levenberg_marquardt(b, nu=1e-3):
    """The parameters, and (E, ν) after each accepted step."""
    b, jacobian = np.array(b), nnx.jacobian(residual)
    e = residual(b)
    history = [(0.5 * e @ e, nu)]
    while True:
        jac = jacobian(b)
        while True:
            p = -np.linalg.solve(jac.T @ jac + nu * np.eye(b.size), jac.T @ e)
            with np.errstate(over="ignore", divide="ignore"):
                trial = residual(b + p)
            cost = 0.5 * trial @ trial
            if cost < history[-1][0]:
                break
            nu *= 10.0
            if nu > 1e10:
                return b, np.array(history)
        b, e, nu = b + p, trial, nu / 10.0
        history.append((cost, nu))
        if history[-2][0] - cost < 1e-12 * cost:
            return b, np.array(history)


by_hand, history = levenberg_marquardt(far)
print(f"{len(history) - 1} iterations from the far start, b = {by_hand.round(4)}")
print("digits that agree with the certificate:", digits(by_hand, certified).round(1))
# The loop ends where E changes by 1e-12 of itself. Around the minimum E is quadratic: b has half the digits.
assert digits(by_hand, certified).min() > 5.0

# %%
# figure: the cost falls over the iterations while the damping, at first raised, goes down to nearly zero.
figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.4), layout="constrained")
left.semilogy(history[:, 0], "o-", markersize=4)
left.axhline(0.5 * certified_squares, color="0.5", linestyle="--", label="certified minimum")
left.set(xlabel="iteration", title="cost E")
left.legend()
right.semilogy(history[:, 1], "o-", markersize=4, color="tab:orange")
right.set(xlabel="iteration", title="damping ν")
for ax in (left, right):
    ax.grid(alpha=0.3)

# %% [markdown]
# ## `nnx.curve_fit`
#
# The call is SciPy's; the derivatives are found by automatic differentiation. In place of $\nu I$ nnx keeps
# the step in a trust region whose shape follows the columns of $J$, so that the units of the parameters do
# not matter.

# %%
fits = {}
for name, start in (("far", far), ("near", near)):
    fits[name] = fit = nnx.curve_fit(growth, time, weight, p0=start)
    print(f"{name:4} start: {fit.result.nit} iterations, {fit.result.nfev} evaluations of the residuals")
    print("   parameters     ", fit.popt.round(5), " digits:", digits(fit.popt, certified).round(1))
    print("   standard errors", fit.perr.round(5), " digits:", digits(fit.perr, certified_errors).round(1))
    # Half of the 16 digits can be had of a minimum from values alone; 6 leaves room for rounding.
    assert digits(fit.popt, certified).min() > 6.0
    assert digits(fit.perr, certified_errors).min() > 6.0
    assert digits(2.0 * fit.result.cost, certified_squares) > 9.0
fit = fits["far"]
print(fit.result.message)

# %% [markdown]
# ## SciPy's form
#
# Programs written for [`scipy.optimize.curve_fit`][scipy.optimize.curve_fit] need another import and
# nothing else. SciPy takes finite differences for the Jacobian, nnx exact derivatives. So SciPy's answer
# has fewer digits here.

# %%
popt, pcov = nnx.curve_fit(growth, time, weight, p0=near)
with np.errstate(all="ignore"):
    popt_scipy, pcov_scipy = scipy.optimize.curve_fit(growth, time, weight, p0=near)
for name, p, C in (("nnx", popt, pcov), ("SciPy", popt_scipy, pcov_scipy)):
    of_errors = digits(np.sqrt(np.diag(C)), certified_errors)
    print(
        f"{name:6} digits of b: {digits(p, certified).round(1)}, of the standard errors: {of_errors.round(1)}"
    )
np.testing.assert_allclose(popt, popt_scipy, rtol=1e-3)  # SciPy's own accuracy, about 1e-5 here

# %% [markdown]
# The same for [`scipy.optimize.least_squares`][scipy.optimize.least_squares] and
# [`nnx.least_squares`][nnx.least_squares], which take the residuals. Bounds, weights (`sigma=`), a Jacobian
# of your own (`jac=`) and limits (`max_nfev=`) are given as in SciPy: [the whole
# list](../training.md#scipys-calls).

# %%
upper = [np.inf, np.inf, np.inf, 1.0]
bounded = nnx.least_squares(residual, np.array([700.0, 5.0, 0.75, 0.9]), bounds=(0.0, upper))
print("with b₄ ≤ 1:", bounded.x.round(4), "active bounds:", bounded.active_mask)
print(f"sum of squares {2.0 * bounded.cost:.1f} instead of {certified_squares:.1f}")
assert bounded.x[3] == 1.0
assert 2.0 * bounded.cost > certified_squares

# %% [markdown]
# ## What a standard error says
#
# If the model is right and the data have independent normal errors of one variance, then near the minimum
# the parameters are normal too, with the covariance
#
# $$ C = s^2\,(J^\top J)^{-1}, \qquad s^2 = \frac{\sum_i e_i^2}{m - n}, $$
#
# with $m$ data and $n$ parameters. The square roots of its diagonal are the standard errors. Intervals of
# 95 % confidence reach $t$ standard errors to either side, $t$ from Student's distribution with $m - n$
# degrees of freedom.

# %%
J = nnx.jacobian(residual)(fit.popt)
s2 = np.sum(residual(fit.popt) ** 2) / (time.size - fit.popt.size)
C = s2 * np.linalg.inv(J.T @ J)
np.testing.assert_allclose(C, fit.pcov, rtol=1e-6)  # the inverse of JᵀJ loses digits, nnx avoids it
low, high = fit.confidence_interval
for i in range(4):
    print(f"b{i + 1} = {fit.popt[i]:8.3f} ± {fit.perr[i]:6.3f}   95 %: {low[i]:8.3f} to {high[i]:8.3f}")
t = (high - fit.popt)[0] / fit.perr[0]
print(f"t = {t:.3f} with {time.size - 4} degrees of freedom, s = {np.sqrt(s2):.3f}")
assert abs(t - 2.200985) < 1e-5  # the table of Student's distribution

# %% [markdown]
# NIST prints a standard deviation of 28.26 with *9* degrees of freedom in the file of this problem; its own
# numbers satisfy $\sqrt{8786.4/11} = 28.26$, so 11 is meant: 15 data, 4 parameters.

# %%
assert abs(np.sqrt(certified_squares / 11) - 28.262414662) < 1e-6

# %% [markdown]
# ## The confidence band
#
# The curve's own uncertainty follows from that of the parameters. To first order its variance at $x$ is
# $\nabla_{\!b} f^\top C\, \nabla_{\!b} f$. [`nnx.plotting.fit`][nnx.plotting.fit] draws the band of ±$t$
# standard deviations around the curve.

# %%
# figure: the onion data, the fitted sigmoid and its 95 % confidence band, widest at the plateau and the foot.
figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
plotting.fit(growth, fit.popt, fit.pcov, time, weight, confidence=0.95, ax=ax)
_ = ax.set(xlabel="growing time", ylabel="dry weight", title="Rat43: the growth of onions")

# %% [markdown]
# ## Is it true? A simulation
#
# The band and the intervals rest on a linearization. We test them: 150 sets of data are drawn from the
# certified curve with the certified noise, each is fitted, and we count how often the true values lie
# inside.

# %%
random = np.random.default_rng(0)
truth, sigma = growth(time, *certified), np.sqrt(certified_squares / 11)
found, inside, on_band, without = [], [], [], 0
for _ in range(150):
    drawn = truth + sigma * random.standard_normal(time.size)
    try:
        with np.errstate(divide="ignore"):  # a refused step may try b₄ = 0
            new = nnx.curve_fit(growth, time, drawn, p0=certified)
    except nnx.errors.FitError:
        without += 1  # these data do not determine all four parameters
        continue
    low, high = new.confidence_interval
    found.append(new.popt)
    inside.append((low < certified) & (certified < high))
    Jx = nnx.jacobian(lambda b: growth(time, b[0], b[1], b[2], b[3]))(new.popt)
    deviation = np.sqrt(np.sum(Jx @ new.pcov * Jx, axis=1))
    on_band.append(np.abs(growth(time, *new.popt) - truth) < new.quantile * deviation)
found, share, band = np.array(found), np.mean(inside, axis=0), np.mean(on_band)
print(f"{len(found)} fits ({without} without an answer)")
print("share of the 95 % intervals that hold the true parameter:", share.round(3))
print(f"share of the 95 % bands that hold the true curve, mean over x: {band:.3f}")
# 150 draws of an event of 95 % scatter by 0.018; four times that, on the lower side.
assert band > 0.95 - 0.075
assert share.min() > 0.95 - 0.075

# %% [markdown]
# The coverage is right. The *spread* of the parameters is not what the standard errors say, and this is how
# far a linearization goes: $b_1$, the final weight, is nearly linear in the model, and $b_2$ and $b_4$ are
# not. Their distribution has a long tail, and a standard deviation looks at the tail.

# %%
spread = 0.5 * (np.quantile(found, 0.84, axis=0) - np.quantile(found, 0.16, axis=0))
print("standard errors, certified           ", certified_errors.round(3))
print("standard deviation of the fits       ", found.std(axis=0).round(3))
print("half of the range of the middle 68 % ", spread.round(3))
assert abs(found.std(axis=0)[0] / certified_errors[0] - 1.0) < 0.25  # b₁: four times 1/√(2·150) = 0.06
assert found.std(axis=0)[1] > 1.3 * certified_errors[1]  # b₂: the tail

# %%
# figure: histograms of fitted b1, near the normal curve, and of b2, with a long tail to the right of it.
figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.4), layout="constrained")
for ax, i in zip(axes, (0, 1), strict=True):
    centre, width = certified[i], certified_errors[i]
    grid = np.linspace(centre - 5.0 * width, centre + 8.0 * width, 300)
    normal = np.exp(-0.5 * ((grid - centre) / width) ** 2) / (width * np.sqrt(2.0 * np.pi))
    ax.hist(found[:, i], bins=np.linspace(grid[0], grid[-1], 40), density=True, alpha=0.6, label="the fits")
    ax.plot(grid, normal, label="by the standard error")
    ax.set(title=f"b{'₁₂'[i]}", xlabel="value")
    ax.legend()

# %% [markdown]
# ## Where to go on
#
# - The same algorithm trains networks: [small networks as MATLAB's users train them](small_networks.md).
# - It solves differential equations: [a physics-informed network](physics_informed.md).
# - How many evaluations it takes beside MINPACK's: [least squares compared](../least_squares.md).
