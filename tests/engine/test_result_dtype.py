"""Merged models of another dtype than the base's: on every backend, in files, and beside them."""

from __future__ import annotations

import json
from itertools import product

import ml_dtypes
import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.errors import AggregateError, Overflow, RecipeError
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.methods.merges import DTYPES, bits
from tests.models import write_file, write_folder

RANDOM = np.random.default_rng(3)
BASE, *TUNED = ({"w": RANDOM.normal(size=(4, 5)), "b": RANDOM.normal(size=7)} for _ in range(3))


def in_dtype(model, dtype):
    return {name: array.astype(DTYPES[dtype]) for name, array in model.items()}


@pytest.mark.clause("RC-15", "MG-8")
@pytest.mark.parametrize(("own", "out"), product(DTYPES, DTYPES))
def test_backends_and_cuts_give_the_same_bits(own, out):
    base, vectors = in_dtype(BASE, own), [in_dtype(model, "F32") for model in TUNED]
    for recipe in (ma.Ties(density="0.5", out_dtype=out), ma.Slerp(out_dtype=out), ma.Sce(out_dtype=out)):
        merged = ma.merge(base, vectors, recipe, backend="numpy")
        assert {array.dtype for array in merged.values()} == {np.dtype(DTYPES[out])}
        for how in ({"backend": "torch"}, {"backend": "auto"}, {"backend": "numpy", "block": 3}):
            assert bits(ma.merge(base, vectors, recipe, **how)) == bits(merged)
        if own == out:
            alone = type(recipe)(**keys_of(recipe))
            assert bits(ma.merge(base, vectors, alone)) == bits(merged)


def keys_of(recipe):
    """All but the dtype."""
    return {key: text for key, text in recipe.to_map().items() if key not in ("method", "out_dtype")}


@pytest.mark.clause("RC-15", "RC-9")
def test_a_dialect_is_rounded_to_it():
    base, vectors = in_dtype(BASE, "F64"), [in_dtype(model, "F32") for model in TUNED]
    wide = ma.merge(base, vectors, ma.Ties(dialect="mergekit-0.1.5"))
    base["n"] = np.arange(3)
    merged = ma.merge(base, vectors, ma.Ties(dialect="mergekit-0.1.5", out_dtype="BF16"))
    assert merged["n"].tolist() == [0, 1, 2]
    for name, array in wide.items():
        assert merged[name].tobytes() == array.astype(np.float32).astype(ml_dtypes.bfloat16).tobytes()


@pytest.mark.clause("RC-15", "MG-5")
@pytest.mark.parametrize("recipe", [ma.Mean(out_dtype="F16"), ma.Ties(dialect="mergekit-0.1.5", out_dtype="F16")])
def test_a_number_that_it_cannot_hold_is_named(recipe):
    base = {"a": np.float32([1, 1]), "w": np.float32([[1, 2], [3, 70000]])}
    with pytest.raises(Overflow, match=r"tensor 'w' at index \[1, 1\]: the result is 70000, beyond .* F16; choose ano"):
        ma.merge(base, [{"a": np.float32([1, 2])}], recipe)


@pytest.mark.clause("RC-15")
@pytest.mark.parametrize(
    ("text", "message"),
    [("torch.bfloat16", "'torch.bfloat16' is unknown; write BF16"), ("I64", "expected one of F64, F32, BF16, F16")],
)
def test_another_name_is_refused(text, message):
    with pytest.raises(RecipeError, match=f"ties: out_dtype: .*{message}"):
        ma.Ties(out_dtype=text)


CONFIG = {"torch_dtype": "float32", "hidden": 3, "text_config": {"dtype": "float32", "torch_dtype": None}}


@pytest.mark.clause("RC-15", "LK-6", "EX-8")
def test_files_lock_and_configuration_say_it(tmp_path):
    write_folder(tmp_path / "base", in_dtype(BASE, "F32"))
    (tmp_path / "base" / "config.json").write_text(json.dumps(CONFIG))
    for number, model in enumerate(TUNED):
        write_file(tmp_path / f"{number}.safetensors", in_dtype(model, "F32"))
    workspace = ma.Workspace.init(
        tmp_path / "w", base=tmp_path / "base", recipe=ma.Ties(out_dtype="BF16"), as_name="alice"
    )
    for number in range(2):
        workspace.contribute(tmp_path / f"{number}.safetensors", force=True)
    result = workspace.resolve(tmp_path / "out", keep_aggregate="always")
    assert "out_dtype" in result.aggregate.problem
    assert ma.verify(tmp_path / "out", against=workspace).ok
    with Checkpoint.open(tmp_path / "out") as merged:
        assert {record.dtype for record in merged.records.values()} == {"BF16"}
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == {
        "torch_dtype": "bfloat16",
        "hidden": 3,
        "text_config": {"dtype": "bfloat16", "torch_dtype": None},
    }
    one = workspace.resolve(tmp_path / "one.safetensors")
    assert one.model_root == result.model_root
    with pytest.raises(AggregateError, match="out_dtype is of a merged model"):
        ma.Aggregate.lift(ma.Ties(out_dtype="BF16"), "one", in_dtype(TUNED[0], "F32"))
