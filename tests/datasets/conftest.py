"""Where the tests of this room look for published files, and a server to download them from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from nnx.datasets import files
from nnx.datasets.sources import Source

#: Beside the checkout: where one machine's projects may share their data.
SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def real_files(monkeypatch: pytest.MonkeyPatch) -> Callable[[Source], None]:
    """Makes the real files of a data set findable, or skips the test; never downloads."""

    def prepare(source: Source) -> None:
        def complete() -> bool:
            return all(
                any((folder / name).is_file() for folder in files.search_folders(source))
                for name in source.sha256
            )

        def no_network(*_: Any, **__: Any) -> None:
            raise AssertionError("tests do not download published files")

        monkeypatch.setattr(files, "download", no_network)
        if not complete():
            monkeypatch.setenv("NNX_DATA_DIR", str(SHARED))
        if not complete():
            pytest.skip(
                f"{source.title}'s files are not here: neither in NNX_DATA_DIR, nor in {SHARED}, nor in the "
                f"cache {files.cache_dir()} (load_data() once with a network would put them there)"
            )

    return prepare


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that does not exist yet, no ``NNX_DATA_DIR``, and no proxy before 127.0.0.1."""
    monkeypatch.delenv("NNX_DATA_DIR", raising=False)
    monkeypatch.setenv("NNX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


class Server:
    """An HTTP server on 127.0.0.1. ``answers`` maps paths to bodies; ``announce`` and ``hang_up`` lie."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.announced_extra = 0  #: how many bytes more than the body ``Content-Length`` promises
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                body = outer.answers.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body) + outer.announced_extra))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()
