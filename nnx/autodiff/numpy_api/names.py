"""NumPy's names: other names of the standard's functions, constants, and refused ones with the reason."""

from __future__ import annotations

#: Ufuncs whose counterpart in the standard takes the same arguments: NumPy's name → the standard's. The
#: arithmetic goes to Python's operators, which also take scalars.
UFUNCS = {
    "add": "op_add", "subtract": "op_sub", "multiply": "op_mul", "divide": "op_truediv", "power": "op_pow",
    "remainder": "op_mod", "matmul": "op_matmul", "negative": "op_neg",
    "absolute": "abs", "fabs": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin",
    "arcsinh": "asinh", "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh",
} | {
    name: name
    for name in (
        "copysign cos cosh exp expm1 hypot log log10 log1p log2 logaddexp maximum minimum nextafter positive "
        "sign reciprocal sin sinh sqrt square tan tanh"
    ).split()
}  # fmt: skip

#: Functions that do not depend on the input, or only in jumps: computed by NumPy's own function on plain
#: arrays. The result is a plain array (or a bool, a string) on which Python's control flow works. Values
#: are the standard's names, for libraries without NumPy's protocols.
CONSTANTS = {
    "around": "round", "rint": "round", "invert": "bitwise_invert", "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift", "fix": "trunc",
} | {
    name: name
    for name in """
    greater greater_equal less less_equal equal not_equal isfinite isinf isnan isnat signbit floor ceil
    trunc floor_divide logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor
    bitwise_count gcd lcm spacing
    all any argmax argmin argsort argpartition argwhere array_equal array_equiv allclose isclose
    array2string array_repr array_str can_cast common_type count_nonzero digitize einsum_path
    flatnonzero iscomplex iscomplexobj isin isneginf isposinf isreal isrealobj lexsort
    may_share_memory min_scalar_type nanargmax nanargmin ndim nonzero result_type round
    searchsorted shape shares_memory size tril_indices_from triu_indices_from diag_indices_from
    linalg.matrix_rank ravel_multi_index unravel_index format_float_positional typename
    """.split()
}  # fmt: skip

#: Names that NumPy will remove → today's. The old one would warn its caller, which is nnx, not the program.
DEPRECATED = {"fix": "trunc"}

_SETS = "it chooses by value which entries it gives and in which order, so the gradient would silently be cut"
_FILES = "it writes plain numbers into a file, where the gradient ends"
_INTEGERS = "it takes integers, dates or bits, which have no derivative"
_EIGEN = "eigenvalues of a general matrix are complex and jump in their order"
#: Why functions are refused.
REFUSED = (
    dict.fromkeys(
        "unique unique_all unique_counts unique_inverse unique_values union1d intersect1d setdiff1d "
        "setxor1d".split(),
        _SETS,
    )
    | dict.fromkeys("save savez savez_compressed savetxt".split(), _FILES)
    | dict.fromkeys(
        "packbits unpackbits busday_count busday_offset is_busday datetime_as_string frexp ix_".split(),
        _INTEGERS,
    )
    | dict.fromkeys(("linalg.eig", "linalg.eigvals", "roots"), _EIGEN)
    | {
        "histogramdd": "it counts, and the edges of its bins depend on the data",
        "histogram2d": "it counts, and the edges of its bins depend on the data",
        "place": "it hands out the values one by one to the chosen places",
        "polydiv": "it drops leading zeros of the remainder by value",
        "asfarray": "it was removed from NumPy",
        "bmat": "it makes a np.matrix",
        "frombuffer": "it reads memory, where there is no gradient",
    }
)  # fmt: skip

#: NumPy's methods: name → the function that is called with the array as its first argument.
METHODS = {
    name: name
    for name in """
    all any argmax argmin argpartition argsort choose clip cumprod cumsum diagonal
    dot max mean min nonzero prod ptp put repeat round searchsorted squeeze std sum swapaxes take
    trace var
    """.split()
}

#: Methods that would give out the plain numbers, and why they are refused.
ESCAPES = dict.fromkeys(
    (
        "item",
        "tolist",
        "tobytes",
        "tofile",
        "dump",
        "dumps",
        "data",
        "ctypes",
        "byteswap",
        "view",
        "getfield",
    ),
    "the numbers would leave the trace as plain ones, and their gradient would silently be lost",
)
