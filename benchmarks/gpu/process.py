"""Runs a section in a process of its own: a crash, a hang or a lost device costs one check, not the rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from checks import DEVICE_LOST

#: How long before its section's end a process stops by itself.
SPARE = 3.0

Take = Callable[[dict[str, Any]], None]


def run_section(name: str, options: list[str], seconds: float, silence: float, take: Take) -> str:
    """Runs the section for at most ``seconds``; ``take`` gets each event. Gives its state in words.

    Where the process dies in a check, or is silent for too long, that check has failed and a new process goes
    on with the next one.
    """
    until = time.perf_counter() + seconds
    after: list[str] = []
    while (left := until - time.perf_counter()) > 2 * SPARE:
        begun, ended = None, False
        child = Child([f"--section={name}", f"--seconds={left - SPARE}", *options, *after], until, silence)
        for event in child.events():
            ended = ended or "end" in event
            begun = event.get("begin", begun)
            if event.get("check") == begun:
                child.closed = begun
            take(event)
        if ended:
            return "done"
        why = child.why()
        if begun is None:
            take({"check": f"starting {name}", "state": "failed", "says": why, "trace": child.errors()})
            return "did not start"
        if child.closed != begun:
            state = "not run" if child.out_of_time else "failed"
            take({"check": begun, "state": state, "says": why, "trace": child.errors()})
        after = [f"--after={begun}"]
    return "out of time"


class Child:
    """One process of a section, and its last words."""

    def __init__(self, arguments: list[str], until: float, silence: float) -> None:
        self.closed: str | None = None
        self.out_of_time = self.silent = False
        self._until, self._silence = until, silence
        self._heard = time.perf_counter()
        self._stderr = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent), *arguments],
            stdout=subprocess.PIPE, stderr=self._stderr, text=True, encoding="utf-8", errors="replace",
            start_new_session=True,
        )  # fmt: skip

    def events(self) -> Iterator[dict[str, Any]]:
        """What the process tells until it ends; what others print in it is left out."""
        watch = threading.Thread(target=self._watch, daemon=True)
        watch.start()
        try:
            for line in self._process.stdout or ():
                self._heard = time.perf_counter()
                with suppress(ValueError):  # what another library prints is no event
                    event = json.loads(line)
                    if isinstance(event, dict):
                        yield event
            self._process.wait()
        finally:
            self.kill()
            watch.join()

    def _watch(self) -> None:
        while self._process.poll() is None:
            now = time.perf_counter()
            self.out_of_time = now > self._until
            self.silent = now - self._heard > self._silence
            if self.out_of_time or self.silent:
                self.kill()
                return
            time.sleep(0.1)

    def kill(self) -> None:
        """Ends the process and what it started."""
        if self._process.poll() is None:
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()

    def why(self) -> str:
        """Why the process ended before its work was done."""
        if self.out_of_time:
            return "its section's time was up"
        if self.silent:
            return f"ended after {self._silence:.0f} s without a result"
        code = self._process.returncode
        if code == DEVICE_LOST:
            return "the device answered no more"
        return f"the process died of signal {-code}" if code < 0 else f"the process ended with status {code}"

    def last_line(self) -> str:
        """The last line of the standard error: the sentence with which a process says that it cannot work."""
        return (self.errors().strip().splitlines() or [""])[-1]

    def errors(self) -> str:
        """The end of what the process wrote to its standard error."""
        self._stderr.seek(0)
        return self._stderr.read()[-3000:]
