"""Models of any size are merged in little memory: half a gigabyte of base, and three fine-tunes as large."""

from __future__ import annotations

import shutil

import pytest

from tests.engine.large import measured, write_models

CONFIG = """\
method: ties
density: "0.2"
base: base
models: [{path: ft0}, {path: ft1, coefficient: "0.5"}, {path: ft2}]
"""

#: 121 MB were measured for either size, of which 60 MB are Python, NumPy and Pydantic.
PEAK = 240_000_000
#: How much more memory a model of four times the size may need.
GROWTH = 30_000_000


@pytest.fixture
def folder(tmp_path):
    """A folder for gigabytes, of which pytest would keep the last three, so it goes at the end."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.clause("MG-8")
def test_memory_does_not_grow_with_the_model(folder, capsys):
    """Nor do threads and the size of blocks change a byte of what is written."""
    sizes, runs = {}, {}
    for name, layers in {"large": 26, "small": 4}.items():
        sizes[name] = write_models(folder / name, fine_tunes=3, layers=layers)
        (folder / name / "merge.yaml").write_text(CONFIG)
        runs[name] = measured("merge", folder / name / "merge.yaml", folder / name / "out", "--threads", "2")
    other = ("--threads", "3", "--block", "50000")
    runs["again"] = measured("merge", folder / "small" / "merge.yaml", folder / "small" / "again", *other)
    with capsys.disabled():
        peaks = ", ".join(f"{name} {run.peak:,}" for name, run in runs.items())
        print(
            f"\npeak memory in bytes: {peaks}; for four models of {sizes['large']:,} or {sizes['small']:,} bytes each"
        )
    assert sizes["large"] >= 500_000_000
    assert max(run.peak for run in runs.values()) < PEAK < sizes["large"] / 2
    assert runs["large"].peak < runs["small"].peak + GROWTH
    for file in ("model.safetensors", "merge.lock"):
        one, two = (folder / "small" / out / file for out in ("out", "again"))
        assert one.read_bytes() == two.read_bytes()
    assert runs["small"].printed["model_root"] == runs["again"].printed["model_root"]
