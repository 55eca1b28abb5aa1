"""The registry of functions that Lambda layers compute: with a name there, files can tell of them."""

from __future__ import annotations

from nnx.registry import Registry, Traits

registry = Registry("function", Traits, module="nnx.layers.functions")
register = registry.register
get = registry.get

__all__ = ["get", "register", "registry"]
