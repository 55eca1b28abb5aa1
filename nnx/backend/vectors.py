"""Numbers side by side in a processor's register, for loops that Numba compiles.

LLVM makes vector instructions of a loop only where it can tell that what is written is not read, and a loop
that reads and writes sixteen rows at a time is beyond it. Here the vectors are said: ``load`` takes 64 bytes
of numbers from an address in memory on, ``store`` puts them there, and ``+``, ``-`` and ``*`` between the two
work on all of them; ``between`` cuts them off, ``where_most`` and ``where_same`` choose among them.

Addresses, not arrays: then one compiled loop serves arrays of all layouts, read-only ones as well. Who calls
such a loop keeps the arrays alive, and answers for their bounds. Imported only where Numba is installed.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.extending import models, register_model
from numba.extending import intrinsic, overload

#: bytes of a vector
BYTES = 64


class Vector(types.Type):  # type: ignore[misc]  # Numba has no types
    """As many numbers of a type as are worked on at a time."""

    def __init__(self, element: Any) -> None:
        self.element = element
        super().__init__(name=f"Vector({element})")

    @property
    def form(self) -> ir.VectorType:
        """LLVM's type of it."""
        number = ir.FloatType() if self.element == types.float32 else ir.DoubleType()
        return ir.VectorType(number, BYTES * 8 // self.element.bitwidth)


@register_model(Vector)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, vector: Vector) -> None:
        super().__init__(manager, vector, vector.form)


def _pointer(builder: Any, vector: Vector, address: Any) -> Any:
    return builder.inttoptr(address, vector.form.as_pointer())


@intrinsic
def load(typingctx: Any, address: Any, like: Any) -> Any:
    """The vector of numbers of ``like``'s type that begins at an address."""
    vector = Vector(like)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_pointer(builder, vector, args[0]), align=like.bitwidth // 8)

    return vector(types.intp, like), codegen


@intrinsic
def store(typingctx: Any, address: Any, vector: Any) -> Any:
    """Puts a vector into memory, from an address on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _pointer(builder, vector, args[0])
        builder.store(args[1], place, align=vector.element.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(types.intp, vector), codegen


def _operation(sign: Any, name: str) -> None:
    @intrinsic
    def lanewise(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, name)(*args, flags=("contract",))

        return a(a, a), codegen

    @overload(sign)
    def of_vectors(a: Any, b: Any) -> Any:
        def apply(a: Any, b: Any) -> Any:
            return lanewise(a, b)

        return apply if isinstance(a, Vector) and a == b else None


_operation(operator.add, "fadd")
_operation(operator.sub, "fsub")
_operation(operator.mul, "fmul")


def _everywhere(builder: Any, number: Any, form: ir.VectorType) -> Any:
    """A vector of one number."""
    one = builder.insert_element(ir.Constant(form, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), form.count), None)
    return builder.shuffle_vector(one, ir.Constant(form, ir.Undefined), zeros)


@intrinsic
def between(typingctx: Any, u: Any, least: Any, most: Any) -> Any:
    """The numbers of u; ``least`` where they are below that, ``most`` where they are above; NaN stays."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        form = signature.return_type.form
        u, least, most = args[0], *(_everywhere(builder, bound, form) for bound in args[1:])
        u = builder.select(builder.fcmp_ordered("<", u, least), least, u)
        return builder.select(builder.fcmp_ordered(">", u, most), most, u)

    return u(u, u.element, u.element), codegen


@intrinsic
def where_most(typingctx: Any, u: Any, most: Any, number: Any, other: Any) -> Any:
    """``number`` where u is ``most`` or NaN, and ``other`` elsewhere."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        u, most, number, other = args
        is_it = builder.or_(builder.fcmp_ordered("==", u, most), builder.fcmp_unordered("uno", u, u))
        return builder.select(is_it, _everywhere(builder, number, signature.return_type.form), other)

    return u(u, most, u.element, other), codegen


@intrinsic
def where_same(typingctx: Any, numbers: Any, number: Any, given: Any) -> Any:
    """``given`` where the numbers are ``number``, and 0 elsewhere."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        numbers, number, given = args
        form = signature.return_type.form
        same = builder.fcmp_ordered("==", numbers, _everywhere(builder, number, form))
        return builder.select(same, given, ir.Constant(form, None))

    return given(numbers, given.element, given), codegen
