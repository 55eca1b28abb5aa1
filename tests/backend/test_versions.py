"""``nnx.show_versions()``: what a bug report should begin with."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest

from nnx.backend import available_backends, show_versions, versions


def test_names_python_the_packages_and_every_backend(capsys):
    show_versions()
    out = capsys.readouterr().out
    assert out.startswith(f"python: {sys.version.split()[0]} on ")
    assert f"\nnumpy: {metadata.version('numpy')}\n" in out
    for name, state in available_backends().items():
        assert f"\n  {name}: {state}" in out


def _blas_lines(monkeypatch, kernels, avx512):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    found = {
        "user_api": "blas", "internal_api": "openblas", "version": "0.3", "num_threads": 2,
        "architecture": kernels,
    }  # fmt: skip
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: [found, {"user_api": "openmp"}])
    monkeypatch.setattr(versions, "_has_avx512", lambda: avx512)
    return versions.blas()


@pytest.mark.parametrize(
    ("chosen", "remedy"),
    [
        ("", "try OPENBLAS_CORETYPE=SkylakeX in the environment."),
        ("Haswell", "OPENBLAS_CORETYPE=Haswell in the environment rules it out."),
    ],
)
def test_says_where_the_matrix_products_do_not_use_the_processor(monkeypatch, chosen, remedy):
    monkeypatch.setenv("OPENBLAS_CORETYPE", chosen)
    lines = _blas_lines(monkeypatch, "Haswell", True)
    assert lines[0] == "openblas 0.3, kernels for Haswell, 2 threads"
    assert lines[1] == f"  This processor has AVX-512: {remedy}"


@pytest.mark.parametrize(("kernels", "avx512"), [("SkylakeX", True), ("Haswell", False)])
def test_says_no_more_where_they_do(monkeypatch, kernels, avx512):
    assert len(_blas_lines(monkeypatch, kernels, avx512)) == 1


def test_without_threadpoolctl_nothing_is_said_of_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    assert versions.blas() == []
