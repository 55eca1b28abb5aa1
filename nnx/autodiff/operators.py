"""Python's operators on traced and batched arrays: each is a function of the differentiable namespace."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any


class Operators:
    """Base of traced and batched arrays, with operators; ``space`` is the differentiable namespace."""

    __slots__ = ()

    space: Any
    device: Any
    ndim: Any
    shape: Any

    def __neg__(self) -> Any:
        return self.space.op_neg(self)

    def __pos__(self) -> Any:
        return self.space.positive(self)

    def __abs__(self) -> Any:
        return self.space.abs(self)

    def __add__(self, other: Any) -> Any:
        return self.space.op_add(self, other)

    def __radd__(self, other: Any) -> Any:
        return self.space.op_add(other, self)

    def __sub__(self, other: Any) -> Any:
        return self.space.op_sub(self, other)

    def __rsub__(self, other: Any) -> Any:
        return self.space.op_sub(other, self)

    def __mul__(self, other: Any) -> Any:
        return self.space.op_mul(self, other)

    def __rmul__(self, other: Any) -> Any:
        return self.space.op_mul(other, self)

    def __truediv__(self, other: Any) -> Any:
        return self.space.op_truediv(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.space.op_truediv(other, self)

    def __pow__(self, other: Any) -> Any:
        return self.space.op_pow(self, _operand(other, self))

    def __rpow__(self, other: Any) -> Any:
        return self.space.op_pow(_operand(other, self), self)

    def __mod__(self, other: Any) -> Any:
        return self.space.op_mod(self, other)

    def __rmod__(self, other: Any) -> Any:
        return self.space.op_mod(other, self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __floordiv__(self, other: Any) -> Any:
        return self.space.op_floordiv(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self.space.op_floordiv(other, self)

    def __matmul__(self, other: Any) -> Any:
        return self.space.op_matmul(self, _operand(other, self))

    def __rmatmul__(self, other: Any) -> Any:
        return self.space.op_matmul(_operand(other, self), self)

    # -- comparisons and bits are constants ---------------------------------------------------------

    def __eq__(self, other: object) -> Any:
        return self.space.op_eq(self, other)

    def __ne__(self, other: object) -> Any:
        return self.space.op_ne(self, other)

    def __lt__(self, other: Any) -> Any:
        return self.space.op_lt(self, other)

    def __le__(self, other: Any) -> Any:
        return self.space.op_le(self, other)

    def __gt__(self, other: Any) -> Any:
        return self.space.op_gt(self, other)

    def __ge__(self, other: Any) -> Any:
        return self.space.op_ge(self, other)

    def __invert__(self) -> Any:
        return self.space.op_invert(self)

    __hash__ = None  # type: ignore[assignment]

    # -- what an array is by its shape ------------------------------------------------------------

    @property
    def T(self) -> Any:  # noqa: N802 (the standard's name)
        """The transpose of a matrix, (m, n) from (n, m); as a NumPy array with all axes reversed.

        Else raises ``ValueError``.
        """
        if self.ndim != 2:
            if self.space.speaks_numpy:
                return self.space.permute_dims(self, tuple(reversed(range(self.ndim))))
            raise ValueError(f"x.T needs a matrix, got {self.ndim} dimensions; use x.mT or permute_dims.")
        return self.space.matrix_transpose(self)

    @property
    def mT(self) -> Any:  # noqa: N802 (the standard's name)
        """Its last two axes swapped: (..., m, n) from (..., n, m)."""
        return self.space.matrix_transpose(self)

    def to_device(self, device: Any, /, *, stream: Any = None) -> Any:
        """A copy on another device, through which derivatives go on."""
        return self.space.to_device(self, device)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without dimensions.")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        array: Any = self
        return (array[i] for i in range(len(self)))


def _in_place(name: str) -> None:
    """Gives traced arrays the arithmetic operator ``name`` in place: the content is replaced."""
    operation = getattr(operator, name)

    def in_place(self: Operators, other: Any) -> Any:
        return self.space.update(self, operation(self, other))

    in_place.__name__ = f"__i{name}__"
    in_place.__qualname__ = f"Operators.{in_place.__name__}"
    setattr(Operators, in_place.__name__, in_place)


for _name in ("add", "sub", "mul", "truediv", "pow", "mod", "floordiv", "matmul"):
    _in_place(_name)


def _bitwise(name: str) -> None:
    """Gives traced arrays the operator ``name`` of integers and booleans, whose result is a constant."""
    operation = f"op_{name}"

    def forward(self: Operators, other: Any) -> Any:
        return getattr(self.space, operation)(self, other)

    def reflected(self: Operators, other: Any) -> Any:
        return getattr(self.space, operation)(other, self)

    def in_place(self: Operators, other: Any) -> Any:
        return self.space.update(self, getattr(self.space, operation)(self, other))

    for prefix, method in (("", forward), ("r", reflected), ("i", in_place)):
        method.__name__ = f"__{prefix}{name}__"
        method.__qualname__ = f"Operators.{method.__name__}"
        setattr(Operators, method.__name__, method)


for _name in ("and", "or", "xor", "lshift", "rshift"):
    _bitwise(_name)


def _operand(other: Any, like: Operators) -> Any:
    """A list or tuple, which NumPy takes as an operand, as an array: some rules need its entries."""
    return like.space.asarray(other, device=like.device) if type(other) in (list, tuple) else other
