"""Functions whose result carries no gradient, and functions that take no arrays to differentiate.

A constant's derivative is zero wherever it exists (floor, sign, comparisons) or does not exist at all
(argmax, integers): the result is a plain array, on which Python's control flow works.
"""

CONSTANTS = frozenset(
    """
    all any argmax argmin argsort bitwise_and bitwise_invert bitwise_left_shift bitwise_or
    bitwise_right_shift bitwise_xor ceil count_nonzero equal floor floor_divide greater greater_equal imag
    isfinite isin isinf isnan less less_equal logical_and logical_not logical_or logical_xor nextafter nonzero
    not_equal round searchsorted sign signbit trunc
    empty_like full_like ones_like zeros_like
    can_cast result_type
    """.split()
)

#: Creation and inspection: no array argument that a gradient could flow through.
PASSED = frozenset(
    """
    arange empty eye finfo from_dlpack iinfo isdtype ones zeros
    """.split()
)
