"""What the live pages load is there, lean and from nowhere else; what they say is so."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from docs.test_live_race import LANDSCAPES, RULES, options_of, path_in_nnx

import nnx
from docs_build.live import write
from docs_build.live.scripts import race_script

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("site") / "live"
    write(made)
    return made


@pytest.mark.parametrize("page", ["race", "activations_live"])
def test_a_page_loads_what_is_written_for_it(page, folder):
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    loaded = re.findall(r'(?:src|href)="live/([^"#]+)', text)
    assert {"live.css", "map.js"} < set(loaded)
    scripts = [folder / name for name in loaded if name.endswith(".js")]
    assert sum(script.stat().st_size for script in scripts) < 100_000
    for name in loaded:
        assert (folder / name).stat().st_size > 0
    for script in scripts:
        assert "//" not in re.sub(r"^ *//.*|  // .*$", "", script.read_text(encoding="utf-8"), flags=re.M)


def test_the_page_quotes_the_script():
    text = (DOCS / "race.md").read_text(encoding="utf-8")
    quoted = re.search(r"```javascript\n(.*?)```", text, re.S)[1]

    def lines(code):
        return [re.sub(r"\bv\d+", "v", line.strip()) for line in code.splitlines() if line.strip()]

    assert "\n".join(lines(quoted)) in "\n".join(lines(race_script()))


def left_in(key, rate, landscape):
    path = path_in_nnx(RULES[key], options_of(RULES[key], learning_rate=rate), landscape, 250)
    return int(np.argmax(np.max(np.abs(path), axis=1) > 2.0)) + 1


def test_what_the_page_says_of_the_saddle():
    rules = ("sgd", "rmsprop", "adam", "sgd_momentum")
    assert [left_in(key, 0.02, LANDSCAPES["saddle"]) for key in rules] == [194, 72, 77, 51]


def test_what_the_page_says_of_momentum():
    for key, place in (("sgd", -3.27), ("sgd_momentum", -0.41)):
        options = options_of(RULES[key], learning_rate=0.002)
        path = path_in_nnx(RULES[key], options, LANDSCAPES["valley"], 100)
        assert round(path[-1, 0], 2) == place


def test_what_the_page_says_of_too_long_a_step():
    path = path_in_nnx(RULES["sgd"], options_of(RULES["sgd"], learning_rate=0.01), LANDSCAPES["rosenbrock"])
    assert not np.isfinite(path[-1]).any()


def test_what_the_page_says_of_activations():
    special = pytest.importorskip("scipy.special")
    z = np.linspace(-40.0, 40.0, 800001)
    slope = nnx.vjp(nnx.activations.sigmoid, z)[1](np.ones_like(z))[0]
    edge = z[slope >= 0.05].max()
    assert round(2.0 * special.ndtr(-edge / 5.0), 2) == 0.56
    assert slope.max() <= 0.25 and 0.25**10 < 1e-6
    assert round(1.0 / special.ndtr(-3.0), -1) == 740
