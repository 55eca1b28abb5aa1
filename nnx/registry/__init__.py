"""Room 0: names for things, and things in files.

``entries`` what is registered, and a registered function with its options; ``registry`` things by name;
``configs`` things as JSON and back; ``naming`` how names are made; ``frozen`` errors of assignments.
"""

from nnx import options  # noqa: F401 (whole rooms first)
from nnx.registry.configs import from_config, to_config
from nnx.registry.entries import Choice, Entry, Traits
from nnx.registry.naming import snake_case, unique_name
from nnx.registry.registry import Registry

__all__ = ["Choice", "Entry", "Registry", "Traits", "from_config", "snake_case", "to_config", "unique_name"]
