"""The levels of the transforms: an inner one has a higher level than those around it."""

from itertools import count

levels = count()
