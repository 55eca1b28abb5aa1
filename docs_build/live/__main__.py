"""``python -m docs_build.live FOLDER``: writes the files of the live pages into a folder."""

import sys

from docs_build.live import write

if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    write(sys.argv[1])
