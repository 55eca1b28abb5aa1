# %% [markdown]
# # Softmax with cross-entropy
#
# ## Claim
#
# For logits $z$ (a row), probabilities $a = \operatorname{softmax}(z)$, $a_i = e^{z_i} / \sum_k e^{z_k}$, and
# a target row $y$ with $\sum_i y_i = 1$, the cost $J = -\sum_i y_i \ln a_i$ has
#
# $$ \delta = \frac{\partial J}{\partial z} = a - y, \qquad
#    \frac{\partial^2 J}{\partial z^2} = \operatorname{diag}(a) - a^\top a, $$
#
# and both can be computed for logits of any finite size without overflow, by
#
# $$ \ln a_i = (z_i - c) - \ln \sum_k e^{z_k - c}, \qquad c = \max_k z_k . $$
#
# ## Derivation
#
# **The Jacobian of softmax.** Let $S = \sum_k e^{z_k}$, so $a_i = e^{z_i}/S$ and
# $\partial S/\partial z_j = e^{z_j}$. The quotient rule gives
#
# $$ \frac{\partial a_i}{\partial z_j}
#    = \frac{e^{z_i}\,[i = j]}{S} - \frac{e^{z_i} e^{z_j}}{S^2} = a_i\,([i = j] - a_j). $$
#
# **The error.** With $\partial J/\partial a_i = -y_i/a_i$ the factor $a_i$ cancels:
#
# $$ \frac{\partial J}{\partial z_j} = \sum_i -\frac{y_i}{a_i}\, a_i\,([i = j] - a_j)
#    = -y_j + a_j \sum_i y_i = a_j - y_j. $$
#
# The same without any division: $J = -\sum_i y_i z_i + \ln S \sum_i y_i$, and
# $\partial \ln S/\partial z_j = e^{z_j}/S = a_j$. If the targets have another sum,
# $\delta = a \sum_i y_i - y$.
#
# **Convex in the logits.** Differentiate once more: the Hessian is the Jacobian of softmax. For any $v$,
#
# $$ v\,(\operatorname{diag}(a) - a^\top a)\,v^\top = \sum_i a_i v_i^2 - (\sum_i a_i v_i)^2 \ge 0, $$
#
# the variance of $v_i$ under the probabilities $a_i$. It is 0 for $v = (1, \dots, 1)$: adding one number to
# all logits changes nothing, so logits are known only up to a constant.
#
# **The shift.** Because adding a constant changes nothing, subtract $c = \max_k z_k$ first. Every exponent is
# then $\le 0$ and one of them is 0, so each $e^{z_k - c} \le 1$ and $1 \le \sum_k e^{z_k - c} \le K$ for $K$
# classes: nothing overflows, the logarithm is of a number between 1 and $K$, and what underflows is smaller
# than the rounding of that sum. The logarithm of the probability is formed without the probability: $\ln a_i$
# can be $-10\,000$ where $a_i$ itself is 0 in floating point.
#
# **Two classes.** With logits $(0, z)$, $a_2 = e^z/(1 + e^z) = \sigma(z)$: the sigmoid is softmax for two
# classes, and $\delta = \sigma(z) - y$.
#
# ## The code
#
# The loss takes the logarithm of softmax and sums it up with the targets; their pullbacks, put together, are
# $a \sum_i y_i - y$. A model that ends in softmax is trained on its logits in this way by itself.
#
# <!-- source: nnx.activations.vectors:log_softmax -->
#
# <!-- source: nnx.activations.vectors:_log_softmax_back -->
#
# <!-- source: nnx.losses.crossentropies:_minus_expected -->
#
# <!-- source: nnx.losses.crossentropies:_expected_back -->
#
# ## A run

# %%
import numpy as np

import nnx

rng = np.random.default_rng(0)
z = rng.normal(size=(4, 5))
y = np.eye(5)[[0, 3, 3, 1]]


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def loss(z):
    return np.sum(nnx.losses.categorical_crossentropy(y, z, from_logits=True))


delta = nnx.grad(loss)(z)
print(delta)
print(softmax(z) - y)

# %% [markdown]
# Large logits in float32, by the formula as printed and by nnx. The true losses are 0 and 10 000.

# %%
large = np.asarray([[1e4, 0.0]], dtype=np.float32)
targets = np.asarray([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
with np.errstate(all="ignore"):
    printed = -np.sum(targets * np.log(np.exp(large) / np.sum(np.exp(large))), axis=-1)
stable = nnx.losses.categorical_crossentropy(targets, np.repeat(large, 2, axis=0), from_logits=True)
print("as printed:", printed, "  stable:", stable)

# %% [markdown]
# The Hessian of one sample, and its eigenvalues. One is 0, for the direction $(1, \dots, 1)$.


# %%
def of_one(z):
    return np.sum(nnx.losses.categorical_crossentropy(y[:1], z[None, :], from_logits=True))


a = softmax(z[0])
hessian = nnx.hessian(of_one)(z[0])
print(np.linalg.eigvalsh(hessian))

# %% [markdown]
# ## The check

# %%
assert np.allclose(delta, softmax(z) - y, rtol=0, atol=1e-15)  # entries of size 1: units of 2.2e-16
assert np.allclose(hessian, np.diag(a) - np.outer(a, a), rtol=0, atol=1e-15)
eigenvalues = np.linalg.eigvalsh(hessian)
assert abs(eigenvalues[0]) < 1e-15 and (eigenvalues[1:] > 0.01).all()
assert np.allclose(
    nnx.jacobian(nnx.activations.softmax)(z[0]), np.diag(a) - np.outer(a, a), rtol=0, atol=1e-15
)

assert not np.isfinite(printed).all() and stable.tolist() == [0.0, 1e4]

# targets with the sum 2: δ = 2a − y
twice = nnx.grad(lambda z: np.sum(nnx.losses.categorical_crossentropy(2 * y, z, from_logits=True)))(z)
assert np.allclose(twice, 2 * softmax(z) - 2 * y, rtol=0, atol=2e-15)

# two classes: softmax of (0, z) is the sigmoid
t = np.linspace(-30.0, 30.0, 121)
pairs = nnx.activations.softmax(np.stack([np.zeros_like(t), t], axis=-1))[:, 1]
assert np.allclose(pairs, nnx.activations.sigmoid(t), rtol=1e-15 * 4, atol=0)

# a model whose last activation is softmax: its gradient is that of the logits, also where softmax is 0
model = nnx.Sequential([nnx.layers.Dense(2, "softmax", use_bias=False, input_shape=(1,))], dtype="float64")
model.set_weights([np.asarray([[800.0, 0.0]])])
model.compile(nnx.optimizers.SGD(learning_rate=1.0), "categorical_crossentropy")
model.fit(np.ones((1, 1)), np.asarray([[0.0, 1.0]]), epochs=1, verbose=0)
print("one step from (800, 0) with target class 2:", model.get_weights()[0])
assert model.get_weights()[0].tolist() == [[799.0, 1.0]]  # δ = a − y = (1, −1) exactly

# %% [markdown]
# ## When it fails
#
# - **The probabilities are rounded first.** The metric (the loss called with probabilities) keeps them
#   $10^{-7}$ away from 0 and 1 as Keras does, so it never exceeds 16.1 and has no gradient there
#   ([costs](costs.md#when-it-fails)).
# - **A logit of $-\infty$** (a masked class): $y_i \ln a_i = 0 \cdot (-\infty)$ is NaN in the loss with
#   one-hot targets. The loss with class numbers does not multiply and stays finite:

# %%
masked = np.asarray([[1.0, 2.0, -np.inf]])
with np.errstate(invalid="ignore"):
    dense = nnx.losses.categorical_crossentropy(np.asarray([[0.0, 1.0, 0.0]]), masked, from_logits=True)
sparse = nnx.losses.sparse_categorical_crossentropy(np.asarray([1]), masked, from_logits=True)
print(dense, sparse)
assert np.isnan(dense[0]) and abs(sparse[0] - np.log(1 + np.exp(-1.0))) < 1e-15

# %% [markdown]
# - **Separable classes.** The cost has no minimum then: logits grow for ever and $J \to 0$. Weight decay,
#   early stopping or label smoothing (targets $(1 - s)\,y + s/K$) give it one.
# - **Several labels at once.** Softmax shares out a sum of 1; for labels that may hold together take a
#   sigmoid for each and binary cross-entropy.
# - **Newton's method** meets the zero eigenvalue: the Hessian by the last layer's weights is singular for
#   every data set.
#
# ## References
#
# - Lectures: "10. Sieci neuronowe – propagacja wsteczna", sections 10.1 (softmax for classification) and 10.2
#   (BP1).
# - J. S. Bridle, "Probabilistic interpretation of feedforward classification network outputs, with
#   relationships to statistical pattern recognition", in *Neurocomputing*, Springer 1990, 227–236.
# - C. M. Bishop, *Pattern Recognition and Machine Learning*, Springer 2006, section 4.3.4, pp. 209–210.
# - P. Blanchard, D. J. Higham, N. J. Higham, "Accurately computing the log-sum-exp and softmax functions",
#   *IMA Journal of Numerical Analysis* 41 (2021) 2311–2330.
