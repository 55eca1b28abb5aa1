"""Functions without a gradient: constants, creation, inspection, and what is refused.

A constant's derivative is zero wherever it exists (floor, sign, comparisons) or does not exist at all
(argmax, integers): the result depends on nothing, and Python's control flow works on it.
"""

CONSTANTS = frozenset(
    """
    all any argmax argmin argsort bitwise_and bitwise_invert bitwise_left_shift bitwise_or
    bitwise_right_shift bitwise_xor ceil count_nonzero equal floor floor_divide greater greater_equal
    isfinite isin isinf isnan less less_equal logical_and logical_not logical_or logical_xor nonzero
    not_equal round searchsorted signbit trunc
    linalg.matrix_rank special.gammasgn special.round
    """.split()
)

#: Functions about data types, shapes and the library: their results hold no entries of an array.
INSPECTION = frozenset(
    "broadcast_shapes can_cast finfo iinfo isdtype result_type __array_namespace_info__".split()
)

#: Functions that create arrays without a gradient: in the differentiable namespace these are writable.
CREATION = frozenset(
    """
    arange asarray empty empty_like eye from_dlpack full full_like linspace ones ones_like zeros zeros_like
    fft.fftfreq fft.rfftfreq
    """.split()
)

_SETS = "it chooses by value which entries it gives and in which order: the gradient would silently be cut"
#: Why functions are refused.
REFUSED = {
    **dict.fromkeys(("unique_all", "unique_counts", "unique_inverse", "unique_values"), _SETS),
    "arange": "the length of its result depends on the values; xp.linspace has a derivative, and so has "
    "start + step * xp.arange(n)",
    **dict.fromkeys(
        ("linalg.eig", "linalg.eigvals"),
        "the eigenvalues of a general matrix are complex numbers in no fixed order, and have no derivative "
        "where they meet. For symmetric matrices there are linalg.eigh and linalg.eigvalsh",
    ),
}
