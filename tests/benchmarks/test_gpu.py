"""The script for the day a GPU is there, rehearsed without one: ``python benchmarks/gpu --backend ...``."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nnx.backend import make_backend

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu"
STRICT = "array_api_strict:device1"
SECTIONS = "adapter contract updates trainings speed syncs jit kernels formulas suite".split()
#: What finds out nothing here: NumPy waits for no device, and CuPy's wheel need not be installed.
NOTHING = {("syncs", "numpy"), ("contract", STRICT)}
LONG = ("speed", "suite", "trainings")  # those that train and measure
QUICK = tuple(section for section in SECTIONS if section not in LONG)
REHEARSED = [
    *((section, STRICT) for section in QUICK),
    *(pytest.param(section, STRICT, marks=pytest.mark.slow) for section in LONG),
    *(pytest.param(section, "numpy", marks=pytest.mark.slow) for section in ("adapter", "syncs")),
]
#: A section's row in the report: how many checks passed, failed and were left out.
DONE = re.compile(r"^\| [^|]+ \| done \| (\d+) \| (\d+) \| (\d+) \|", re.MULTILINE)
if importlib.util.find_spec("cupy") is None:
    NOTHING.add(("kernels", STRICT))


def script(*options: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """The script in a process of its own; ``extra`` goes into the environment."""
    return subprocess.run([sys.executable, str(SCRIPT), *options], env=environment(**extra), **CAPTURED)


CAPTURED = {"capture_output": True, "text": True, "check": False, "encoding": "utf-8"}


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **extra}


class TestRehearsal:
    """Everything but device events and CuPy's own kernels, for real, on small sizes."""

    @pytest.fixture(scope="class")
    def rehearsed(self, tmp_path_factory):
        """``rehearsed(section, name)``: the exit status, the report, and the names of the run's sections."""

        @cache
        def run(only, name):
            path = tmp_path_factory.mktemp("rehearsal") / "report.md"
            done = script(f"--backend={name}", f"--only={','.join(only)}", f"--report={path}", "--minutes=12")
            assert str(path) in done.stdout, done.stderr
            return done.returncode, path.read_text(encoding="utf-8"), only

        # The quick ones share a run: its start takes longer than some of them.
        return lambda section, name: run(QUICK if section in QUICK and name == STRICT else (section,), name)

    @pytest.mark.parametrize(("section", "name"), REHEARSED)
    def test_each_section_runs_and_is_reported(self, section, name, rehearsed):
        _, text, sections = rehearsed(section, name)
        assert f"| backend | {name} (a rehearsal: timings mean nothing) |" in text
        rows = DONE.findall(text)
        assert len(rows) == len(sections), text
        passed, failed, left_out = map(int, rows[sections.index(section)])
        assert failed == 0, text
        assert (passed > 0) is ((section, name) not in NOTHING)
        details = text.split("\n## ")[-len(sections) :][sections.index(section)]
        assert left_out == details.count("| not run |")

    def test_the_verdict_is_that_of_all_sections(self, rehearsed):
        status, text, sections = rehearsed(QUICK[0], STRICT)
        assert sections == QUICK
        assert f"{sum(int(passed) for passed, _, _ in DONE.findall(text))} passed, 0 failed." in text
        assert status == 0

    def test_where_nothing_could_be_checked_that_is_no_success(self, tmp_path):
        done = script(f"--backend={STRICT}", "--only=contract", f"--report={tmp_path / 'report.md'}")
        assert ": 0 passed, 0 failed." in done.stdout
        assert done.returncode == 1

    @pytest.mark.slow
    def test_what_is_wrong_is_found_and_the_rest_goes_on(self, tmp_path):
        planted = (
            "from nnx.backend import strict_adapter\nstrict_adapter.StrictAdapter.erf = lambda self, x: x\n"
        )
        (tmp_path / "sitecustomize.py").write_text(planted)
        path, found = tmp_path / "report.md", os.pathsep.join([str(tmp_path), str(ROOT)])
        done = script(f"--backend={STRICT}", "--only=adapter,updates", f"--report={path}", PYTHONPATH=found)
        text = path.read_text(encoding="utf-8")
        failed = re.findall(r"^### Adapter and random numbers: (.*)$", text, re.MULTILINE)
        assert failed == ["erf, float32", "erf, float64"]
        assert "entries differ by more than" in text
        assert text.count("| done |") == 2
        assert done.returncode == 1


class TestNothingToMeasure:
    def test_cupy_is_not_installed(self, tmp_path):
        (tmp_path / "cupy.py").write_text("raise ModuleNotFoundError('No module named cupy', name='cupy')")
        done = script(f"--report={tmp_path / 'report.md'}", PYTHONPATH=str(tmp_path))
        assert done.returncode == 2
        assert done.stderr.startswith("Backend 'cupy' was asked for, but it is not installed.")
        assert len(done.stderr.splitlines()) == 1
        assert not (tmp_path / "report.md").exists()

    def test_cupy_finds_no_gpu(self, tmp_path):
        if pytest.importorskip("cupy").is_available():
            pytest.skip("this machine has a GPU")
        done = script(f"--report={tmp_path / 'report.md'}")
        assert done.returncode == 2
        assert re.fullmatch(r"CuPy .* found no GPU that it can use: cuda.*\n", done.stderr)

    def test_array_api_compat_is_missing(self, tmp_path):
        hidden = "import sys\nsys.modules['array_api_compat'] = None\n"  # as if it could not be found
        (tmp_path / "sitecustomize.py").write_text(hidden)
        done = script(f"--report={tmp_path / 'report.md'}", PYTHONPATH=str(tmp_path))
        assert done.returncode == 2
        assert "array-api-compat" in done.stderr and "--wheels" in done.stderr

    def test_an_unknown_backend_section_or_folder_of_wheels(self, tmp_path):
        assert "Unknown backend 'cuppy'" in script("--backend=cuppy").stderr
        assert "there is no section sped" in script("--only=sped").stderr
        done = script(f"--wheels={tmp_path}")
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert "There are no wheels in" in done.stderr


def test_packages_may_lie_as_wheels_in_a_folder(tmp_path):
    source = Path(importlib.util.find_spec("array_api_strict").origin).parent
    with zipfile.ZipFile(tmp_path / "array_api_strict-9.9-py3-none-any.whl", "w") as wheel:
        for path in source.rglob("*.py"):
            wheel.write(path, path.relative_to(source.parent))
        about = "Metadata-Version: 2.1\nName: array-api-strict\nVersion: 9.9\n"
        wheel.writestr("array_api_strict-9.9.dist-info/METADATA", about)
    path = tmp_path / "report.md"
    options = (f"--backend={STRICT}", "--only=adapter", f"--report={path}")
    assert script(*options, NNX_WHEELS=str(tmp_path)).returncode == 0
    assert "| array-api-strict | 9.9 |" in path.read_text(encoding="utf-8")


#: A section whose checks go wrong in every way.
PLANTED = """
import os, signal, sys, time
from checks import Check, DEVICE_LOST, Skip

def skipped(machine): raise Skip("no such thing here")
def wrong(machine): raise ValueError("planted | fault")
def dies(machine): os._exit(7)
def killed(machine): os.kill(os.getpid(), signal.SIGKILL)
def hangs(machine): time.sleep(60)
def loses(machine):
    machine.backend.adapter.to_numpy = None  # from here on nothing can be computed
    raise RuntimeError("illegal memory access")
def noisy(machine):
    print("not JSON", file=sys.__stdout__)
    print("[1]", file=sys.__stdout__)
    return "a figure"

def checks(machine):
    for f in (skipped, wrong, dies, killed, loses, hangs, noisy):
        yield Check(f.__name__, f)
"""


class TestProcess:
    @pytest.mark.slow
    def test_one_check_that_goes_wrong_never_loses_the_rest(self, modules, tmp_path, monkeypatch):
        (tmp_path / "planted.py").write_text(PLANTED)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
        monkeypatch.setattr(modules.process, "SPARE", 0.5)
        found = {}

        def take(event):
            if "check" in event:
                found[event["check"]] = (event["state"], event["says"])

        options = ["--backend=numpy", "--wheels="]
        # silent for 8 s: more than a process needs to start
        state = modules.process.run_section("planted", options, 90.0, 8.0, take)
        assert state == "done"
        assert found == {
            "skipped": ("not run", "no such thing here"),
            "wrong": ("failed", "ValueError: planted | fault"),
            "dies": ("failed", "the process ended with status 7"),
            "killed": ("failed", "the process died of signal 9"),
            "loses": ("failed", "RuntimeError: illegal memory access"),
            "hangs": ("failed", "ended after 8 s without a result"),
            "noisy": ("passed", "a figure"),
        }

    def test_time_that_is_up_is_no_failure(self, modules, tmp_path, monkeypatch):
        (tmp_path / "planted.py").write_text(PLANTED.replace("(skipped, wrong, dies, killed, loses, ", "("))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
        monkeypatch.setattr(modules.process, "SPARE", 0.1)
        events = []
        began = time.perf_counter()
        options = ["--backend=numpy", "--wheels="]
        state = modules.process.run_section("planted", options, 4.0, 60.0, events.append)
        assert state == "out of time"
        assert time.perf_counter() - began < 10.0
        assert events[-1]["check"] == "hangs"
        assert (events[-1]["state"], events[-1]["says"]) == ("not run", "its section's time was up")

    @pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
    def test_a_killed_run_leaves_a_readable_report(self, tmp_path):
        path = tmp_path / "report.md"
        options = ["--backend=numpy", f"--report={path}"]
        run = subprocess.Popen(
            [sys.executable, str(SCRIPT), *options], env=environment(), stdout=subprocess.DEVNULL
        )
        try:
            until = time.perf_counter() + 60.0
            while not (path.exists() and "| passed | bit for bit |" in path.read_text(encoding="utf-8")):
                assert time.perf_counter() < until
                time.sleep(0.02)
        finally:
            run.kill()
            run.wait()
        text = path.read_text(encoding="utf-8")
        assert "**Still running, or killed after" in text
        assert "| uniform, float32 | passed | bit for bit |" in text
        assert text.endswith("\n")


class TestReport:
    def test_what_failed_comes_first_and_breaks_no_table(self, modules, tmp_path):
        report = modules.report.Report(tmp_path / "deep" / "report.md", {"a": "The section"}, 60.0)
        report.take("a", {"begin": "one"})
        assert "| one | begun |" in report.path.read_text(encoding="utf-8")
        report.take("a", {"check": "one", "state": "failed", "says": "a | b\nc", "trace": "```\nline 1"})
        report.take("a", {"check": "two", "state": "passed", "says": "2", "seconds": 1.5, "warmup": 0.5})
        folder = {"passed": 30, "failed": 2, "not run": 4}
        report.take("a", {"check": "tests", "state": "failed", "says": "", "counts": folder})
        text = report.path.read_text(encoding="utf-8")
        assert (report.passed, report.failed) == (31, 3)
        assert r"| one | failed | a \| b c | 0.00 | 0.00 |" in text
        assert text.index("### The section: one") < text.index("## The section\n")
        assert text.count("```") == 2
        assert "| The section | not begun | 31 | 3 | 4 | 0.0 | 0.5 |" in text


class TestAgainstNumpy:
    """What a check may overlook, it does not."""

    @pytest.mark.parametrize(
        ("there", "message"),
        [
            (np.asarray([1.0, 2.0, 4.0]), "1 of 3 entries differ.*worst is 4 instead of 3"),
            (np.asarray([1.0, 2.0, 3.0], "float32"), "float32"),
            (np.asarray([[1.0, 2.0, 3.0]]), r"\(1, 3\)"),
            (np.asarray([1.0, np.nan, 3.0]), "worst is nan"),
            (np.asarray([1.0, np.inf, 3.0]), "worst is inf"),
            (None, "None instead of"),
            ({"a": 1.0}, r"\['\[a\]'\] instead of \['result'\]"),
        ],
    )
    def test_each_kind_of_difference_is_found(self, modules, there, message):
        here = np.asarray([1.0, 2.0, 3.0])
        check = modules.checks.against_numpy("x", lambda b: here if b.name == "numpy" else there, 0.1, 0.0)
        machine = SimpleNamespace(backend=make_backend("array_api_strict"))
        with pytest.raises(modules.checks.Differs, match=message):
            check.run(machine)

    def test_without_a_tolerance_every_bit_counts(self, modules):
        def compute(b):
            return np.asarray(1.0 if b.name == "numpy" else np.nextafter(1.0, 2.0))

        machine = SimpleNamespace(backend=make_backend("array_api_strict"))
        with pytest.raises(modules.checks.Differs):
            modules.checks.against_numpy("x", compute).run(machine)
        assert modules.checks.against_numpy("x", compute, 1e-15).run(machine).startswith("2.2e-01 of")

    def test_nan_and_infinity_are_what_they_are(self, modules):
        machine = SimpleNamespace(backend=make_backend("array_api_strict"))
        check = modules.checks.against_numpy("x", lambda b: np.asarray([np.nan, np.inf, -np.inf]))
        assert check.run(machine) == "bit for bit"


class TestCounter:
    def test_every_read_is_counted_once_and_afterwards_nothing_is_left(self, modules):
        from array_api_strict._array_object import Array

        before = {name: vars(Array)[name] for name in modules.syncs.STRICTS}
        machine = modules.machine.Machine(STRICT)
        assert "3 of 3" in modules.syncs.proved(machine).says
        assert {name: vars(Array)[name] for name in modules.syncs.STRICTS} == before

    def test_a_training_that_reads_in_every_step_fails(self, modules):
        import nnx

        machine = modules.machine.Machine(STRICT)
        model, x, y = modules.syncs.trained(machine, "sgd")

        class Nosy(nnx.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                logs["loss"]  # waits

        original = model.fit
        model.fit = lambda *args, **options: original(*args, callbacks=[Nosy()], **options)
        modules.syncs.trained = lambda machine, optimizer: (model, x, y)
        with pytest.raises(AssertionError, match=r"1\.\d+ reads a step"):
            modules.syncs.reads(machine, "sgd")

    def test_cupys_conversions_all_end_in_the_method_that_is_counted(self, modules):
        """With CuPy's wheel and no GPU: an array whose memory is never looked at."""
        cupy = pytest.importorskip("cupy")
        host = np.zeros(4)
        memory = cupy.cuda.UnownedMemory(host.ctypes.data, host.nbytes, host, device_id=0)
        x = cupy.ndarray((), np.float64, memptr=cupy.cuda.MemoryPointer(memory, 0))
        plain = cupy.ndarray.get
        cupy.ndarray.get = lambda self, *args, **options: np.asarray(3.0)
        try:
            with modules.syncs.counted(SimpleNamespace(backend=SimpleNamespace(name="cupy"))) as places:
                values = [float(x), int(x), bool(x), x.item(), x.tolist(), float(cupy.asnumpy(x)), f"{x}"]
            assert values == [3.0, 3, True, 3.0, 3.0, 3.0, "3.0"]
            assert places.total() == len(values)
        finally:
            del cupy.ndarray.get
        assert cupy.ndarray.get is plain


def test_without_safetensors_the_saving_check_says_so(modules, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "safetensors" else found(n))
    with pytest.raises(modules.checks.Skip, match="safetensors is not installed"):
        modules.trainings.saved(modules.machine.Machine("numpy"))


def test_levenberg_by_hand_in_torch_is_that_by_hand_in_numpy(modules):
    torch = pytest.importorskip("torch")
    regression = importlib.import_module("_regression")
    task = regression.Task((3, 5, 2), 40, 1e-3, limit=20.0)
    theirs, ours = regression.ByHand(task), modules.lm_in_torch.Levenberg(task, "cpu")
    h, r, last = theirs.forward(np.concatenate([part.ravel() for part in task.start(0)]))
    found = ours.forward(ours.start)
    np.testing.assert_allclose(found[1].numpy(), r, atol=1e-15)
    jacobian = ours.jacobian(torch.from_numpy(h), torch.from_numpy(last)).numpy()
    np.testing.assert_allclose(jacobian, theirs.jacobian(h, last), atol=1e-15)
    assert ours.run().cost <= task.goal
