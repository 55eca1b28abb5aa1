# %% [markdown]
# # How the automatic differentiation works
#
# ## Claim
#
# A program that computes $y = f(x)$ is a sequence of elementary operations $v_i = \varphi_i(v_j : j \prec
# i)$, where $j \prec i$ says that $v_i$ uses $v_j$. Each operation knows its own partial derivatives.
#
# 1. **Forward mode** carries with each value its tangent $\dot v_i$, the derivative along a direction
#    $\dot x$:
#
#     $$
#     \dot v_i = \sum_{j \prec i} \frac{\partial \varphi_i}{\partial v_j}\, \dot v_j .
#     $$
#
#     At the end $\dot y = J \dot x$: one column direction in each run.
# 2. **Reverse mode** keeps what was computed and goes back, with the adjoint $\bar v_j = \partial (\bar
#    y^\top y)/\partial v_j$ of each value:
#
#     $$
#     \bar v_j = \sum_{i \,:\, j \prec i} \bar v_i\, \frac{\partial \varphi_i}{\partial v_j} .
#     $$
#
#     At the end $\bar x = \bar y^\top J$: the whole gradient, if $y$ is one number.
# 3. **The price** of either is at most a small constant times that of $f$, whatever the number of
#    variables.
# 4. **Derivatives of any order** come from differentiating the rules themselves, if one keeps apart which
#    derivative an operation belongs to.
# 5. **Rows that do not mix** come all at once: if residual $i$ of $m$ depends on sample $i$ and on shared
#    weights, one way back gives the whole Jacobian of the residuals by the weights, not one row.

# %% [markdown]
# ## Derivation
#
# **1 and 2.** Write the state of the program, all values so far, as one vector. Operation $i$ changes one
# entry of it, and has a Jacobian $\Phi_i$: the identity, but for row $i$ with the partial derivatives of
# $\varphi_i$. By the chain rule
#
# $$
# J = P\, \Phi_l\, \Phi_{l-1} \cdots \Phi_1\, Q ,
# $$
#
# where $Q$ puts $x$ into the state and $P$ takes $y$ out. Matrix products may be bracketed as one likes. From
# the right, $\Phi_1 (Q \dot x)$ and so on, each step is one line of claim 1. From the left, $(\bar y^\top
# P)\, \Phi_l$ and so on, each step takes the adjoint of $v_i$, multiplies it by the row of $\varphi_i$, and
# adds the results to the adjoints of what it used: claim 2. No matrix is ever formed. ∎
#
# **3.** In claim 2 operation $i$ costs one multiplication and one addition for each of its arguments, and
# what its partial derivatives cost. For the elementary functions these are as cheap as the function: $(xy)' =
# y\dot x + x \dot y$, $(\sin x)' = \cos x$, $(e^x)' = e^x$. Let $\omega$ be the largest ratio of the cost of
# an operation together with its adjoint step to that of the operation alone, over the finite list of
# elementary operations. Then the whole costs at most $\omega$ times $f$. With multiplications counted as one
# operation, $xy$ itself costs 1 and its step back two products and two sums: $\omega \le 5$. (Griewank and
# Walther, whose measure counts transfers of memory too, find between 3 and 4 for the time of a gradient.) For
# matrix products alone it is exactly 3 or 2: see [what the Hessian costs](hessian_cost.md). The price of
# reverse mode is memory: the values that the partial derivatives need must be kept until the way back. ∎
#
# **4.** The step back is itself a program of elementary operations. If it runs on values that are being
# differentiated by an *outer* transform, it is recorded there, and the derivative of the derivative follows.
# What must not be mixed up are the derivatives of different transforms. In
#
# $$
# \left. \frac{d}{dx} \left( x \cdot \left. \frac{d}{dy} (x + y) \right|_{y = 1} \right) \right|_{x = 1} = 1
# $$
#
# the inner derivative must take $x$ for a constant; a forward mode with one kind of tangent for both computes
# 2 ("perturbation confusion"). Each call of a transform therefore gets a *level*, a number larger than that
# of the transforms around it. An operation belongs to the highest level among its arguments, and its value is
# computed one level below. Since the rules are written in functions that can be differentiated, the
# derivative of a rule needs no rule of its own.
#
# **5. Rows.** Let an array $u$ of the program have rows $u_1, \dots, u_m$, and let residual $r_i$ depend on
# $u_i$ but on no other row. Start the way back with the adjoint 1 for every residual. What arrives at row $i$
# of $u$ is
#
# $$
# \bar u_i = \frac{\partial}{\partial u_i} \sum_j r_j = \frac{\partial r_i}{\partial u_i} :
# $$
#
# one array of the shape of $u$ holds a row of the Jacobian for each sample. The ordinary pullbacks take it
# further back as long as they do not mix rows. It ends where all rows share an array. There the pullback
# would add up what belongs to different residuals; it is kept apart instead. Of $u = v\, w$ the adjoint of
# $w$ is
#
# $$
# \bar w = v^\top \bar u = \sum_i v_i^\top \bar u_i , \qquad \text{and row } i \text{ of the Jacobian is }
# v_i^\top \bar u_i .
# $$
#
# What lies further back, functions of the weights alone, takes the stack of these rows. ∎

# %% [markdown]
# ## In nnx
#
# `nnx.grad(f)(x)` calls $f$ with a *traced array*, which holds the value of $x$ and passes each operation on
# it to the *rule* of the function that was called. It answers to operators, methods and assignments, to
# NumPy's two protocols (`__array_ufunc__`, `__array_function__`) and to that of the array API standard
# (`__array_namespace__`), so the code of $f$ need not know of it. Functions of plain arrays are the library's
# own: nothing is recorded for them.
#
# In reverse mode each operation leaves a node that points at its parents, with a pullback from the adjoint of
# its result to theirs (an operation with several results is one node, and each result a part of it):
#
# <!-- source: nnx.autodiff.trace:Node -->
#
# <!-- source: nnx.autodiff.trace:Tape.record -->
#
# The way back takes the nodes newest first, so each only after everything that used its result:
#
# <!-- source: nnx.autodiff.trace:backward -->
#
# In forward mode there is nothing to go back over; the tangent is computed at once:
#
# <!-- source: nnx.autodiff.trace:Dual.record -->
#
# A rule is written once, in a family that serves both modes. Of an elementwise function it is the derivative,
# of a linear one its transpose, of a bilinear one (a product, a matrix product) two transposes.
# Decompositions give their pullback, and its transpose is the tangent:
#
# <!-- source: nnx.autodiff.families:Elementwise -->
#
# <!-- source: nnx.autodiff.families:Bilinear.pull -->
#
# And the level to which an operation belongs, if its arguments are traced by different transforms:
#
# <!-- source: nnx.autodiff.bind:_highest -->
#
# Whether rows mix is read from the recorded operations, from the outputs back, by a table of what is known.
# What is not in the table, or uses one array in both ways (a batch mean), is not guessed. Of a matrix
# product:
#
# <!-- source: nnx.autodiff.rowwise.table:_matmul -->
#
# Derivatives by the inputs (`nnx.jvp`, `nnx.grad`) inside of a residual are operations like all others, so
# the residuals of differential equations have such rows too.
#
# The run: the same two modes for single numbers, in plain Python, which counts the operations that it makes.

# %%
import math
from typing import ClassVar

import numpy as np

import nnx


class Value:
    """A number that remembers how it was made: what it uses, and the partial derivative by each."""

    made: ClassVar[list] = []  # all values, in order: the tape
    operations = 0

    def __init__(self, value, uses=()):
        self.value, self.uses, self.adjoint = value, uses, 0.0
        Value.operations += 1
        Value.made.append(self)

    def __add__(self, other):
        return Value(self.value + other.value, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        return Value(self.value * other.value, ((self, other.value), (other, self.value)))

    def sin(self):
        return Value(math.sin(self.value), ((self, math.cos(self.value)),))

    def exp(self):
        y = math.exp(self.value)
        return Value(y, ((self, y),))


def gradient(f, x):
    """Value and gradient by reverse mode, and the operations forward and back."""
    Value.made, Value.operations = [], 0
    inputs = [Value(v) for v in x]
    y = f(inputs)
    forward, back = Value.operations - len(x), 0
    y.adjoint = 1.0
    for v in reversed(Value.made):
        for used, partial in v.uses:
            used.adjoint += v.adjoint * partial
            back += 2
    return y.value, np.array([v.adjoint for v in inputs]), forward, back


class Dual:
    """A number with its tangent."""

    def __init__(self, value, tangent):
        self.value, self.tangent = value, tangent

    def __add__(self, other):
        return Dual(self.value + other.value, self.tangent + other.tangent)

    def __mul__(self, other):
        tangent = self.tangent * other.value + self.value * other.tangent
        return Dual(self.value * other.value, tangent)

    def sin(self):
        return Dual(math.sin(self.value), math.cos(self.value) * self.tangent)

    def exp(self):
        y = math.exp(self.value)
        return Dual(y, y * self.tangent)


def f(x):
    """A chain through all variables: Σ sin(xᵢxᵢ₊₁)·exp(xᵢ)."""
    total = x[0] * x[0]
    for i in range(len(x) - 1):
        total = total + (x[i] * x[i + 1]).sin() * x[i].exp()
    return total


def f_numpy(x):
    return x[0] * x[0] + np.sum(np.sin(x[:-1] * x[1:]) * np.exp(x[:-1]))


rng = np.random.default_rng(0)
for n in (10, 100, 1000):
    value, g, forward, back = gradient(f, rng.normal(size=n))
    ratio = (forward + back) / forward
    print(f"n = {n:5}: {forward} operations forward, {back} back, together {ratio:.2f} times forward")

# %% [markdown]
# ## Assertions
#
# **Both modes, and nnx.** nnx's gradient of the NumPy form equals that of the forty lines above; forward mode
# gives its product with a direction; and one run back costs the same multiple for 10 variables as for 1000.

# %%
ratios = []
for n in (10, 100, 1000):
    x, v = rng.normal(size=n), rng.normal(size=n)
    value, g, forward, back = gradient(f, x)
    ours_value, ours = nnx.value_and_grad(f_numpy)(x)
    # sums of n terms of sizes up to 10, added in different orders
    assert np.isclose(value, ours_value, rtol=1e-12) and np.allclose(g, ours, rtol=1e-12, atol=1e-12)
    tangent = f([Dual(a, b) for a, b in zip(x, v, strict=True)]).tangent
    assert np.isclose(tangent, g @ v, rtol=1e-9, atol=1e-9)
    assert np.isclose(nnx.jvp(f_numpy, (x,), (v,))[1], g @ v, rtol=1e-9, atol=1e-9)
    ratios.append((forward + back) / forward)
assert max(ratios) <= 5.0 and np.ptp(ratios) < 0.1  # claim 3: no dependence on n

# %% [markdown]
# **Directions of the two modes.** $J$ of a function from 3 to 2 numbers: reverse mode gives its rows, forward
# mode its columns.


# %%
def g(x):
    return np.stack([x[0] * x[1] + np.sin(x[2]), np.exp(x[0]) / x[2]])


x = np.array([0.5, -1.0, 2.0])
by_hand = np.array([[x[1], x[0], np.cos(x[2])], [np.exp(x[0]) / x[2], 0.0, -np.exp(x[0]) / x[2] ** 2]])
_, pullback = nnx.vjp(g, x)
rows = np.stack([pullback(e)[0] for e in np.eye(2)])
columns = np.stack([nnx.jvp(g, (x,), (e,))[1] for e in np.eye(3)], axis=1)
for found in (rows, columns, nnx.jacobian(g)(x)):
    assert np.allclose(found, by_hand, rtol=1e-15, atol=1e-16)

# %% [markdown]
# **Higher orders.** Derivatives of $\sin$ up to the sixth by nested calls; the sixth derivative of a
# composition against its Taylor coefficient; and the example of perturbation confusion, also with forward
# mode inside, outside and both.

# %%
derivative, exact = np.sin, [np.cos, lambda t: -np.sin(t), lambda t: -np.cos(t), np.sin]
for order in range(6):
    derivative = nnx.grad(derivative)
    assert np.isclose(derivative(0.7), exact[order % 4](0.7), rtol=1e-14)

bell = lambda t: np.exp(np.exp(t) - 1.0)  # noqa: E731  its derivatives at 0 are Bell's numbers
numbers, derivative = [], bell
for _ in range(6):
    derivative = nnx.grad(derivative)
    numbers.append(float(derivative(0.0)))
print("Bell's numbers:", numbers)
assert np.allclose(numbers, [1, 2, 5, 15, 52, 203], rtol=1e-13)


def forward(f):
    return lambda t: nnx.jvp(f, (t,), (1.0,))[1]


for outer in (nnx.grad, forward):
    for inner in (nnx.grad, forward):
        assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0  # noqa: B023

# %% [markdown]
# **Claim 5.** The residuals of 50 samples, with a derivative by the inputs among them: all rows in one pass
# back equal those of 50 gradients. A mean over the batch mixes the rows, and is named.


# %%
def residuals(w, x):
    def network(x):
        return np.tanh(x @ w["kernel"] + w["bias"]) @ w["out"]

    value, slope = nnx.jvp(network, (x,), (np.ones_like(x),))
    return slope + 2.0 * value


w = {"kernel": rng.normal(size=(3, 8)), "bias": rng.normal(size=8), "out": rng.normal(size=8)}
x = rng.normal(size=(50, 3))
rows = nnx.per_sample_grad(residuals, stacked=True)(w, x)
for i in range(50):
    single = nnx.grad(lambda w: residuals(w, x[i : i + 1])[0])(w)  # noqa: B023
    for name in w:
        # sums of 8 terms, added in different orders
        assert np.allclose(rows[name][i], single[name], rtol=1e-12, atol=1e-13)
try:
    nnx.per_sample_grad(lambda w, x: residuals(w, x - np.mean(x @ w["kernel"])), stacked=True)(w, x)
    raise AssertionError("the rows mix")
except nnx.errors.DerivativeError as error:
    print(error)

# %% [markdown]
# **Any program**: nnx checks both modes to second order against differences.

# %%
nnx.check_derivatives(f_numpy, rng.normal(size=8))
nnx.check_derivatives(g, np.array([0.5, -1.0, 2.0]))

# %% [markdown]
# ## When it fails
#
# - **Where the function has no derivative** the rules still say something: at a kink a one-sided or split
#   value.
# - **The chain rule can say $0 \cdot \infty$ where the function is smooth.** $\sqrt{x}$ inside of
#   `np.where(x > 0, np.sqrt(x), 0.0)` has the slope $\infty$ at 0, the choice multiplies it by 0: NaN. nnx
#   gives NaN, and no number that merely looks right.
# - **What leaves the trace** has no derivative: `float(x)`, compiled code. nnx raises an error that says
#   what to write.
# - **Many outputs.** Reverse mode takes one way back for each, unless rows do not mix (claim 5).
# - **Loops that converge.** Their derivative is that of the last iterate, not of the limit, and all
#   iterates are kept: `nnx.implicit` differentiates the equation instead.
# - **Memory.** Everything the way back needs is kept: `nnx.checkpoint` recomputes it.

# %%
with np.errstate(all="ignore"):
    at_zero = nnx.grad(lambda x: np.where(x > 0.0, np.sqrt(x), 0.0))(0.0)
assert np.isnan(at_zero)
try:
    nnx.grad(lambda x: float(x) ** 2)(1.0)
except nnx.errors.DerivativeError as error:
    print(error)

# %% [markdown]
# ## References
#
# - R. E. Wengert, *A simple automatic derivative evaluation program*, Comm. ACM 7 (1964) 463–464 (forward
#   mode).
# - S. Linnainmaa, *Taylor expansion of the accumulated rounding error*, BIT 16 (1976) 146–160 (reverse
#   mode).
# - W. Baur, V. Strassen, *The complexity of partial derivatives*, Theoret. Comput. Sci. 22 (1983) 317–330
#   (claim 3).
# - A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008: chapters 3 and 4.
# - I. Goodfellow, *Efficient per-example gradient computations*, arXiv:1510.01799 (2015) (claim 5).
# - J. M. Siskind, B. A. Pearlmutter, *Perturbation confusion and referential transparency*, IFL 2005.
# - A. G. Baydin, B. A. Pearlmutter, A. A. Radul, J. M. Siskind, *Automatic differentiation in machine
#   learning: a survey*, J. Machine Learning Research 18 (2018) 153, 1–43.
