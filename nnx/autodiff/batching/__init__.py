"""Functions of one sample on all samples at once: batched arrays, as an array library of their own.

A batched array holds n arrays along the first axis and has the shape of one. Its library (:mod:`.adapter`)
has the functions of the standard, each by a rule that says how the first axis goes through it (:mod:`.rules`,
:mod:`.matrices`, :mod:`.indexing`). So whatever runs on plain arrays runs on batched ones: the differentiable
namespace lies over this library as over any other, and derivatives inside a map need nothing of their own.
The rules compute with the functions of what lies below, which may be a derivative or a map again: so
derivatives of a map and maps of maps need nothing either.
"""
