"""Room 0: the array libraries. The only place that knows them by name."""

from nnx.backend.arrays import (
    adapter_of,
    asarray,
    device_of,
    given,
    namespace,
    need_real,
    register_carrier,
    register_traced,
    summed,
    to_numpy,
)
from nnx.backend.philox import Stream
from nnx.backend.reference import Adapter
from nnx.backend.seeds import next_seed, set_seed
from nnx.backend.selection import (
    Backend,
    available_backends,
    default_dtype,
    get_backend,
    make_backend,
    set_backend,
    synchronize,
    use_backend,
)
from nnx.backend.special import SpecialFunctions
from nnx.backend.versions import show_versions

__all__ = [
    "Adapter",
    "Backend",
    "SpecialFunctions",
    "Stream",
    "adapter_of",
    "asarray",
    "available_backends",
    "default_dtype",
    "device_of",
    "get_backend",
    "given",
    "make_backend",
    "namespace",
    "need_real",
    "next_seed",
    "register_carrier",
    "register_traced",
    "set_backend",
    "set_seed",
    "show_versions",
    "summed",
    "synchronize",
    "to_numpy",
    "use_backend",
]
