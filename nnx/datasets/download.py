"""Fetching one published file: mirrors in turn, a progress bar, a checksum, and nothing half-done."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_CHUNK = 1 << 16
_TIMEOUT = 20.0  # seconds without a byte before the next mirror gets its turn


class MirrorsFailed(Exception):
    """No mirror delivered the file; the message has one line for each, with its reason."""


def download(mirrors: Iterable[str], sha256: str, target: Path, progress: bool = True) -> None:
    """Stores the file that has the checksum ``sha256`` as ``target``, from the first mirror that has it.

    The file appears under its name only when it is whole and its checksum is right; an interrupt or
    an error leaves nothing behind. ``mirrors`` are complete addresses.
    Raises :class:`MirrorsFailed`.
    """
    from http.client import HTTPException  # here because `import nnx` must stay quick

    reasons = []
    for url in mirrors:
        try:
            _download_from(url, sha256, target, progress)
            return
        except (OSError, HTTPException) as error:
            reasons.append(f"{url}: {error or type(error).__name__}")
    raise MirrorsFailed("\n".join(reasons))


def _download_from(url: str, sha256: str, target: Path, progress: bool) -> None:
    import tempfile

    target.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, so that the last step is a rename, which happens wholly or not at all.
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}-", suffix=".part", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            found = _copy(url, file, target.name, progress)
        if found != sha256:
            raise OSError(f"wrong checksum: expected sha256 {sha256}, got {found}")
        part.chmod(0o644)  # mkstemp's files are private, a shared cache's are not
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _copy(url: str, file: object, title: str, progress: bool) -> str:
    """Writes what the address delivers into ``file`` and returns its sha256."""
    import hashlib
    from urllib.request import Request, urlopen

    from tqdm import tqdm

    digest, received = hashlib.sha256(), 0
    with urlopen(Request(url, headers={"User-Agent": "nnx"}), timeout=_TIMEOUT) as answer:
        announced = int(answer.headers.get("Content-Length") or 0)
        with tqdm(
            total=announced or None, desc=title, unit="B", unit_scale=True, disable=not progress
        ) as bar:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)  # type: ignore[attr-defined]
                digest.update(chunk)
                received += len(chunk)
                bar.update(len(chunk))
    # http.client ends a read early without complaint when the connection breaks.
    if announced and received != announced:
        raise OSError(f"connection broke after {received} of {announced} bytes")
    return digest.hexdigest()
