"""Machine code is compiled once: for all dtypes, methods and forms together, and for all processes on a machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mergealgebra.engine.backends import backend
from mergealgebra.kernels import machine_code

ROOT = Path(__file__).parent.parent.parent

#: Merges on numba in every dtype, form and method, with trim and without; prints whether something was compiled.
_MERGES = """
import json, sys
import ml_dtypes, numpy as np
import mergealgebra as ma
from mergealgebra.algebra.trim import ALL, around
from mergealgebra.kernels import machine_code
from mergealgebra.kernels.blocks import Part
from mergealgebra.kernels.cpu import NumbaKernel

told, real = [], machine_code._compile
machine_code._compile = lambda names: (told.extend(names), real(names))[1]
recipes = [ma.Ties(), ma.Ties(density="0.5"), ma.Ties(density="0.5", boundary="lowest_index"), ma.Mean(),
           ma.TaskArithmetic(lambda_="0"), ma.Linear(), ma.DareTies(density="0.5", trim_density="0.5")]
for dtype in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16):
    base = {"w": np.arange(7).astype(dtype)}
    for other in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16):
        vectors = [{"w": np.ones(7, other)}, {"w": np.arange(7).astype(other)}]
        for recipe in recipes:
            assert ma.merge(base, vectors, recipe, ["1", "0.5"], backend="numba", threads=2).backend == "numba"
        for form in ("finetuned", "task_vector"):
            for window in (ALL, around(1 << 29)):
                part = Part(vectors[1]["w"], form, 1.0)
                assert NumbaKernel().count(base["w"], part, window, np.zeros(window.bins + 1, np.int64))
print(json.dumps({"compiled": told, "numba": "numba" in sys.modules}))
"""


def test_what_one_process_compiled_serves_all_merges_of_the_next():
    """None of them compiles anything, or even imports the compiler."""
    backend("numba")
    command = [sys.executable, "-c", _MERGES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"compiled": [], "numba": False}


@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME", None])
def test_a_kernel_can_be_had_whoever_asks(monkeypatch, tmp_path, variable):
    """A container often runs as a user without a home, from a disk that is read-only."""
    name = "count_block"
    backend("numba")
    code = machine_code._kept(next(machine_code._folder().glob(f"{name}-{machine_code._key()}.*")))

    def unknown(_):
        raise KeyError("getpwuid(): uid not found: 12345")

    for other in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(other, raising=False)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr(machine_code, "_loaded", {})
    monkeypatch.setattr(machine_code, "_compile", lambda names: dict.fromkeys(names, code).items())
    told: list[int] = []
    machine_code.load([name], lambda done, _: told.append(done))
    assert callable(machine_code.entry(name))
    assert told == [0, 1]
    assert len(list(tmp_path.rglob("*.machine-code"))) == (1 if variable else 0)
