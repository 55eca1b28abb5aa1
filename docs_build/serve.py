"""The site while one writes: MkDocs' server, and pages made anew when their files are saved.

After a change of nnx all pages would run again: that is for a new start.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from docs_build.folders import DOCS, NOTEBOOKS, ROOT, BuildError
from docs_build.stage import Stage


def serve(port: int) -> None:
    """Serves the site until Ctrl-C. A fault of a page is printed, and the last good one stays."""
    from mkdocs.commands.serve import serve as mkdocs_serve

    _stage()
    print(f"the site: http://127.0.0.1:{port}/", flush=True)
    threading.Thread(target=_watch, daemon=True).start()
    mkdocs_serve(str(ROOT / "mkdocs.yml"), dev_addr=f"127.0.0.1:{port}", livereload=True)


def _stage() -> None:
    try:
        Stage(os.environ.get("NNX_SITE_URL", "")).build()
    except BuildError as error:
        print(f"\n{error}\n", flush=True)


def _watch() -> None:
    """Looks at the files once a second: no watcher works the same on every system."""
    known = _times()
    while True:
        time.sleep(1.0)
        if (now := _times()) != known:
            known = now
            _stage()


def _times() -> dict[Path, float]:
    folders = [DOCS, *(ROOT / name for name in NOTEBOOKS)]
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return {path: path.stat().st_mtime for path in files if "__pycache__" not in path.parts}
