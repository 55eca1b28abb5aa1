"""HDF5 files as Keras writes them, read with care: only arrays of numbers that lie in the file itself.

Links out of the file, arrays kept in other files, arrays put together of others and filters that HDF5 would
load as a library are refused, and so are arrays that claim to be far larger than the file.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nnx.errors import FileFormatError, NnxError

#: filters that the HDF5 library or h5py itself holds: deflate, shuffle, checksum, szip, nbit, scale, LZF
_FILTERS = {1, 2, 3, 4, 5, 6, 32000}
#: an array may be this much larger than the whole file (compression), or this many bytes
_EXPANSION, _ALWAYS = 100, 2**26
#: more groups and arrays than any network has, deeper than any goes
_MOST_ITEMS, _DEEPEST = 200_000, 64
#: names and numbers of an attribute
_LONGEST_ATTRIBUTE = 1_000_000


def library() -> Any:
    """The module h5py; ImportError that says how to get it where it is missing."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "Keras' files are HDF5 files, which the library h5py reads and writes: pip install h5py "
            "(or pip install 'nnx[keras]')."
        ) from error
    return h5py


@contextmanager
def opened(source: Path | bytes, label: str) -> Iterator[Folder]:
    """The root of an HDF5 file, a path or its bytes; ``label`` is what messages call it."""
    h5py = library()
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    with _intact(label):
        file = h5py.File(io.BytesIO(source) if isinstance(source, bytes) else source, "r")
    with file:
        yield Folder(file, "", Budget(label, max(_ALWAYS, _EXPANSION * size)))


@contextmanager
def _intact(label: str) -> Iterator[None]:
    """Turns what h5py says of a damaged file into FileFormatError."""
    try:
        yield
    except NnxError:
        raise
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, MemoryError) as error:
        raise FileFormatError(f"{label} is no whole HDF5 file: {error}.") from error


class Budget:
    """How many bytes an HDF5 file may still claim to hold."""

    def __init__(self, label: str, left: int) -> None:
        self.label, self.left = label, left

    def take(self, n: int, path: str) -> None:
        """Counts ``n`` bytes; FileFormatError where the file cannot hold them."""
        self.left -= n
        if self.left < 0:
            raise FileFormatError(
                f"{self.label}: its arrays up to {path} claim to hold more than {_EXPANSION} times the "
                "size of the file. Nothing was read."
            )


class Folder:
    """A group of an HDF5 file."""

    def __init__(self, group: Any, path: str, budget: Budget) -> None:
        self._group, self.path, self.budget = group, path, budget

    def __contains__(self, name: str) -> bool:
        return name in self._group

    def names(self) -> list[str]:
        """The names of what lies in it, numbers in their order."""
        with _intact(self.budget.label):
            found = list(self._group)
        return sorted(found, key=lambda name: (name.isdecimal(), len(name) * name.isdecimal(), name))

    def folder(self, path: str) -> Folder | None:
        """The group at a path below; None where there is none."""
        here: Folder | None = self
        for part in path.split("/"):
            found = None if here is None else here._item(part)
            if found is None or not isinstance(found, library().Group):
                return None
            here = Folder(found, f"{here.path}/{part}".lstrip("/"), here.budget)  # type: ignore[union-attr]
        return here

    def array(self, path: str) -> Stored | None:
        """The array at a path below, not read yet; None where there is none."""
        above, _, name = path.rpartition("/")
        folder = self.folder(above) if above else self
        found = None if folder is None else folder._item(name)
        if folder is None or not isinstance(found, library().Dataset):
            return None
        return Stored(found, f"{folder.path}/{name}".lstrip("/"), self.budget)

    def arrays(self) -> Iterator[tuple[str, Stored]]:
        """Every array below with its path from here."""
        pending, seen = [("", self, 0)], 0
        while pending:
            path, folder, depth = pending.pop()
            below = []
            for name in folder.names():
                seen += 1
                if seen > _MOST_ITEMS or depth > _DEEPEST:
                    raise FileFormatError(f"{self.budget.label} holds more groups than any network has.")
                inner = f"{path}/{name}".lstrip("/")
                if (array := folder.array(name)) is not None:
                    yield inner, array
                elif (group := folder.folder(name)) is not None:
                    below.append((inner, group, depth + 1))
            pending.extend(reversed(below))

    def attribute(self, name: str) -> Any:
        """An attribute: a string, a list of strings, or None where there is none of these."""
        with _intact(self.budget.label):
            if name not in self._group.attrs:
                return None
            if math.prod(self._group.attrs.get_id(name).shape or (1,)) > _LONGEST_ATTRIBUTE:
                raise FileFormatError(f"{self.budget.label}: attribute {name} of '{self.path}' is too long.")
            value = self._group.attrs[name]
        if isinstance(value, np.ndarray):
            return [text for item in value.tolist() if (text := _text(item)) is not None]
        return _text(value)

    def _item(self, name: str) -> Any:
        """What lies in the group under a name; None where there is nothing."""
        if name in ("", ".", ".."):
            return None
        with _intact(self.budget.label):
            link = self._group.get(name, getlink=True)
            if link is not None and not isinstance(link, library().HardLink):
                raise FileFormatError(
                    f"{self.budget.label}: '{name}' in '{self.path}' is a {type(link).__name__}, no array in "
                    "the file. Keras writes none, and nnx follows none."
                )
            return None if link is None else self._group[name]


class Stored:
    """An array in an HDF5 file: its shape is known, its numbers are not read yet."""

    def __init__(self, dataset: Any, path: str, budget: Budget) -> None:
        self._dataset, self.path, self._budget = dataset, path, budget
        if dataset.shape is None:
            self._refuse("is empty")
        self.shape: tuple[int, ...] = tuple(map(int, dataset.shape))

    def read(self) -> Any:
        """The numbers, a NumPy array."""
        with _intact(self._budget.label):
            return self._numbers()

    def _numbers(self) -> Any:
        data = self._dataset
        if data.external:
            self._refuse("lies in another file")
        if data.is_virtual:
            self._refuse("is put together of arrays of other files")
        plan = data.id.get_create_plist()
        filters = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())}
        if filters - _FILTERS:
            self._refuse(f"needs the filters {sorted(filters - _FILTERS)}, which are no part of HDF5")
        bfloat16 = data.dtype.str[1:] == "V2" and data.attrs.get("dtype") == "bfloat16"
        if not (bfloat16 or data.dtype.kind in "fiu"):
            self._refuse(f"holds {data.dtype}, not numbers")
        self._budget.take(math.prod(self.shape) * data.dtype.itemsize, self.path)
        numbers = data[()]
        if bfloat16:  # the upper half of a float32
            numbers = (np.asarray(numbers).view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        return np.asarray(numbers)

    def _refuse(self, why: str) -> None:
        raise FileFormatError(f"{self._budget.label}: the array {self.path} {why}.")


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def written(arrays: Mapping[str, Any], names: Mapping[str, str]) -> bytes:
    """An HDF5 file of the arrays by their paths; ``names`` are the attributes ``name`` of groups.

    The same arrays give the same bytes.
    """
    h5py, memory = library(), io.BytesIO()
    with h5py.File(memory, "w") as file:
        for group, name in names.items():
            file.require_group(group).attrs["name"] = name
        for path, array in arrays.items():
            file.create_dataset(path, data=array, track_times=False)
    return memory.getvalue()


def strings(value: Any) -> Sequence[str]:
    """An attribute that is a list of strings."""
    return value if isinstance(value, list) else []
