"""What a minimisation returns: SciPy's fields."""

from __future__ import annotations

from typing import Any


class OptimizeResult(dict[str, Any]):
    """The result of a minimisation: a dict whose entries are attributes as well, as in SciPy.

    ===============  ===============================================================================
    ``x``            the best point, in the form of ``x0`` (of a number: a vector of one)
    ``fun``          the cost there (a float); from ``least_squares`` the vector of residuals
    ``cost``         from ``least_squares``: ½ Σ fun²
    ``jac``          the gradient there, in the form of ``x0``; from ``least_squares`` the Jacobian (m × n)
    ``grad``         from ``least_squares``: the gradient of the cost, in the form of ``x0``
    ``optimality``   max-norm of the projected gradient: a component that points out of the box at an active
                     bound does not count
    ``active_mask``  from ``least_squares``, in the form of ``x0``: −1 at a lower bound, 1 at an upper one,
                     else 0
    ``hess_inv``     from BFGS and DFP the inverse Hessian that they have learned, n × n; from L-BFGS an
                     operator (:class:`nnx.optimizers.descent.inverse_hessian.InverseHessian`: ``@``,
                     ``todense()``)
    ``success``      whether the rule that ended the run means a minimum
    ``status``       SciPy's code of that rule, see below
    ``message``      that rule in words
    ``nit``          iterations; one that a limit cuts short does not count
    ``nfev``         calls of the function; in ``least_squares`` without those for its Jacobian, as in SciPy
    ``njev``         gradients (or Jacobians); ``nhev`` Hessians and products with them
    ``recorded``     which derivatives were recorded and replayed (docs/recorded_programs.md), and why others
                     were not, in words; empty where the run was too short
    ===============  ===============================================================================

    Where ``minimize`` differentiates the function, a gradient takes one call of it, which counts in ``nfev``
    and ``njev``, and so does a product with the Hessian (``nfev``, ``nhev``; with a given ``jac`` one call of
    that). Where ``maxfev`` leaves no call for the gradient at the best point (by differences it takes n),
    ``jac`` and ``optimality`` are NaN.

    The codes that a :class:`nnx.optimizers.Stop` has in ``fit`` (:data:`nnx.optimizers.REASONS`) become
    SciPy's:

    =======================================================  ============  =================
    why it ended                                             ``minimize``  ``least_squares``
    =======================================================  ============  =================
    success: the gradient is small                                0               1
    success: the cost no longer falls, or cannot                  0               2
    success: the variables no longer move                         0               3
    success: the cost has reached ``goal``                        0               5
    a limit: iterations, evaluations, time                        1               0
    no lower cost can be found, but this is no minimum            2              −3
    not finite, or squares over- or underflow                     3              −1
    the callback asked for it                                    99              −2
    =======================================================  ============  =================

    So ``status`` of ``least_squares`` is above 0, and that of ``minimize`` is 0, exactly where ``success`` is
    True. SciPy's 4 of ``least_squares`` (2 and 3 at once) is told as the one that was found first; 5 and −3
    are not SciPy's.

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
