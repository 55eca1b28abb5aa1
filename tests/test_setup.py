"""The commands that the README gives are the ones that are run."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMAND = "python3 -m venv .venv && .venv/bin/pip install nox && .venv/bin/nox -s {}"


@pytest.mark.parametrize("session", ["demo", "tests"])
def test_the_readme_gives_each_command_as_one_line(session):
    assert COMMAND.format(session) in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()


def test_ci_runs_the_readmes_test_command_and_lint():
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert f"{COMMAND.format('tests')} || exit" in lines
    assert lines[-1] == ".venv/bin/nox -s lint"


def test_the_packages_version_is_the_projects():
    import nnx

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert nnx.__version__ == project["version"]
