"""The derivative rules, by family of functions."""
