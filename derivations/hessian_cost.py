# %% [markdown]
# # What the Hessian costs
#
# ## Claim
#
# Let $E$ be a cost of $n$ weights, and let one gradient cost $c$ operations.
#
# 1. **Memory.** The Hessian has $n^2$ entries, $\tfrac12 n(n+1)$ of them different. For VGG16, $n =
#    138\,357\,544$, that is $1.914 \cdot 10^{16}$ entries: 77 petabytes in single precision. For MobileNetV2,
#    $n = 3\,538\,984$, it is $1.252 \cdot 10^{13}$ entries: 50 terabytes. A gradient has $n$ entries.
# 2. **Time.** Forming $H$ takes $n$ products $Hv$; factorising it $\tfrac13 n^3$ operations. (Fast matrix
#    products lower the exponent to 2.8 and less, which does not change the argument.)
# 3. **Products are cheap.** One product $Hv$ costs a small multiple of one gradient, whatever $n$ is, and
#    needs no $H$. For a network of dense layers that multiple lies between 2 and 3.
#
# So large networks are trained with gradients (memory $O(n)$, linear convergence), networks of a few thousand
# weights with $H$, $V \approx H^{-1}$ or $J^\top J$, and in between there are methods that take products
# only.

# %% [markdown]
# ## Derivation
#
# **The product** (Pearlmutter). $Hv$ is the derivative of the gradient along $v$:
#
# $$
# H v = \left. \frac{d}{dt} \nabla E(w + tv) \right|_{t = 0} .
# $$
#
# The gradient is a program of about $c$ elementary operations. Forward mode carries with each value $z$ its
# tangent $\dot z$: an addition gets one more addition; a product $z = xy$ gets $\dot z = \dot x y + x \dot
# y$, two more products. So the program and its tangent cost at most a small multiple of $c$: *no loop over
# the weights appears*. Nothing but the shapes of the arrays depends on $n$.
#
# **Dense layers.** In a layer $z = a \Theta$ nearly all work are matrix products of one size. Let us count
# them.
#
# - Function: $a\Theta$. One product.
# - Gradient: besides, $\delta \Theta^\top$ and $a^\top \delta$ (BP2 and BP4). Three.
# - Product $Hv$: the same three, and the tangent of each: $\dot a \Theta + a \dot\Theta$, and likewise for
#   the other two. $3 + 6 = 9$: three times the gradient.
#
# In the first layer $a = x$ are data: there is no $\delta\Theta^\top$ and no $\dot x$. Function 1, gradient
# 2, $Hv$ 4: twice the gradient. A network lies between the two. ∎
#
# **The Hessian from products.** $H e_j$ is its column $j$: $n$ products, $2n$ to $3n$ gradients. Reverse mode
# over reverse mode would give rows at the same price; there is no way around $n$ passes, for the answer has
# $n^2$ entries and a pass yields $n$.
#
# **What methods keep.**
#
# - gradient descent with momentum $2n$, Adam $3n$ numbers (weights included);
# - L-BFGS with $m$ pairs $2mn$; conjugate gradients $2n$ to $4n$;
# - BFGS, DFP, Newton, Gauss–Newton and Levenberg–Marquardt $n^2$.

# %% [markdown]
# ## In nnx
#
# A product is forward mode over reverse mode:
#
# <!-- source: nnx.autodiff.transforms:hvp -->
#
# and a Hessian is made of $n$ of them:
#
# <!-- source: nnx.optimizers.problem:Point._hessian_of_products -->
#
# Which methods ask for what: `"newton"` for $H$; `"newton-cg"` and `"scg"` for products; all others for
# gradients.
#
# To count operations exactly, the run below multiplies matrices by a function of its own, which counts $2mkn$
# for each product. Its derivative is written in terms of itself, so the products of every pass are counted.

# %%
import tracemalloc
from itertools import pairwise

import numpy as np

import nnx

operations = 0


def times_back(xp, g, needs, y, a, b):
    return times(g, b.T) if needs[0] else None, times(a.T, g) if needs[1] else None


def times_forward(xp, directions, y, a, b):
    da, db = directions
    terms = [times(da, b)] if da is not None else []
    return sum(terms + ([times(a, db)] if db is not None else []))


@nnx.custom_derivative(forward=times_forward, reverse=times_back)
def times(a, b):
    global operations
    operations += 2 * a.shape[0] * a.shape[1] * b.shape[1]
    return a @ b


def counted(compute):
    global operations
    operations = 0
    compute()
    return operations


rng = np.random.default_rng(0)


def network(sizes):
    """The cost of a tanh network as a function of one vector of weights, and some weights."""
    x, y = (rng.normal(size=(64, size)) for size in (sizes[0], sizes[-1]))
    shapes = list(pairwise(sizes))

    def cost(w):
        a, start = x, 0
        for n, m in shapes:
            a = np.tanh(times(a, np.reshape(w[start : start + n * m], (n, m))))
            start += n * m
        return 0.5 * np.sum((a - y) ** 2)

    return cost, 0.1 * rng.normal(size=sum(n * m for n, m in shapes))


rows = []
for sizes in ([50, 20, 1], [50, 50, 50, 50, 50, 1], [20] * 12, [200, 200, 200, 200]):
    cost, w = network(sizes)
    v = rng.normal(size=w.shape)
    f = counted(lambda: cost(w))  # noqa: B023
    g = counted(lambda: nnx.grad(cost)(w))  # noqa: B023
    h = counted(lambda: nnx.hvp(cost, w, v))  # noqa: B023
    rows.append((len(w), len(sizes) - 1, g / f, h / g))
    size = f"{len(w):7} weights, {len(sizes) - 1:2} layers"
    print(f"{size}:  gradient/function {g / f:.2f}   product/gradient {h / g:.2f}")

# %% [markdown]
# ## Assertions
#
# **Claim 3.** The gradient costs 2 to 3 functions and the product 2 to 3 gradients, from 1020 weights to
# 120 000. Elementwise operations are not counted: they are a small part where layers are wide.

# %%
for _, _, gradient, product in rows:
    assert 2.0 <= gradient <= 3.2 and 2.0 <= product <= 3.2

# %% [markdown]
# **The product is right**: against the Hessian in full, and against differences of gradients.

# %%
cost, w = network([8, 6, 2])
v = rng.normal(size=w.shape)
full, product = nnx.hessian(cost)(w), nnx.hvp(cost, w, v)
step = 1e-5
difference = (nnx.grad(cost)(w + step * v) - nnx.grad(cost)(w - step * v)) / (2.0 * step)
assert np.allclose(full @ v, product, rtol=1e-10, atol=1e-10)
assert np.allclose(difference, product, rtol=1e-5, atol=1e-6)  # an error of step² and rounding/step

# %% [markdown]
# **Claim 2**: one iteration of `"newton"` counts one Hessian, made of $n$ products; `"newton-cg"` counts
# single products.

# %%
counts = {}
for method in ("newton", "newton-cg", "bfgs"):
    optimizer = nnx.optimizers.get(method)
    problem = nnx.optimizers.FunctionProblem(cost)
    start = w.copy()
    state = optimizer.init(problem, start)
    for _ in range(3):
        optimizer.step(problem, start, state)
    counts[method] = dict(problem.counts)
    print(f"{method:10}", counts[method])
assert counts["newton"]["hessian"] == 3 and "hvp" not in counts["bfgs"]
assert 3 <= counts["newton-cg"]["hvp"] < 3 * len(w)

# %% [markdown]
# **Claim 1**: the numbers of the lectures' table, and what is really allocated: the peak of a gradient grows
# with $n$, that of a Hessian is never less than its $8n^2$ bytes. (nnx takes as many columns at once as the
# cache has room for. In small networks that needs more memory than the Hessian.)


# %%
def peak(compute):
    compute()  # once before, so that nothing is counted which is made once for all
    tracemalloc.start()
    compute()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


peaks = []
for width in (10, 20, 40):
    cost, w = network([10, width, 10])
    peaks.append((len(w), peak(lambda: nnx.grad(cost)(w)), peak(lambda: nnx.hessian(cost)(w))))  # noqa: B023
    print(f"{len(w)} weights: gradient {peaks[-1][1] / 1e3:.0f} kB, Hessian {peaks[-1][2] / 1e3:.0f} kB")
assert all(hessian >= 8 * n * n for n, _, hessian in peaks)
assert peaks[2][1] / peaks[0][1] < 8.0  # 4 times the weights: near 4

for name, n, entries in (("VGG16", 138_357_544, 1.914e16), ("MobileNetV2", 3_538_984, 1.252e13)):
    print(f"{name}: {n**2:.4e} entries, {4 * n**2 / 1e12:.1f} TB; {n**3 / 3:.1e} operations to factorise")
    assert abs(n**2 / entries - 1.0) < 1e-3  # the claim's figures have four digits

# %% [markdown]
# At $10^{14}$ operations a second the factors of VGG16's Hessian would take 280 years.
#
# ## When it fails
#
# - **Structure.** The argument is about a dense $H$. Where $H$ is sparse, banded, or a sum of few outer
#   products, less is needed. (nnx does not look for it.)
# - **Sums of squares.** $J^\top J$ needs no second derivatives, but has $n^2$ entries all the same.
#   Products $J^\top(Jv)$ cost two passes.
# - **Products are not steps.** Newton-CG takes many products for one step; near a saddle point or for a
#   large condition number their number grows.
# - **Small constants hide in large arrays.** Reverse mode keeps the intermediate values of the forward
#   pass; for $Hv$ it keeps their tangents too. `nnx.checkpoint` trades them for time.

# %%
years = 138_357_544**3 / 3 / 1e14 / (365.25 * 24 * 3600)
print(years, "years")
assert 270.0 < years < 290.0

# %% [markdown]
# ## References
#
# - B. A. Pearlmutter, *Fast exact multiplication by the Hessian*, Neural Computation 6 (1994) 147–160.
# - A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008: section 3.3 and chapter 5.
# - G. H. Golub, C. F. Van Loan, *Matrix Computations*, 4th ed., Johns Hopkins 2013: section 4.2 (Cholesky,
#   $\tfrac13 n^3$).
# - V. Strassen, *Gaussian elimination is not optimal*, Numer. Math. 13 (1969) 354–356.
# - Parameters of the networks: <https://keras.io/api/applications/>.
