"""The marginal likelihood of ``programs/gaussian_process.py``, written against the array API standard."""

from array_api_compat import array_namespace, device


def negative_log_marginal_likelihood(theta, x, y):
    xp = array_namespace(theta)
    signal, length, noise = (xp.exp(theta[i]) for i in range(3))
    gap = (x[:, None] - x[None, :]) / length
    identity = xp.eye(x.shape[0], dtype=x.dtype, device=device(x))
    factor = xp.linalg.cholesky(signal**2 * xp.exp(-0.5 * gap**2) + noise**2 * identity)
    alpha = xp.linalg.solve(factor.mT, xp.linalg.solve(factor, y))
    log_det = 2.0 * xp.sum(xp.log(xp.linalg.diagonal(factor)))
    return 0.5 * (xp.vecdot(y, alpha) + log_det + x.shape[0] * 1.8378770664093453)
