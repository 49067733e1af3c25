"""`extract`: what a model changes as a peft adapter; its errors are those of what was written."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import mergealgebra as ma
from mergealgebra.formats.models import open_model
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.cli.commands import call

HERE = Path(__file__).parent / "peft"
BASE = HERE / "base.safetensors"
#: A Python that has peft: `make adapters` says which.
PEFT = os.environ.get("MERGEALGEBRA_PEFT", "")
LOADER = Path(__file__).parents[3] / "spec" / "conformance" / "adapters.py"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model that changes tensors of every kind but the transposed ones."""
    path, random = tmp_path_factory.mktemp("model") / "model.safetensors", np.random.default_rng(2)
    tensors = load_file(BASE)
    for name, array in tensors.items():
        if ".c." not in name and ".square." not in name:
            tensors[name] = (array + random.normal(size=array.shape) / 8).astype(np.float32)
    save_file(tensors, path)
    return path


def extracted(tmp_path, model, *options):
    words = ["extract", "out", "--rank", "2", "--model", str(model), "--base", str(BASE), "--json", *options]
    return call(tmp_path, *words).printed()


@pytest.mark.clause("AD-12", "AD-13", "AD-14")
def test_the_errors_are_those_of_what_was_written(tmp_path, model):
    found = extracted(tmp_path, model)
    start, end = load_file(BASE), load_file(model)
    squares = missed = 0.0
    with Checkpoint.open(BASE) as base, open_model(tmp_path / "out", base) as held:
        assert set(held.records) == {name for name in end if not np.array_equal(start[name], end[name])}
        for name, record in held.records.items():
            wanted = end[name].astype(np.float64) - start[name]
            values = held.read(name).reshape(record.shape)
            made = values if held.forms[name] == "low_rank" else values.astype(np.float64) - start[name]
            lacking, whole = np.square(wanted - made).sum(), np.square(wanted).sum()
            squares, missed = squares + whole, missed + lacking
            error = float(found["errors"].get(name, 0))
            np.testing.assert_allclose(np.sqrt(lacking / whole), error, rtol=1e-4, atol=1e-6, err_msg=name)
            if error:  # no product of this rank is nearer
                singular = np.linalg.svd(wanted.reshape(len(wanted), -1), compute_uv=False)
                np.testing.assert_allclose(error, np.sqrt(np.square(singular[2:]).sum() / whole), rtol=1e-4)
    np.testing.assert_allclose(float(found["error"]), np.sqrt(missed / squares), rtol=1e-4)
    assert found["left_out"] == []


@pytest.mark.clause("AD-14")
def test_what_is_no_matrix_is_left_out_by_name(tmp_path, model):
    found = extracted(tmp_path, model, "--matrices-only")
    assert found["whole"] == []
    assert {"head.bias", "layers.0.norm.weight", "layers.1.experts.up"} < set(found["left_out"])
    assert json.loads((tmp_path / "out" / "adapter_config.json").read_text())["modules_to_save"] is None


@pytest.mark.clause("AD-12", "AD-13")
def test_adapters_go_in_and_one_adapter_comes_out(tmp_path):
    workspace = ma.Workspace.init(tmp_path / "team", base=BASE, recipe=ma.TaskArithmetic())
    ids = [workspace.contribute(HERE / name) for name in ("plain", "patterns", "biases")]
    lacking = call(tmp_path, "-C", "team", "extract", "all", "--rank", "6", "--json").printed()
    assert float(lacking["error"]) < 1e-6
    assert not list(tmp_path.glob(".all*"))
    one = call(
        tmp_path, "-C", "team", "extract", "one", "--rank", "2", "--contribution", ids[0][:12], "--json"
    ).printed()
    assert float(one["error"]) < 1e-6
    merged = ma.merge(BASE, [tmp_path / "all"], ma.TaskArithmetic(), out=tmp_path / "from-one")
    again = workspace.resolve(tmp_path / "from-three")
    ours, theirs = (load_file(result.out / "model.safetensors") for result in (merged, again))
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.clause("AD-12")
def test_a_model_of_another_base_and_one_that_changes_nothing_are_refused(tmp_path):
    save_file({"other": np.ones(2, np.float32)}, tmp_path / "other.safetensors")
    words = ["extract", "out", "--rank", "1", "--base", str(BASE), "--model"]
    assert "'other' is not in the base" in call(tmp_path, *words, "other.safetensors").complaint()
    assert "changes nothing" in call(tmp_path, *words, str(BASE)).complaint()
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not PEFT, reason="`make adapters` installs peft and runs this")
@pytest.mark.clause("AD-12", "AD-14")
@pytest.mark.parametrize("transposed", [False, True])
def test_peft_loads_what_was_extracted(tmp_path, model, transposed):
    base = BASE
    if transposed:
        (tmp_path / "base").mkdir()
        base = tmp_path / "base" / "model.safetensors"
        tensors = load_file(BASE)
        save_file(tensors, base)
        (base.parent / "config.json").write_text('{"model_type": "gpt2"}')
        model = tmp_path / "model.safetensors"
        save_file({n: a + np.float32(0.5) * (".c.w" in n or ".square.w" in n) for n, a in tensors.items()}, model)
    where = ["--base", str(base.parent if transposed else base), "--model", str(model)]
    call(tmp_path, "extract", "out", "--rank", "6", *where, "--json").printed()
    subprocess.run([PEFT, LOADER, "out", BASE, "peft.safetensors"], cwd=tmp_path, check=True)
    ours, wanted = load_file(tmp_path / "peft.safetensors"), load_file(model)
    for name, array in wanted.items():
        np.testing.assert_allclose(ours[name], array, rtol=1e-5, atol=2e-6, err_msg=name)
