"""Functions whose result carries no gradient, functions that make arrays, and functions that are refused.

A constant's derivative is zero wherever it exists (floor, sign, comparisons) or does not exist at all
(argmax, integers): the result is a plain array, on which Python's control flow works.
"""

CONSTANTS = frozenset(
    """
    all any argmax argmin argsort bitwise_and bitwise_invert bitwise_left_shift bitwise_or
    bitwise_right_shift bitwise_xor ceil count_nonzero equal floor floor_divide greater greater_equal
    isfinite isin isinf isnan less less_equal logical_and logical_not logical_or logical_xor nextafter nonzero
    not_equal round searchsorted sign signbit trunc
    can_cast finfo iinfo isdtype result_type
    """.split()
)

#: Functions that make arrays without a gradient: in the differentiable namespace one can write into these.
CREATION = frozenset(
    """
    arange asarray empty empty_like eye from_dlpack full full_like linspace ones ones_like zeros zeros_like
    """.split()
)

_SETS = "it chooses by value which numbers it gives, and in which order: the gradient would silently be cut"
#: Why functions are refused.
REFUSED = dict.fromkeys(("unique_all", "unique_counts", "unique_inverse", "unique_values"), _SETS)
