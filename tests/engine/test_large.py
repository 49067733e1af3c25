"""Models of any size are merged in little memory: half a gigabyte of base, and contributions as large."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.engine.large import measured, write_models

#: Eight contributions of three fine-tunes: another coefficient makes another contribution.
COEFFICIENTS = ("1", "0.5", "0.25")
CONTRIBUTIONS = [{"path": f"ft{i % 3}", "coefficient": COEFFICIENTS[i // 3]} for i in range(8)]


def write_config(path, contributions, scope="model"):
    models = CONTRIBUTIONS[:contributions]
    config = {"method": "ties", "density": "0.2", "scope": scope, "base": "base", "models": models}
    path.write_text(json.dumps(config))
    return path


#: What may be taken beyond the program itself, if nobody says otherwise.
BEYOND = 400_000_000
#: How much more memory a model of four times the size may need.
GROWTH = 30_000_000
#: What is given on the command line, and what Python and the system may round that up by.
MEMORY, ROUNDING = 64 << 20, 24_000_000


@pytest.fixture
def folder(tmp_path):
    """A folder for gigabytes, of which pytest would keep the last three, so it goes at the end."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.clause("MG-8")
def test_memory_does_not_grow_with_the_model(folder, capsys):
    """Nor do threads, memory, backend and the size of blocks change a byte of what is written."""
    sizes, runs = {}, {}
    for name, layers in {"large": 26, "small": 2}.items():
        sizes[name] = write_models(folder / name, fine_tunes=3, layers=layers)
        config = write_config(folder / name / "three.yaml", 3)
        runs[name] = measured("merge", config, folder / name / "three", "--threads", "2")
    by_tensor = write_config(folder / "large" / "tensor.yaml", 3, scope="tensor")
    runs["tensor"] = measured("merge", by_tensor, folder / "large" / "tensor", "--threads", "2", "--memory", "64M")
    small = folder / "small"
    write_config(small / "eight.yaml", 8)
    for name, config, backend, more in (
        ("eight", "eight.yaml", "auto", ()),
        ("tight", "eight.yaml", "numba", ("--threads", "8", "--memory", "64M")),
        ("numpy", "three.yaml", "numpy", ("--threads", "3", "--block", "50000")),
    ):
        runs[name] = measured("merge", small / config, small / name, *more, backend=backend)
    with capsys.disabled():
        peaks = ", ".join(f"{name} {run.beyond:,} ({run.peak:,})" for name, run in runs.items())
        print(f"\nbytes beyond the program (in all): {peaks}; models of {sizes['large']:,} or {sizes['small']:,}")
    assert sizes["large"] >= 500_000_000
    assert max(run.beyond for run in runs.values()) < BEYOND
    assert runs["large"].peak < runs["small"].peak + GROWTH
    assert max(runs["tight"].beyond, runs["tensor"].beyond) < MEMORY + ROUNDING  # 81 thresholds to find at once
    for one, same in (("three", "numpy"), ("eight", "tight")):
        files = [small / name / "model.safetensors" for name in (one, same)]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert [run.printed["backend"] for run in runs.values()] == ["numba"] * 5 + ["numpy"]
