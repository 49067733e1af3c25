"""Dtypes that are copied and never computed with: equal tensors pass through a merge, others are refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.errors import DtypeError, IntegerTensorChanged
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.lock import verify_model
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.dtypes import DTYPES, UNMERGED
from mergealgebra.tensors.task_vector import TaskVector
from tests.models import write_raw

pytestmark = pytest.mark.clause("EN-12", "TV-7")

SHAPE = (16, 16)
#: A NaN and a negative zero of most of them are among these bytes.
BYTES = bytes(range(256)) * 8


def model(path, weight, changed="", dtypes=None):
    """A file with a weight, and one tensor of each of the dtypes; one of those has its last byte changed."""
    header, stored = {}, b""
    tensors = {name.lower(): (dtype, SHAPE) for name, dtype in (dtypes or {n: n for n in UNMERGED}).items()}
    for name, (dtype, shape) in {**tensors, "w": ("F32", (2,))}.items():
        piece = (
            np.float32([weight, 1]).tobytes() if name == "w" else BYTES[: math.prod(shape) * DTYPES[dtype].bits // 8]
        )
        if name == changed.lower():
            piece = piece[:-1] + bytes([piece[-1] ^ 1])
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(stored), len(stored) + len(piece)]}
        stored += piece
    return write_raw(path, json.dumps(header), stored)


RECIPES = {
    "ties": ma.Ties(),
    "a dialect by tensors": ma.Ties(dialect="mergekit-0.1.4"),
    "a dialect by models": ma.Ties(dialect="peft-0.21"),
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_equal_ones_pass_through_a_merge(tmp_path, recipe):
    base, tuned = (model(tmp_path / f"{weight}.safetensors", weight) for weight in (1, 3))
    merge_checkpoints(base, [Model(tuned)], recipe, tmp_path / "out")
    with Checkpoint.open(base) as old, Checkpoint.open(tmp_path / "out") as merged:
        assert merged.read("w").tolist() == [3, 1]
        for name in UNMERGED:
            record = merged.records[name.lower()]
            assert (record.dtype, record.shape) == (name, SHAPE)
            assert merged.read(name.lower()).tobytes() == old.read(name.lower()).tobytes() == BYTES[: record.nbytes]


def test_equal_ones_pass_through_a_workspace(tmp_path):
    base, tuned = (model(tmp_path / f"{weight}.safetensors", weight) for weight in (1, 3))
    workspace = ma.Workspace.init(tmp_path / "w", base=base, recipe=ma.Ties())
    workspace.contribute(tuned)
    workspace.resolve(tmp_path / "out", keep_aggregate="always")
    assert verify_model(tmp_path / "out")[1].ok
    with Checkpoint.open(tmp_path / "out") as merged:
        assert merged.read("f4").tobytes() == BYTES[:128]


@pytest.mark.parametrize("name", sorted(UNMERGED))
def test_one_that_differs_is_refused_and_can_be_left(tmp_path, name):
    base, tuned = model(tmp_path / "base.safetensors", 1), model(tmp_path / "ft.safetensors", 3, changed=name)
    workspace = ma.Workspace.init(tmp_path / "w", base=base, recipe=ma.Ties())
    with pytest.raises(IntegerTensorChanged) as caught:
        workspace.contribute(tuned)
    assert str(caught.value) == (
        f"{tuned}: tensor '{name.lower()}' ({name}) differs from the base's ({name}): {name} cannot be merged, so "
        f"convert both to F64, F32, BF16 or F16 first; leave it out with leave=[{name.lower()!r}]"
    )
    with pytest.raises(DtypeError, match=f"{name} cannot be merged, so convert both to F64, F32, BF16 or F16 first"):
        TaskVector.between(base, tuned)
    workspace.contribute(tuned, leave=(name.lower(),))
    workspace.resolve(tmp_path / "out")


def test_one_for_a_float_is_refused(tmp_path):
    base = model(tmp_path / "base.safetensors", 1, dtypes={"a": "BF16"})
    tuned = model(tmp_path / "ft.safetensors", 1, dtypes={"a": "F8_E4M3"})
    with pytest.raises(DtypeError, match="is F8_E4M3, the base's BF16: only float tensors differ: F8_E4M3 cannot be"):
        merge_checkpoints(base, [Model(tuned)], ma.Ties(), tmp_path / "out")


@pytest.mark.parametrize("whose", ["", "the base "])
def test_a_model_of_nothing_else_is_told_once(tmp_path, whose):
    kinds = [dict.fromkeys("ab", dtype) for dtype in ("F8_E4M3", "BF16")]
    base, tuned = (
        model(tmp_path / f"{i}.safetensors", 1, dtypes=kind) for i, kind in enumerate(kinds[:: 1 if whose else -1])
    )
    odd = base if whose else tuned
    with pytest.raises(
        DtypeError, match=rf"^{whose}{odd}: 2 tensors are F8_E4M3, such as 'a', and those of .* are BF16"
    ):
        merge_checkpoints(base, [Model(tuned)], ma.Ties(), tmp_path / "out")


def test_equal_ones_are_no_part_of_a_task_vector(tmp_path):
    base, tuned = (model(tmp_path / f"{weight}.safetensors", weight) for weight in (1, 3))
    assert {name: tau.tolist() for name, tau in TaskVector.between(base, tuned).items()} == {"w": [2, 0]}
