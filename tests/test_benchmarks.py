"""The benchmarks run: all parts but the competitors, on tiny models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parent.parent / "benchmarks" / "bench.py"
#: Without `kernels`: the quick run is on NumPy, which compiles none.
PARTS = {"start", "compare", "threads", "cached", "count", "size", "incremental", "joins", "opening", "syncing"}


def test_every_part_leaves_its_figures(tmp_path):
    command = [sys.executable, str(BENCH), "--quick", "--work", str(tmp_path / "work"), "--results", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert found.keys() == PARTS
    for part, figures in found.items():
        assert figures["machine"]["cores"] > 0, part
        assert figures["measurements"], part


def test_the_figures_of_functions_are_printed():
    command = [sys.executable, str(BENCH.with_name("elementary.py")), "1000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        n for n in ("exp", "log", "tanh") for _ in "123"
    ]
