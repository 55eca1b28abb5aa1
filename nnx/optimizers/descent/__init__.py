"""Deterministic methods for any function: a direction and a line search, or a trust region."""
