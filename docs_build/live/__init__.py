"""The site's live pages: nnx's own equations as JavaScript, the pages' controls, and still pictures.

``write(folder)`` fills a folder that the pages ``race.md`` and ``activations_live.md`` refer to as ``live/``.
What computes is recorded from nnx when the site is built (:mod:`docs_build.live.tape`); what draws and
listens is in ``static/``. Nothing is fetched from anywhere when a page is read.

``python -m docs_build.live FOLDER`` does the same.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from docs_build.live.scripts import activations_script, race_script

__all__ = ["write"]


def write(folder: str | Path) -> None:
    """Writes all that the live pages load into ``folder``, which is made where there is none."""
    from docs_build.live.pictures import write as write_pictures  # Matplotlib: the scripts do without it

    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for file in (Path(__file__).parent / "static").iterdir():
        shutil.copyfile(file, target / file.name)
    (target / "race_recorded.js").write_text(race_script(), encoding="utf-8")
    (target / "activations_recorded.js").write_text(activations_script(), encoding="utf-8")
    write_pictures(target)
