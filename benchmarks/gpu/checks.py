"""A check, how it is run, and what it tells: one line of JSON for each thing that happens.

A section is a module with ``checks(machine)``, in order of worth. Each check runs in its own ``try``. It runs
twice, because CuPy compiles a kernel for each operation and data type when it is first used: what the first
run takes longer is counted as warm-up.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from machine import Machine

ROOT = Path(__file__).resolve().parents[2]
#: Exit status of a section's process whose device answers no more: what follows needs a new process.
DEVICE_LOST = 3
_FRAMES, _CHARACTERS = 5, 2000


class Skip(Exception):
    """A check that cannot be made here; the message says why."""


class Differs(AssertionError):
    """A result that is not NumPy's; the message says all, and where it was found nothing."""


@dataclass
class Found:
    """What a check found out: a figure in words, and rows for a table of the section."""

    says: str
    table: list[tuple[Any, ...]] = field(default_factory=list)
    warmup: float = 0.0


@dataclass(frozen=True)
class Check:
    """``run(machine)`` says what it found, or raises."""

    name: str
    run: Callable[[Machine], str | Found]
    #: False for a check that warms up by itself and measures
    twice: bool = True


def against_numpy(
    name: str, compute: Callable[[Any], Any], rtol: float = 0.0, atol: float = 0.0, twice: bool = True
) -> Check:
    """Whether ``compute(backend)`` gives what it gives on NumPy: |a − b| ≤ atol + rtol·|b|, entry by entry.

    The result may be nested (tuples, lists, dicts) of arrays, numbers and None. With a relative tolerance,
    ``atol`` is there for entries near 0, where rounding is relative to what was added up.
    """

    def run(machine: Machine) -> str:
        from nnx.backend import make_backend

        expected = dict(_leaves(compute(make_backend("numpy"))))
        found = dict(_leaves(compute(machine.backend)))
        if expected.keys() != found.keys():
            raise Differs(f"{sorted(found)} instead of {sorted(expected)}")
        worst = max((_compare(k, found[k], b, rtol, atol) for k, b in expected.items()), default=0.0)
        return "bit for bit" if not (rtol or atol) else f"{worst:.1e} of what is allowed ({rtol:g}, {atol:g})"

    return Check(name, run, twice)


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        tree = tree.items()
    elif isinstance(tree, tuple | list):
        tree = enumerate(tree)
    else:
        import nnx

        yield path or "result", None if tree is None else np.asarray(nnx.to_numpy(tree))
        return
    for key, value in tree:
        yield from _leaves(value, f"{path}[{key}]")


def _compare(what: str, found: Any, expected: Any, rtol: float, atol: float) -> float:
    """The largest difference in units of what is allowed; raises above 1, and where the kinds differ."""
    if found is None or expected is None:
        if found is not expected:
            raise Differs(f"{what}: {found} instead of {expected}")
        return 0.0
    kinds = [(x.shape, x.dtype) for x in (found, expected)]
    if kinds[0] != kinds[1]:
        raise Differs(f"{what}: {kinds[0]} instead of {kinds[1]}")
    same = (found == expected) | ((found != found) & (expected != expected))
    if same.all():
        return 0.0
    a, b = found[~same].astype(np.float64), expected[~same].astype(np.float64)
    with np.errstate(all="ignore"):
        distance = np.abs(a - b) / (atol + rtol * np.abs(b))
    worst = float(np.max(np.where(np.isnan(distance), np.inf, distance)))
    if worst > 1.0:
        k = int(np.argmax(np.where(np.isnan(distance), np.inf, distance)))
        raise Differs(
            f"{what}: {np.count_nonzero(distance > 1)} of {found.size} entries differ by more than "
            f"{rtol:g} relative and {atol:g}; the worst is {a[k]:.9g} instead of {b[k]:.9g}"
        )
    return worst


def run_all(checks: Iterable[Check], machine: Machine, after: str | None, seconds: float) -> int:
    """Runs the checks that come after the one named ``after``; gives the exit status of the process."""
    until = time.perf_counter() + seconds
    waiting = after is not None
    for check in checks:
        if waiting:
            waiting = check.name != after
            continue
        if time.perf_counter() > until:
            tell(check=check.name, state="not run", says="its section's time was up")
            continue
        tell(begin=check.name)
        try:
            tell(check=check.name, state="passed", **_run(check, machine))
        except Skip as reason:
            tell(check=check.name, state="not run", says=str(reason))
        except Exception as error:
            tell(check=check.name, state="failed", says=_headline(error), trace=_short(error))
            if not _answers(machine):
                return DEVICE_LOST
    tell(end=True)
    return 0


def _run(check: Check, machine: Machine) -> dict[str, Any]:
    times, found = [], Found("")
    for _ in range(1 if machine.rehearsal or not check.twice else 2):
        began = time.perf_counter()
        result = check.run(machine)
        machine.synchronize()
        times.append(time.perf_counter() - began)
        found = result if isinstance(result, Found) else Found(result)
    warmup = found.warmup if len(times) == 1 else max(times[0] - times[1], 0.0)
    return {"says": found.says, "seconds": sum(times), "warmup": warmup, "table": found.table}


def _answers(machine: Machine) -> bool:
    """Whether the device still computes: after an illegal address, for example, all calls fail."""
    try:
        x = machine.backend.asarray(np.ones(3))
        return bool(machine.backend.adapter.to_numpy(x + x)[0] == 2.0)
    except Exception:
        return False


def _headline(error: BaseException) -> str:
    lines = f"{type(error).__name__}: {error}".strip().splitlines()
    return lines[0][:300]


def _short(error: BaseException) -> str:
    """The last frames, and both ends of a long message (a compiler's holds the whole source)."""
    if isinstance(error, Differs):
        return ""
    text = "".join(traceback.format_exception(error, limit=-_FRAMES)).replace(f"{ROOT}/", "")
    if len(text) > 2 * _CHARACTERS:
        text = f"{text[:_CHARACTERS]}\n[...]\n{text[-_CHARACTERS:]}"
    return text


def tell(**event: Any) -> None:
    """Tells the process that writes the report."""
    print(json.dumps(event, default=str), file=sys.__stdout__, flush=True)
