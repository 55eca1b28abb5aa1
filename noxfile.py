"""What can be run here: `nox --list`. Everything after `--` goes to the program that a session runs.

Each session keeps its environment in `.nox/`; a second run reuses it (`nox -r` is the default here).
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import nox

if sys.version_info < (3, 11):
    raise SystemExit(f"nnx needs Python 3.11 or newer; this nox runs on {sys.version.split()[0]}.")

nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests", "lint"]

PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))  # its classifiers
# One test process for each core does better than many threads in each.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
NO_WINDOW = {"MPLBACKEND": "Agg"}
# The official test suite of the array API standard, which no package index has.
ARRAY_API_TESTS = "https://github.com/data-apis/array-api-tests"
ARRAY_API_TESTS_TAG = "2026.02.26"


@nox.session
def tests(session: nox.Session) -> None:
    """The whole suite on every backend that needs no GPU, and the tests of what builds the site."""
    session.install("-e", ".[docs,test]")
    _pytest(session, "--numprocesses=auto", "--maxprocesses=4")


@nox.session(python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """The same suite on each of these Pythons that is installed, with the newest libraries that it takes."""
    session.install("--upgrade", "--upgrade-strategy=eager", "-e", ".[test]")
    _pytest(session, "--numprocesses=auto", "--maxprocesses=4")


@nox.session
def slow(session: nox.Session) -> None:
    """The tests that train for real (marked `slow`), which `tests` leaves out."""
    session.install("-e", ".[test]")
    _pytest(session, "--numprocesses=auto", "--maxprocesses=4", "-m", "slow")


@nox.session
def parity(session: nox.Session) -> None:
    """The comparisons with JAX (marked `parity`), which is too large for `tests`."""
    session.install("-e", ".[test]", "jax>=0.8")
    files = ("test_complex", "test_linalg", "test_special", "test_vmap_jax")
    paths = [*(f"tests/autodiff/{name}.py" for name in files), "tests/programs"]
    _pytest(session, "--numprocesses=auto", "--maxprocesses=4", "-m", "parity", *paths)


@nox.session
def tests_cupy(session: nox.Session) -> None:
    """The same suite with CuPy as its backend. Needs an NVIDIA GPU."""
    _install_with_cupy(session)
    _pytest(session, "--backend=cupy", "--numprocesses=auto", "--maxprocesses=8")


@nox.session
def gpu(session: nox.Session) -> None:
    """What only a GPU can tell, in one report and eight minutes. Needs an NVIDIA GPU."""
    _install_with_cupy(session)
    session.run("python", "benchmarks/gpu", *session.posargs)


@nox.session
def kernels(session: nox.Session) -> None:
    """The kernels for CuPy, compiled by CUDA's compiler and computed on the host. Needs no GPU."""
    cuda = ("cupy-cuda13x>=14", "nvidia-cuda-nvrtc==13.*", "nvidia-cuda-runtime==13.*")
    tools = ("array-api-strict>=2.3", "hypothesis>=6.100", "pytest>=8.2", "scipy>=1.14")
    session.install("-e", ".", *cuda, *tools)
    # A minute's work, of which nothing may be left out where the machine is busy: there is no device to hang.
    options = ("--backend=numpy", "--only=kernels", "--minutes=60", "--report=out/kernels.md")
    session.run("python", "benchmarks/gpu", *options, *session.posargs)
    _pytest(session, "tests/backend/test_cupy_kernels.py", "tests/benchmarks/test_gpu_kernels.py")


@nox.session
def lint(session: nox.Session) -> None:
    """Style and types: ruff on everything, mypy on the package."""
    session.install("-e", ".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session
def demo(session: nox.Session) -> None:
    """The main job: the lectures' network on handwritten digits, with a picture of how it learned."""
    session.install("-e", ".[data,plot]")
    session.run("python", "benchmarks/mnist_mlp.py", *session.posargs, env=NO_WINDOW)


@nox.session
def tutorials(session: nox.Session) -> None:
    """Runs every script of tutorials/ and derivations/, or those named after `--`."""
    session.install("-e", ".[data,plot]", "scipy>=1.14")
    _scripts(session, "tutorials", "derivations")


@nox.session
def docs(session: nox.Session) -> None:
    """Builds the site into site/: runs its pages, sets its formulas, checks its links. Strict."""
    session.install("-e", ".[docs]")
    session.run("python", "-m", "docs_build", *session.posargs)


@nox.session
def docs_serve(session: nox.Session) -> None:
    """Shows the site at http://127.0.0.1:8000 while one writes; pages are made anew as they are saved."""
    session.install("-e", ".[docs]")
    session.run("python", "-m", "docs_build", "serve", *session.posargs)


@nox.session
def docs_browser(session: nox.Session) -> None:
    """Looks at the site that `docs` built in headless Chromium, without a network. Needs Chromium."""
    session.install("-e", ".[browser]")
    session.run("python", "-m", "docs_build.browser", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Runs every script of benchmarks/, or those named after `--`, beside the libraries compared with."""
    session.install("-e", ".[bench]")
    _scripts(session, "benchmarks")


@nox.session
def array_api_tests(session: nox.Session) -> None:
    """The standard's own test suite on the differentiable namespace, compared with its base libraries.

    The suite is taken from the folder ARRAY_API_TESTS_DIR, else from ../shared/array-api-tests, else cloned.
    """
    suite = _standard_suite(session)
    session.install("-e", ".", "array-api-strict>=2.6", "-r", str(suite / "requirements.txt"))
    script = "tests/conformance/run_array_api_tests.py"
    session.run("python", script, str(suite), *session.posargs, env=ONE_THREAD)


def _pytest(session: nox.Session, *options: str) -> None:
    session.run("python", "-m", "pytest", *options, *session.posargs, env=ONE_THREAD | NO_WINDOW)


def _install_with_cupy(session: nox.Session) -> None:
    cuda = _cuda_of_the_driver()
    if cuda is None:
        session.error(f"{session.name} needs an NVIDIA GPU, and no driver here offers one. CPU: nox -s tests")
    session.install("-e", ".[test,cupy13]" if cuda >= 13 else ".[test,cupy12]")


def _standard_suite(session: nox.Session) -> Path:
    shared = Path(__file__).parent.parent / "shared" / "array-api-tests"
    if named := os.environ.get("ARRAY_API_TESTS_DIR"):
        return Path(named)
    if shared.is_dir():
        return shared
    suite = session.cache_dir / f"array-api-tests-{ARRAY_API_TESTS_TAG}"
    if not suite.is_dir():
        clone = f"clone --quiet --depth 1 --recurse-submodules --branch {ARRAY_API_TESTS_TAG}".split()
        session.run("git", *clone, ARRAY_API_TESTS, str(suite), external=True)
    return suite


def _scripts(session: nox.Session, *folders: str) -> None:
    scripts = [path for folder in folders for path in sorted(Path(folder).glob("[!_]*.py"))]
    asked = {Path(name).stem for name in session.posargs}
    if unknown := asked - {path.stem for path in scripts}:
        session.error(f"There is no script {', '.join(sorted(unknown))} in {' or '.join(folders)}/.")
    for path in scripts:
        if not asked or path.stem in asked:
            session.run("python", str(path), env=NO_WINDOW)


def _cuda_of_the_driver() -> int | None:
    """The newest CUDA (12, 13, ...) that the NVIDIA driver supports; None without driver or GPU."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    count, version = ctypes.c_int(), ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return None
    driver.cuDriverGetVersion(ctypes.byref(version))
    return version.value // 1000
