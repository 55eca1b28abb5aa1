"""The generated scripts: all that is recorded from nnx, as the object ``nnxLive`` of the pages."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from functools import cache
from typing import Any

from docs_build.live import activations, functions, javascript, rules
from nnx.optimizers import registry
from nnx.options import Number

_HEAD = "// Written from nnx's recordings when the site was built; see docs_build/live.\n"


@cache
def race_script() -> str:
    """The optimizers and the functions of the race."""
    parts = [_HEAD, '"use strict";\n(() => {\n', javascript.PRELUDE]
    parts += ["const live = (globalThis.nnxLive ??= {});\n"]
    parts += ["live.rules = {\n", *map(_rule, rules.rules()), "};\n"]
    parts += ["live.landscapes = {\n", *map(_landscape, functions.LANDSCAPES), "};\n"]
    return "".join([*parts, "})();\n"])


@cache
def activations_script() -> str:
    """The activations and their derivatives."""
    parts = [_HEAD, '"use strict";\n(globalThis.nnxLive ??= {}).activations = {\n']
    return "".join([*parts, *map(_curve, activations.curves()), "};\n"])


def _rule(rule: rules.Rule) -> str:
    start = javascript.body(rules.start(rule.method), n="w.length")
    step = javascript.body(rules.step(rule.method), n="s.w.length")
    text = "\n".join(start + step)
    options = {name: _option(rule.method, name) for name in rules.option_names(rule.method)}
    facts = {
        "label": rule.label,
        "formula": _formula(rule),
        "options": {name: option for name, option in options.items() if f"o.{name}" in text},
    }
    return _entry(rule.key, facts, {"start(w, o)": start, "step(s, o, f)": step})


def _formula(rule: rules.Rule) -> str:
    return next(e for e in registry if e.target is type(rule.method)).traits.formula


def _option(method: Any, name: str) -> dict[str, float]:
    """An option's value, and its bounds where it has some."""
    check = next(f for f in fields(method) if f.name == name).metadata.get("check")
    found = {"value": getattr(method, name)}
    if isinstance(check, Number):
        limits = {"min": max(check.least, check.above), "max": min(check.most, check.below)}
        found |= {side: limit for side, limit in limits.items() if abs(limit) < float("inf")}
    return found


def _landscape(landscape: functions.Landscape) -> str:
    facts = {
        "label": landscape.label, "formula": landscape.formula, "window": landscape.window,
        "start": landscape.start, "goals": landscape.goals, "goal": landscape.goal, "rate": landscape.rate,
    }  # fmt: skip
    value = javascript.body(functions.value(landscape), "number")
    gradient = javascript.body(functions.gradient(landscape), "array")
    return _entry(landscape.key, facts, {"value(w)": value, "gradient(w)": gradient})


def _curve(curve: activations.Curve) -> str:
    facts = {"use": curve.use, "range": curve.range}
    value, slope = (javascript.body(block, "number") for block in (curve.value, curve.slope))
    return _entry(curve.key, facts, {"value(x)": value, "slope(x)": slope})


def _entry(key: str, facts: dict[str, Any], methods: dict[str, Iterable[str]]) -> str:
    lines = [f"{name}: {json.dumps(fact, ensure_ascii=False)}," for name, fact in facts.items()]
    for head, body in methods.items():
        lines += [f"{head} {{", *(f"  {line}" for line in body), "},"]
    return f"{key}: {{\n" + "".join(f"  {line}\n" for line in lines) + "},\n"
