"""Jacobians whose rows do not mix, all rows in one pass back over the tape."""

from nnx.autodiff.rowwise.jacobian import Mixed, RowTape, RowwiseJacobian

__all__ = ["Mixed", "RowTape", "RowwiseJacobian"]
