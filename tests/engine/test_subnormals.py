"""A thread that reads or writes subnormal numbers as zero would give other bits, so it is refused [MG-9]."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from tests.engine.scenes import merged

#: Prints what became of merges in a process where the main thread, or only the worker threads, flush.
_FLUSHING = """
import functools, json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np, torch
import mergealgebra as ma
from mergealgebra.engine import executors
from mergealgebra.execution import Execution
from tests.engine.scenes import merged
from tests.models import fine_tune, write_file

root, found = Path(sys.argv[1]), {}

def note(name, action):
    try:
        action()
        found[name] = "done"
    except ma.MergeAlgebraError as error:
        found[name] = type(error).__name__ + ": " + str(error)

def note_all(who, threads):
    for backend in ("numpy", "torch", "numba"):
        for count in threads:
            execution = Execution(backend, threads=count, block=16)
            where = f"{who} {backend} {count}".replace(" ", "-")
            note(f"{who}, {backend}, {count} threads", lambda: merged(root / where, execution=execution))

base = {"w": np.ones(3, np.float32)}
workspace = ma.Workspace.init(root / "w", base=write_file(root / "base.safetensors", base), recipe=ma.Mean())
tuned = write_file(root / "ft.safetensors", {"w": np.float32([1, 2, 3])})

assert torch.set_flush_denormal(True)
note_all("main", (1, 2))
note("main, in memory", lambda: ma.merge(base, [base], ma.Mean()))
note("main, in memory, numba", lambda: ma.merge(base, [base], ma.Mean(), backend="numba"))
note("main, contribute", lambda: workspace.contribute(tuned, threads=1))
torch.set_flush_denormal(False)
note_all("nobody", (1, 2))
note("nobody, contribute", lambda: workspace.contribute(tuned, threads=1))
executors.ThreadPoolExecutor = functools.partial(
    ThreadPoolExecutor, initializer=lambda: torch.set_flush_denormal(True)
)
note_all("workers", (2,))
print(json.dumps(found))
"""


@pytest.mark.clause("MG-9")
def test_merges_are_refused_where_subnormals_are_flushed(tmp_path):
    root = Path(__file__).parent.parent.parent
    command = [sys.executable, "-c", _FLUSHING, str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == 6 + 3 + 6 + 1 + 3
    for name, outcome in found.items():
        if name.startswith("nobody"):
            assert outcome == "done", name
        else:
            assert outcome.startswith("SubnormalsFlushed: this process flushes subnormal numbers to zero"), name
            assert "set_flush_denormal" in outcome
    made = {path.parent.name for path in tmp_path.rglob("out")}
    assert made == {f"nobody-{backend}-{threads}" for backend in ("numpy", "torch", "numba") for threads in (1, 2)}


@pytest.mark.clause("MG-9")
def test_a_thread_that_flushes_by_itself_is_no_matter(tmp_path):
    """Only the threads that compute count: here some other thread flushes."""
    other = threading.Thread(target=lambda: torch.set_flush_denormal(True))
    other.start()
    other.join()
    merged(tmp_path)
