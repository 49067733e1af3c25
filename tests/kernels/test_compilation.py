"""The fused kernel is compiled once: for all dtypes, methods and forms together, and for all processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

#: Merges on numba in every dtype, form and method, with trim and without; prints what was compiled on the way.
_MERGES = """
import json
import ml_dtypes, numpy as np
import mergealgebra as ma
from mergealgebra.engine.backends import backend
from mergealgebra.kernels.blocks import Part
from mergealgebra.algebra.trim import ALL, around
from mergealgebra.kernels.fused.count import count
from mergealgebra.kernels.fused.reduce import reduce

recipes = [ma.Ties(), ma.Ties(density="0.5"), ma.Ties(density="0.5", boundary="lowest_index"), ma.Mean(),
           ma.TaskArithmetic(lambda_="0")]
for dtype in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16):
    base = {"w": np.arange(7).astype(dtype)}
    for other in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16):
        vectors = [{"w": np.ones(7, other)}, {"w": np.arange(7).astype(other)}]
        for recipe in recipes:
            assert ma.merge(base, vectors, recipe, ["1", "0.5"], backend="numba", threads=2).backend == "numba"
        for form in ("finetuned", "task_vector"):
            for window in (ALL, around(1 << 29)):
                part = Part(vectors[1]["w"], form, 1.0, 0, 7)
                assert backend("numba").count(base["w"], part, window, np.zeros(window.bins + 1, np.int64))
found = {"signatures": [len(f.signatures) for f in (reduce, count)],
         "compiled": sum(sum(f.stats.cache_misses.values()) for f in (reduce, count)),
         "loaded": sum(sum(f.stats.cache_hits.values()) for f in (reduce, count))}
print(json.dumps(found))
"""


def in_a_process(code: str, **environment: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_second_process_compiles_nothing():
    """Nor does the first one compile a kernel twice, whatever it is given."""
    first, second = (json.loads(in_a_process(_MERGES)) for _ in range(2))
    assert first["signatures"] == second["signatures"] == [1, 1]
    assert first["compiled"] + first["loaded"] == 2
    assert (second["compiled"], second["loaded"]) == (0, 2)


#: Loads the kernel where nothing can be written, as in a container with a read-only disk.
_READ_ONLY = """
import tempfile
import numba

def refuse(*_, **__):
    raise OSError(30, "Read-only file system")

tempfile.TemporaryFile = refuse  # how Numba finds out whether it may write to a folder
from mergealgebra.engine.backends import backend
print(backend("auto").name, backend("numba").name)
"""


@pytest.mark.clause("MG-8")
def test_the_kernel_needs_no_place_for_what_is_compiled():
    assert in_a_process(_READ_ONLY) == "numba numba\n"
