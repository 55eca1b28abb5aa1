"""Recorded paths written out as JavaScript functions of numbers and Float64Arrays."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from docs_build.live.paths import MENTIONED, Block, Fork, Refusal, Results
from docs_build.live.tape import CALLS, INPUTS, REDUCTIONS

#: What JavaScript has for each operation; ``n`` is the length of the vectors, ``f`` the problem.
FORMS = {
    "negative": "-{0}", "sqrt": "Math.sqrt({0})", "abs": "Math.abs({0})", "sign": "Math.sign({0})",
    "exp": "Math.exp({0})", "expm1": "Math.expm1({0})", "log": "Math.log({0})", "log1p": "Math.log1p({0})",
    "tanh": "Math.tanh({0})", "hypot": "Math.hypot({0}, {1})",
    "add": "{0} + {1}", "subtract": "{0} - {1}", "multiply": "{0} * {1}", "divide": "{0} / {1}",
    "pow": "power({0}, {1})", "maximum": "Math.max({0}, {1})", "minimum": "Math.min({0}, {1})",
    "greater": "{0} > {1}", "greater_equal": "{0} >= {1}", "less": "{0} < {1}", "less_equal": "{0} <= {1}",
    "equal": "{0} === {1}", "not_equal": "{0} !== {1}",
    "logical_and": "{0} && {1}", "logical_or": "{0} || {1}", "logical_not": "!{0}",
    "isnan": "Number.isNaN({0})", "isinf": "Math.abs({0}) === Infinity", "isfinite": "Number.isFinite({0})",
    "where": "{0} ? {1} : {2}",
    "sum": "sum({0})", "mean": "sum({0}) / n", "value": "f.value({0})", "gradient": "f.gradient({0})",
}  # fmt: skip
#: Powers that NumPy computes without its general power; so does the JavaScript.
_POWERS: dict[Any, str] = {2.0: "{0} * {0}", 1.0: "{0}", 0.5: "Math.sqrt({0})", -1.0: "1 / {0}"}

#: What the forms above need. Where the exponent is a whole number (β₁ᵗ), a power is computed in twice the
#: precision and rounded once, as C libraries do (in effect); ``**`` of JavaScript may be off by the last bit,
#: and a path that is sensitive to its start would in the end be another.
PRELUDE = """\
const sum = (x) => { let s = 0; for (const e of x) s += e; return s; };
const filled = (n, x) => new Float64Array(n).fill(x);
const times = ([a, b], [c, d]) => {  // the product of two numbers with 106 bits: T. J. Dekker, 1971
  const p = a * c, s = 134217729 * a, t = 134217729 * c;
  const a1 = s - (s - a), c1 = t - (t - c), a2 = a - a1, c2 = c - c1;
  const e = ((a1 * c1 - p) + a1 * c2 + a2 * c1) + a2 * c2 + (a * d + b * c), hi = p + e;
  return [hi, e - (hi - p)];
};
const power = (x, n) => {
  if (!(Number.isInteger(n) && n >= 0 && n <= 1e9 && Math.abs(x) <= 1)) return x ** n;
  let result = [1, 0], square = [x, 0];
  for (; n; n = Math.floor(n / 2)) {
    if (n % 2) result = times(result, square);
    square = times(square, square);
  }
  return result[0];
};
"""


def number(x: float | bool) -> str:
    """``x`` as JavaScript writes it."""
    if isinstance(x, bool):
        return "true" if x else "false"
    if math.isnan(x) or math.isinf(x):
        return "NaN" if math.isnan(x) else "Infinity" if x > 0 else "(-Infinity)"
    text = repr(int(x)) if x == int(x) and abs(x) < 1e15 else repr(x)
    return f"({text})" if text.startswith("-") else text


def body(block: Block, results: str = "object", n: str = "") -> list[str]:
    """The lines of a function that runs ``block``.

    ``results`` says what it returns: an ``"object"`` with the results by name, one ``"number"``, or an
    ``"array"`` of numbers. ``n`` is the text of the vectors' length.
    """
    return list(_Writer(block, results, n).lines())


class _Writer:
    """One function: which values are needed, where each is computed, and the text of each."""

    def __init__(self, block: Block, results: str, n: str) -> None:
        self.block, self.results, self.n = block, results, n
        self.steps: dict[int, tuple[str, tuple[Any, ...]]] = {}
        self.place: dict[int, tuple[int, ...]] = {}  # scalars: the block; vectors: block and loop in it
        self.vectors: set[int] = set()
        self._survey(block, (0,))
        self.uses, self.kept = self._uses()
        self.text: dict[int, str] = {}

    # -- where things are -----------------------------------------------------------------------------

    def _survey(self, block: Block, path: tuple[int, ...]) -> None:
        loop = 0
        for value, name, operands in block.steps:
            self.steps[value] = (name, operands)
            if name in REDUCTIONS or name in CALLS:
                loop += 1  # it needs whole vectors: the loop before it is closed
            takes = name not in INPUTS | REDUCTIONS | {"value"}
            if name == "vector" or (takes and any(x in self.vectors for x in operands)):
                self.vectors.add(value)
            self.place[value] = (*path, loop) if value in self.vectors else path
        if isinstance(block.end, Fork):
            self._survey(block.end.yes, (*path, -1))
            self._survey(block.end.no, (*path, -2))

    def _uses(self) -> tuple[Counter[int], set[int]]:
        """How often each value is used, and which vectors must be kept as arrays."""
        uses: Counter[int] = Counter()
        kept: set[int] = set()
        wanted = list(self._ends(self.block, kept))
        uses.update(wanted)
        todo, seen = wanted, set()
        while todo:
            value = todo.pop()
            if value in seen:
                continue
            seen.add(value)
            name, operands = self.steps[value]
            if name in INPUTS:
                continue
            if name == "pow" and self._exponent(operands) == 2.0:
                uses[operands[0]] += 1  # it is written as a product
            for x in operands:
                uses[x] += 1
                todo.append(x)
                whole = name in REDUCTIONS or name in CALLS
                elsewhere = self.place[x] != self.place[value]
                if x in self.vectors and (whole or elsewhere):
                    kept.add(x)
                elif elsewhere:
                    uses[x] += 1  # a number that is used elsewhere has a name too
        return uses, kept

    def _ends(self, block: Block, kept: set[int]) -> Iterator[int]:
        end = block.end
        if isinstance(end, Fork):
            yield end.condition
            yield from self._ends(end.yes, kept)
            yield from self._ends(end.no, kept)
        elif isinstance(end, Refusal):
            yield from (int(value) for value in MENTIONED.findall(end.message))
        else:
            kept.update(v for v, is_vector in end.values.values() if is_vector and v in self.vectors)
            for value, _ in end.values.values():
                yield value

    # -- text -----------------------------------------------------------------------------------------

    def lines(self) -> Iterator[str]:
        if self.n:
            yield f"const n = {self.n};"
        yield from self._block(self.block)

    def _block(self, block: Block) -> Iterator[str]:
        yield from self._steps(block)
        yield from self._end(block.end)

    def _steps(self, block: Block) -> Iterator[str]:
        loop: list[str] = []
        arrays: list[str] = []

        def close() -> Iterator[str]:
            if arrays:
                yield "const " + ", ".join(f"{name} = new Float64Array(n)" for name in arrays) + ";"
            if loop:
                yield "for (let i = 0; i < n; i++) {"
                yield from (f"  {line}" for line in loop)
                yield "}"
            loop.clear()
            arrays.clear()

        for value, name, operands in block.steps:
            if not self.uses[value]:
                continue
            if name in REDUCTIONS or name in CALLS:
                yield from close()
                self.text[value] = f"v{value}"
                yield f"const v{value} = {FORMS[name].format(self._whole(operands[0]))};"
                if value in self.vectors:
                    self.text[value] = f"v{value}[i]"
                continue
            text = self._expression(name, operands)
            if name in INPUTS:
                self.text[value] = text
            elif value in self.kept:
                arrays.append(f"v{value}")
                loop.append(f"v{value}[i] = {text};")
                self.text[value] = f"v{value}[i]"
            elif self.uses[value] == 1:
                is_call = FORMS[name].startswith(("Math.", "Number.")) and FORMS[name].endswith(")")
                self.text[value] = text if is_call else f"({text})"
            elif value in self.vectors:
                loop.append(f"const e{value} = {text};")
                self.text[value] = f"e{value}"
            else:
                yield f"const v{value} = {text};"
                self.text[value] = f"v{value}"
        yield from close()

    def _expression(self, name: str, operands: Sequence[Any]) -> str:
        if name == "constant":
            return number(operands[0])
        if name in INPUTS:
            return operands[0]
        form = FORMS[name]
        if name == "pow":
            form = _POWERS.get(self._exponent(operands), form)
        given = [self.text[x] for x in operands]
        return form.format(*(map(_bare, given) if form.endswith(")") else given))

    def _exponent(self, operands: Sequence[Any]) -> Any:
        """The exponent of a power, if it is constant."""
        name, given = self.steps[operands[1]]
        return given[0] if name == "constant" else None

    def _whole(self, value: int) -> str:
        """The text of a whole vector."""
        text = self.text[value]
        return text.removesuffix("[i]") if value in self.vectors else text

    def _end(self, end: Results | Fork | Refusal) -> Iterator[str]:
        if isinstance(end, Refusal):
            message = json.dumps(end.message, ensure_ascii=False)[1:-1].replace("`", "'")
            message = MENTIONED.sub(lambda found: f"${{{self.text[int(found[1])]}}}", message)
            yield f"throw new RangeError(`{message}`);"
        elif isinstance(end, Results):
            yield f"return {self._returned(end)};"
        elif isinstance(end.no.end, Refusal) and not end.no.steps:
            yield from self._refusing(end, end.no.end)
        else:
            yield f"if ({self._condition(end)}) {{"
            yield from (f"  {line}" for line in self._block(end.yes))
            yield "}"
            yield from self._block(end.no)

    def _refusing(self, end: Fork, refusal: Refusal) -> Iterator[str]:
        """What is refused comes first. Neighbours with the same message are one condition."""
        conditions = [self._condition(end)]
        following = list(self._steps(end.yes))
        while not following and isinstance(end.yes.end, Fork) and end.yes.end.no.end == refusal:
            end = end.yes.end
            conditions.append(self._condition(end))
            following = list(self._steps(end.yes))
        yield f"if (!({' && '.join(conditions)})) {{"
        yield from (f"  {line}" for line in self._end(refusal))
        yield "}"
        yield from following
        yield from self._end(end.yes.end)

    def _condition(self, end: Fork) -> str:
        return _bare(self.text[end.condition])

    def _returned(self, end: Results) -> str:
        if self.results == "number":
            ((value, _),) = end.values.values()
            return _bare(self.text[value])
        if self.results == "array":
            return f"Float64Array.of({', '.join(_bare(self.text[v]) for v, _ in end.values.values())})"
        parts = []
        for name, (value, is_vector) in end.values.items():
            text = self.text[value]
            if is_vector:
                text = self._whole(value) if value in self.vectors else f"filled(n, {text})"
            parts.append(f"{name}: {_bare(text)}")
        return "{" + ", ".join(parts) + "}"


def _bare(text: str) -> str:
    """``text`` without the parentheses around all of it."""
    depth = 0
    for i, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if not depth:
            return text[1:-1] if i and i == len(text) - 1 and text[0] == "(" else text
    return text
