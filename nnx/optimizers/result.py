"""What a minimisation returns: SciPy's fields."""

from __future__ import annotations

from typing import Any


class OptimizeResult(dict[str, Any]):
    """The result of a minimisation: a dict whose entries are attributes as well, as in SciPy.

    ==============  ================================================================================
    ``x``           the best point, in the form of ``x0``
    ``fun``         the cost there (a float); from ``least_squares`` the vector of residuals
    ``jac``         the gradient there, in the form of ``x0``; from ``least_squares`` the Jacobian (m × n)
    ``optimality``  max-norm of the projected gradient: a component that points out of the box at an active
                    bound does not count
    ``success``     whether the rule that ended the run means a minimum
    ``status``      the code of that rule, see ``nnx.optimizers.REASONS``
    ``message``     that rule in words
    ``nit``         iterations
    ``nfev``        values, ``njev`` gradients (or Jacobians), ``nhev`` Hessians and products with them
    ==============  ================================================================================

    >>> nnx.optimizers.OptimizeResult(x=1.0, nit=3).nit
    3
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"This result has no '{name}'; it has {', '.join(self)}.") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{name:>{width}}: {value!r}" for name, value in self.items())
