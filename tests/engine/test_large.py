"""Models of any size are merged in little memory: half a gigabyte of base, and three fine-tunes as large."""

from __future__ import annotations

import shutil

import pytest

from tests.engine.large import BYTES, measured, write_models

CONFIG = """\
method: ties
density: "0.2"
base: base
models: [{path: ft0}, {path: ft1, coefficient: "0.5"}, {path: ft2}]
"""

#: 121 MB were measured, of which 60 MB are Python, NumPy and Pydantic; the four models are 2,147 MB.
PEAK = 240_000_000


@pytest.fixture
def folder(tmp_path):
    """A folder with the models. Pytest would keep gigabytes of the last runs, so it goes at the end."""
    write_models(tmp_path, fine_tunes=3)
    (tmp_path / "merge.yaml").write_text(CONFIG)
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.clause("MG-8")
def test_a_large_model_is_merged_in_a_fraction_of_its_size(folder, capsys):
    assert BYTES >= 500_000_000
    first = measured("merge", folder / "merge.yaml", folder / "one", "--threads", "2")
    second = measured("merge", folder / "merge.yaml", folder / "two", "--threads", "3", "--block", "50000")
    with capsys.disabled():
        print(f"\npeak memory of a merge: {first.peak:,} and {second.peak:,} bytes, for 4 models of {BYTES:,} each")
    assert max(first.peak, second.peak) < PEAK < BYTES / 2
    assert first.printed["model_root"] == second.printed["model_root"]
    assert (folder / "one" / "merge.lock").read_bytes() == (folder / "two" / "merge.lock").read_bytes()
    assert (folder / "one" / "model.safetensors").stat().st_size > BYTES
