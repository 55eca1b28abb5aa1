"""Functions of SciPy, scikit-learn and array-api-extra on traced arrays: their gradients, as a program.

SciPy looks at SCIPY_ARRAY_API when it is imported, so ``test_other_peoples_code.py`` runs this file in a
process of its own: ``python programs_of_others.py numpy torch`` prints, as JSON, what became of each function
over each of these array libraries: the largest error of its gradient against finite differences, or what was
raised.
"""

from __future__ import annotations

import json
import sys
import warnings
from functools import cache
from typing import Any

import array_api_extra as xpx
import numpy as np
import sklearn
from scipy import cluster, differentiate, fft, integrate, linalg, optimize, signal, special, stats
from scipy.spatial.transform import Rotation
from sklearn import decomposition, discriminant_analysis, linear_model, metrics, naive_bayes, preprocessing
from sklearn.metrics import pairwise

import nnx

X = np.random.default_rng(0).uniform(0.3, 2.0, (5, 3))
Y = np.random.default_rng(1).uniform(0.2, 1.2, (5, 3))
LABELS = np.asarray([0, 1, 0, 1, 1])
PROGRAMS: dict[str, Any] = {}


def programs(prefix: str, **functions: Any) -> None:
    PROGRAMS.update({f"{prefix}.{name}": f for name, f in functions.items()})


def xp(x: Any) -> Any:
    return x.__array_namespace__()


def like(x: Any, values: Any) -> Any:
    """A constant of x's own namespace: SciPy and scikit-learn refuse arrays of two."""
    return xp(x).asarray(values)


def flat(x: Any) -> Any:
    return xp(x).reshape(x, (-1,))


def copy(x: Any) -> Any:
    return xp(x).asarray(x, copy=True)


programs(
    "special",
    **{
        name: lambda x, name=name: getattr(special, name)(x / 2.5)
        for name in "cbrt entr erf erfc exp10 exp2 expit exprel gamma gammaln i0 i0e j1 k0 log_ndtr logit "
        "ndtr ndtri psi rgamma sinc spence y1".split()
    },
    betaln=lambda x: special.betaln(x, x + 1.0),
    chdtr=lambda x: special.chdtr(like(x, 3.0), x),
    gammainc=lambda x: special.gammainc(like(x, 1.5), x),
    kl_div=lambda x: special.kl_div(x, x * x),
    log_softmax=lambda x: special.log_softmax(x, axis=1),
    logsumexp=lambda x: special.logsumexp(x),
    logsumexp_axis=lambda x: special.logsumexp(x, axis=1, keepdims=True),
    logsumexp_weights=lambda x: special.logsumexp(x, axis=0, b=x * x),
    logsumexp_sign=lambda x: special.logsumexp(x, axis=0, b=-x, return_sign=True)[0],
    multigammaln=lambda x: special.multigammaln(x + 2.0, 3),
    polygamma=lambda x: special.polygamma(1, x),
    rel_entr=lambda x: special.rel_entr(x, x * x),
    softmax=lambda x: special.softmax(x, axis=1),
    stdtr=lambda x: special.stdtr(like(x, 3.0), x),
    xlogy=lambda x: special.xlogy(x, x + 1.0),
    zeta=lambda x: special.zeta(like(x, 3.0), x),
)

programs(
    "stats",
    bartlett=lambda x: stats.bartlett(x[:, 0], x[:, 1]).statistic,
    circmean=lambda x: stats.circmean(x),
    circstd=lambda x: stats.circstd(x, axis=0),
    circvar=lambda x: stats.circvar(x, axis=0),
    combine_pvalues=lambda x: stats.combine_pvalues(x[:, 0] / 3.0).statistic,
    describe=lambda x: stats.describe(x).variance,
    differential_entropy=lambda x: stats.differential_entropy(x, axis=0),
    directional_stats=lambda x: stats.directional_stats(x).mean_direction,
    entropy=lambda x: stats.entropy(x, axis=0),
    gmean=lambda x: stats.gmean(x, axis=0),
    gstd=lambda x: stats.gstd(x, axis=0),
    gzscore=lambda x: stats.gzscore(x),
    hmean=lambda x: stats.hmean(x, axis=0),
    iqr=lambda x: stats.iqr(x, axis=0),
    jarque_bera=lambda x: stats.jarque_bera(flat(x)).statistic,
    kstat=lambda x: stats.kstat(flat(x), 3),
    kurtosis=lambda x: stats.kurtosis(x),
    levene=lambda x: stats.levene(x[:, 0], x[:, 1]).statistic,
    median_abs_deviation=lambda x: stats.median_abs_deviation(x),
    moment=lambda x: stats.moment(x, 3),
    pearsonr=lambda x: stats.pearsonr(x[:, 0], x[:, 1]).statistic,
    pmean=lambda x: stats.pmean(x, 2.5),
    power_divergence=lambda x: stats.power_divergence(x[:, 0], lambda_=0.5).statistic,
    quantile=lambda x: stats.quantile(x, 0.3, axis=0),
    sem=lambda x: stats.sem(x),
    skew=lambda x: stats.skew(x),
    skewtest=lambda x: stats.skewtest(flat(x)).statistic,
    tmean=lambda x: stats.tmean(x, (0.0, 3.0)),
    trim_mean=lambda x: stats.trim_mean(x, 0.2),
    ttest_1samp=lambda x: stats.ttest_1samp(x, 0.5).statistic,
    ttest_1samp_p=lambda x: stats.ttest_1samp(x, 0.5).pvalue,
    ttest_ind=lambda x: stats.ttest_ind(x[:, 0], x[:, 1]).statistic,
    ttest_ind_p=lambda x: stats.ttest_ind(x[:, 0], x[:, 1]).pvalue,
    ttest_rel=lambda x: stats.ttest_rel(x[:, 0], x[:, 1]).statistic,
    variation=lambda x: stats.variation(x),
    zmap=lambda x: stats.zmap(x, x * x),
    zscore=lambda x: stats.zscore(x),
)

programs(
    "optimize",
    rosen=lambda x: optimize.rosen(x[:, 0]),
    rosen_der=lambda x: optimize.rosen_der(x[:, 0]),
    rosen_hess=lambda x: optimize.rosen_hess(x[:, 0]),
    rosen_hess_prod=lambda x: optimize.rosen_hess_prod(x[:, 0], x[:, 1]),
)

programs(
    "integrate",
    trapezoid=lambda x: integrate.trapezoid(x, axis=0),
    trapezoid_x=lambda x: integrate.trapezoid(x[:, 0], x[:, 1]),
    cumulative_trapezoid=lambda x: integrate.cumulative_trapezoid(x, axis=0),
    cumulative_trapezoid_initial=lambda x: integrate.cumulative_trapezoid(x, axis=0, initial=0),
    cumulative_simpson=lambda x: integrate.cumulative_simpson(x, axis=0),
    cubature=lambda x: integrate.cubature(lambda t: t * t, x[0, :1], x[1, :1]).estimate,
    romb=lambda x: integrate.romb(x, axis=0),
    simpson=lambda x: integrate.simpson(x, axis=0),
)

programs(
    "scipy",
    whiten=lambda x: cluster.vq.whiten(x),
    block_diag=lambda x: linalg.block_diag(x, x * x),
    expm=lambda x: linalg.expm(x[:3, :]),
    derivative=lambda x: differentiate.derivative(special.erf, x).df,
    rotation=lambda x: Rotation.from_rotvec(x).as_matrix(),
    rotation_applied=lambda x: Rotation.from_euler("xyz", x).apply(x),
    rotation_composed=lambda x: (Rotation.from_rotvec(x) * Rotation.from_rotvec(x * x)).as_rotvec(),
    fft=lambda x: xp(x).abs(fft.fft(x, axis=0)) ** 2,
    rfft=lambda x: xp(x).abs(fft.rfft(x, axis=0)) ** 2,
    fht=lambda x: fft.fht(x[:, 0], 0.1, 0.0),
    dct=lambda x: fft.dct(x, axis=0),
    fftconvolve=lambda x: signal.fftconvolve(x, x),
    oaconvolve=lambda x: signal.oaconvolve(x, x),
    hilbert=lambda x: xp(x).real(signal.hilbert(x, axis=0)),
    resample=lambda x: signal.resample(x, 8, axis=0),
    envelope=lambda x: signal.envelope(x),
    freqz=lambda x: xp(x).abs(signal.freqz(x[:, 0])[1]) ** 2,
    convolve=lambda x: signal.convolve(x[:, 0], x[:, 1]),
    convolve_fft=lambda x: signal.convolve(x[:, 0], x[:, 1], method="fft"),
    detrend=lambda x: signal.detrend(x, axis=0),
)


def _metric(name: str) -> Any:
    return lambda x: getattr(metrics, name)(like(x, Y), x, multioutput="raw_values")


def _kernel(name: str) -> Any:
    return lambda x: getattr(pairwise, name)(x, x * x)


programs(
    "sklearn",
    **{
        name: _metric(name)
        for name in "d2_pinball_score explained_variance_score mean_absolute_error mean_pinball_loss "
        "mean_absolute_percentage_error mean_squared_error mean_squared_log_error r2_score "
        "root_mean_squared_error root_mean_squared_log_error".split()
    },
    **{
        name: _kernel(name)
        for name in "additive_chi2_kernel chi2_kernel cosine_distances cosine_similarity euclidean_distances "
        "laplacian_kernel linear_kernel manhattan_distances polynomial_kernel rbf_kernel sigmoid_kernel "
        "paired_cosine_distances paired_euclidean_distances".split()
    },
    mean_squared_error_as_a_float=lambda x: metrics.mean_squared_error(like(x, Y), x),
    log_loss=lambda x: metrics.log_loss(like(x, LABELS), special.softmax(x[:, :2], axis=1)),
    mean_gamma_deviance=lambda x: metrics.mean_gamma_deviance(like(x, Y[:, 0]), x[:, 0]),
    MaxAbsScaler=lambda x: preprocessing.MaxAbsScaler().fit_transform(x),
    MinMaxScaler=lambda x: preprocessing.MinMaxScaler().fit_transform(x),
    Normalizer=lambda x: preprocessing.Normalizer().fit_transform(x),
    PolynomialFeatures=lambda x: preprocessing.PolynomialFeatures(2).fit_transform(x),
    StandardScaler=lambda x: preprocessing.StandardScaler().fit_transform(x),
    StandardScaler_fitted=lambda x: preprocessing.StandardScaler().fit(like(x, Y)).transform(x),
    PCA=lambda x: decomposition.PCA(2, svd_solver="full").fit_transform(x) ** 2,
    PCA_eigh=lambda x: decomposition.PCA(2, svd_solver="covariance_eigh").fit_transform(x) ** 2,
    PCA_variance=lambda x: decomposition.PCA(2, svd_solver="full").fit(x).explained_variance_,
    Ridge=lambda x: linear_model.Ridge(solver="svd").fit(x, like(x, Y[:, 0])).coef_,
    Ridge_targets=lambda x: linear_model.Ridge(solver="svd").fit(like(x, Y), x[:, 0]).coef_,
    Ridge_prediction=lambda x: linear_model.Ridge(solver="svd").fit(x, like(x, Y[:, 0])).predict(x),
    LinearDiscriminantAnalysis=lambda x: (
        discriminant_analysis.LinearDiscriminantAnalysis().fit(x, like(x, LABELS)).decision_function(x)
    ),
    GaussianNB=lambda x: naive_bayes.GaussianNB().fit(x, like(x, LABELS)).predict_joint_log_proba(x),
    LinearRegression=lambda x: linear_model.LinearRegression().fit(x, like(x, Y[:, 0])).coef_,
)

programs(
    "array_api_extra",
    at_set=lambda x: xpx.at(copy(x))[0, :].set(x[1, :] ** 2),
    at_set_mask=lambda x: xpx.at(copy(x))[x > 1.0].set(0.0) * x,
    at_set_copy=lambda x: xpx.at(x)[x > 1.0].set(0.0, copy=True) * x,
    at_add=lambda x: xpx.at(copy(x))[:, 0].add(x[:, 1]) * x,
    at_subtract=lambda x: xpx.at(copy(x))[1:3, :].subtract(x[0, :]),
    at_multiply=lambda x: xpx.at(copy(x))[:, 1].multiply(x[:, 0]),
    at_divide=lambda x: xpx.at(copy(x))[1:3, :].divide(x[0, :]),
    at_power=lambda x: xpx.at(copy(x))[1:3, :].power(2.0),
    at_min=lambda x: xpx.at(copy(x))[1:3, :].min(1.0),
    at_max=lambda x: xpx.at(copy(x))[1:3, :].max(x[:2, :] * 1.1),
    angle=lambda x: xpx.angle(x + 1.0j * x * x),
    apply_where=lambda x: xpx.apply_where(x > 1.0, x, lambda a: a**2, lambda a: a**3),
    apply_where_xp=lambda x: xpx.apply_where(x > 1.0, x, lambda a: a**2, lambda a: a**3, xp=xp(x)),
    apply_where_fill=lambda x: xpx.apply_where(x > 1.0, x, lambda a: a**2, fill_value=0.0, xp=xp(x)),
    atleast_nd=lambda x: xpx.atleast_nd(x[:, 0], ndim=3),
    cov=lambda x: xpx.cov(x),
    create_diagonal=lambda x: xpx.create_diagonal(x[:, 0], offset=1),
    default_dtype=lambda x: xp(x).astype(x * x, xpx.default_dtype(xp(x))),
    expand_dims=lambda x: xpx.expand_dims(x, axis=(0, 2)),
    isclose=lambda x: x * xp(x).astype(xpx.isclose(x, x[:1, :], xp=xp(x)), x.dtype),
    kron=lambda x: xpx.kron(x, x * x),
    nan_to_num=lambda x: xpx.nan_to_num(x * x),
    nunique=lambda x: x * float(xpx.nunique(x)),
    one_hot=lambda x: x * xpx.one_hot(like(x, [0, 2, 1, 0, 2]), 3, dtype=x.dtype),
    pad=lambda x: xpx.pad(x, ((1, 0), (2, 1)), constant_values=1.0),
    setdiff1d=lambda x: xpx.setdiff1d(x[:, 0], x[:, 1]),
    sinc=lambda x: xpx.sinc(x),
)


def weighted_sum(y: Any) -> Any:
    """A number that depends on every element in its own way."""
    weights = np.cos(np.arange(int(np.prod(y.shape))) + 1.0).reshape(y.shape)
    return xp(y).sum(y * like(y, weights))


def finite_differences(f: Any, x: np.ndarray, step: float = 1e-4) -> np.ndarray:
    g = np.zeros_like(x)
    for i in np.ndindex(*x.shape):
        d = np.zeros_like(x)
        d[i] = step
        g[i] = (8 * (f(x + d) - f(x - d)) - (f(x + 2 * d) - f(x - 2 * d))) / (12 * step)
    return g


@cache
def expected(name: str) -> np.ndarray:
    f = PROGRAMS[name]
    return finite_differences(lambda x: float(weighted_sum(np.asarray(f(x)))), X)


def outcome(name: str, library: str) -> Any:
    """The error of the gradient relative to its largest number, or (exception, message)."""
    f = PROGRAMS[name]
    x = nnx.backend.make_backend(library).asarray(X)
    try:
        g = nnx.to_numpy(nnx.grad(lambda x: weighted_sum(f(x)))(x))
    except Exception as error:
        return type(error).__name__, str(error)
    return float(np.max(np.abs(g - expected(name))) / np.max(np.abs(expected(name))))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sklearn.set_config(array_api_dispatch=True)
    found = {library: {name: outcome(name, library) for name in PROGRAMS} for library in sys.argv[1:]}
    print(json.dumps(found))
