"""The GPUs of the double: which is the current one, waits, and errors that show when someone waits."""

from __future__ import annotations

from typing import Any


class CUDARuntimeError(RuntimeError):
    """What CuPy raises where a call of CUDA fails."""


class Machine:
    """Two GPUs: the current one, how often the host waited, and an error that a kernel left behind."""

    current = 0
    count = 2
    waits = 0
    failed: str | None = None

    @classmethod
    def wait(cls) -> None:
        """The host waits; what went wrong on the device since is raised now, and from now on."""
        cls.waits += 1
        if cls.failed:
            raise CUDARuntimeError(cls.failed)


class Device:
    """``cupy.cuda.Device``: the current one without a number; a context in which it is the current one."""

    def __init__(self, device: Any = None) -> None:
        self.id = Machine.current if device is None else int(getattr(device, "id", device))
        self._before: list[int] = []

    def __enter__(self) -> Device:
        self._before.append(Machine.current)
        return self.use()

    def __exit__(self, *_: Any) -> None:
        Machine.current = self._before.pop()

    def use(self) -> Device:
        if not 0 <= self.id < Machine.count:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        Machine.current = self.id
        return self

    def synchronize(self) -> None:
        Machine.wait()

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"


class Stream:
    """``cupy.cuda.Stream``: the double computes at once, whatever the stream, and captures nothing."""

    def __init__(self, *, non_blocking: bool = False) -> None:
        self.non_blocking = non_blocking

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def synchronize(self) -> None:
        Machine.wait()

    def begin_capture(self) -> None:
        raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: operation not permitted when capturing")

    def end_capture(self) -> Any:
        raise CUDARuntimeError("cudaErrorIllegalState: the operation cannot be performed in this state")


class MemoryPool:
    """``cupy.cuda.MemoryPool``, from which nothing is taken."""

    def malloc(self, size: int) -> Any:
        raise NotImplementedError
