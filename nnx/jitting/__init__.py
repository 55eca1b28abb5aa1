"""Functions of arrays recorded once and replayed: ``nnx.jit``.

A small training step is mostly Python: which rule, which trace, which namespace. The shapes never change, so
all of that has the same outcome each time. It is found out once:

1. **Recording** (``recorder``, ``recorded``, ``adapter``). The function runs on arrays of a library of their
   own, which lies over NumPy's: each call of a function, method or operator computes on the raw arrays and is
   written down. For transforms they are plain arrays, so what ``grad`` does is written down as well.
2. **The program** (``program``) is that list: numbered values, calls in order, which values share memory,
   which calls write. It can be printed.
3. **Passes** (``passes``) take out what has no influence on the bits: copies that shield from later writes,
   what does not depend on the arguments, factors of 1, a call made twice, results that nobody needs. Chains
   of entry-by-entry calls on large arrays become one (``joining``), and large results take the places of
   operands that are needed no more (``reusing``).
4. **Replay** (``replay``). The list becomes the text of a Python function, one line for each call.

nnx's own functions are recorded where they are called over and over (``replayed``); one whose second part may
be asked for later is cut in two (``halves``). Derivatives of users' functions are, where a look at their code
(``effects``) finds nothing against it (``guarded``).

What a recording cannot see is an error, or makes a new one (``surroundings``): never a number of yesterday.
"""

from nnx import autodiff  # noqa: F401 (whole rooms first)
from nnx.jitting.adapter import recorded_over
from nnx.jitting.guarded import Guarded, Kept, Watch, summary
from nnx.jitting.halves import Halved
from nnx.jitting.passes import shortened
from nnx.jitting.program import Program
from nnx.jitting.recorder import Clock, Recorder, recording
from nnx.jitting.replay import compiled
from nnx.jitting.replayed import BEFORE, Plan, Replayed, told
from nnx.jitting.transform import jit

__all__ = [
    "BEFORE",
    "Clock",
    "Guarded",
    "Halved",
    "Kept",
    "Plan",
    "Program",
    "Recorder",
    "Replayed",
    "Watch",
    "compiled",
    "jit",
    "recorded_over",
    "recording",
    "shortened",
    "summary",
    "told",
]
