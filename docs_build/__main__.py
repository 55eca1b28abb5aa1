"""``python -m docs_build``: builds the site; see ``--help``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from pathlib import Path

from docs_build.folders import ROOT, SITE, BuildError


def main() -> int:
    """Stages the pages, runs MkDocs, checks the result; 1 where something is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m docs_build", description="Builds the documentation site."
    )
    parser.add_argument("what", nargs="?", default="build", choices=["build", "serve", "check"])
    parser.add_argument("--port", type=int, default=8000, help="of serve")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    os.environ["NO_MKDOCS_2_WARNING"] = "1"  # Material's notice of its end of life is no fault of a page
    try:
        if args.what == "serve":
            from docs_build.serve import serve

            serve(args.port)
        else:
            if args.what == "build":
                build()
            from docs_build.check import check

            check(SITE)
    except BuildError as error:
        print(f"\n{error}\n\nThe site was not built.", file=sys.stderr)
        return 1
    return 0


def build() -> None:
    """Writes the site into the folder ``site``."""
    from mkdocs.commands.build import build as mkdocs_build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort, MkDocsException

    from docs_build.stage import Stage

    begin = time.perf_counter()
    Stage(os.environ.get("NNX_SITE_URL", "")).build()
    staged = time.perf_counter()
    print(f"pages written: {staged - begin:.1f} s")
    try:
        mkdocs_build(load_config(str(ROOT / "mkdocs.yml"), strict=True))
    except (Abort, MkDocsException) as error:
        raise BuildError(f"MkDocs: {error}") from None
    print(f"site built: {time.perf_counter() - staged:.1f} s, in {Path(SITE).relative_to(ROOT)}/")


if __name__ == "__main__":
    sys.exit(main())
