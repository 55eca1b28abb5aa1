"""A line on the screen that moves: drawn by tqdm, and not more often than eyes can follow."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from typing import Any

from nnx.callbacks.base import say

#: seconds between two pictures
REFRESH = 0.1
_FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
#: modules that are there where cells of a notebook are run
_NOTEBOOKS = ("ipykernel.zmqshell", "IPython.utils._process_emscripten")


def can_be_redrawn() -> bool:
    """Whether what is printed goes to a terminal or a notebook; a file would keep every picture."""
    isatty = getattr(sys.stdout, "isatty", None)
    return bool(isatty and isatty()) or any(name in sys.modules for name in _NOTEBOOKS)


def say_in_lines(text: str) -> None:
    """Prints ``text``, in a terminal broken between words where it is too narrow."""
    isatty = getattr(sys.stdout, "isatty", None)
    if isatty and isatty():
        text = textwrap.fill(
            text, _columns(), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
        )
    say(text)


def _columns() -> int:
    return max(shutil.get_terminal_size().columns, 40)


class Bar:
    """A line of a terminal, or a widget of a notebook, that comes into being when it is first drawn."""

    def __init__(self) -> None:
        self._tqdm: Any = None

    def draw(self, title: str, done: int, total: int, started: float, text: str = "") -> None:
        """Shows ``done`` of ``total`` steps (0: unknown) since the time ``started`` (of ``perf_counter``)."""
        if self._tqdm is None:
            self._tqdm = _make_bar(total)
        bar = self._tqdm
        # tqdm's reset() would draw as well. From last_print_t it knows that there is a line to clear.
        bar.last_print_t = time.time()
        bar.start_t = bar.last_print_t - (time.perf_counter() - started)
        # tqdm itself shows nothing in a terminal that does not say how wide it is.
        bar.ncols = _columns() - 1
        bar.n = done
        bar.set_description(title, refresh=False)
        bar.set_postfix_str(text, refresh=False)
        bar.refresh()

    def close(self) -> None:
        """Takes the line away; the next ``draw`` makes a new one."""
        if self._tqdm is not None:
            self._tqdm.n = self._tqdm.total or self._tqdm.n  # or a notebook would keep it, in red
            self._tqdm.close()
            self._tqdm = None


def _make_bar(total: int) -> Any:
    from tqdm.auto import tqdm  # here because `import nnx` must stay quick

    # Without a delay tqdm would draw before there is something to see.
    return tqdm(total=total or None, leave=False, file=sys.stdout, nrows=20, bar_format=_FORMAT, delay=1e-9)
