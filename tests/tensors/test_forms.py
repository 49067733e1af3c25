"""Forms: what is stored under which names, and the task vector that factors stand for, block by block."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mergealgebra.crdt.manifest import FORMS, KINDS
from mergealgebra.errors import CheckpointError, DtypeError, DuplicateName, NamesError, ShapeError
from mergealgebra.tensors import auxiliary
from mergealgebra.tensors.array_checkpoint import ArrayCheckpoint
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.form_names import SUFFIXES
from mergealgebra.tensors.forms import Formed
from tests.models import write_file

ROWS, COLUMNS, RANK = 37, 53, 5


def factors(name="w", seed=0, dtype=np.float32, rows=ROWS, columns=COLUMNS, scale=0.1):
    """The stored tensors of one low-rank tensor."""
    random = np.random.default_rng(seed)
    up, down = random.standard_normal((rows, RANK)), random.standard_normal((RANK, columns))
    return {
        f"{name}.low_rank_up": up.astype(dtype),
        f"{name}.low_rank_down": down.astype(dtype),
        f"{name}.low_rank_scale": np.array(scale),
    }


def multiplied_out(stored, name="w"):
    """tau, as the clause says it, in whole arrays."""
    up, down = (stored[f"{name}.low_rank_{side}"].astype(np.float32).astype(np.float64) for side in ("up", "down"))
    flat = down.reshape(down.shape[0], -1)
    total = np.zeros((up.shape[0], flat.shape[1]))
    for k in range(flat.shape[0]):
        total = total + up[:, k, None] * flat[k]
    tau = (np.float64(stored[f"{name}.low_rank_scale"]) * total).astype(np.float32) + np.float32(0)
    return tau.reshape(up.shape[0], *down.shape[1:])


def test_names_are_those_of_manifests():
    assert tuple(sorted(SUFFIXES)) == FORMS
    assert (auxiliary.FISHER, auxiliary.GRAM) == KINDS


@pytest.mark.clause("CT-14")
class TestFactors:
    @pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
    @pytest.mark.parametrize("block", [1, 7, COLUMNS, COLUMNS * 3 + 1, ROWS * COLUMNS])
    def test_are_multiplied_for_the_block_that_is_asked_for(self, block, dtype):
        stored = factors(dtype=dtype)
        held = Formed(ArrayCheckpoint(stored, "it"))
        size = ROWS * COLUMNS
        found = [held.read("w", start, min(start + block, size)) for start in range(0, size, block)]
        assert np.concatenate(found).tobytes() == multiplied_out(stored).tobytes()

    @pytest.mark.parametrize(("rows", "columns"), [(2, 40_000), (9_000, 4)], ids=["wide", "tall"])
    def test_are_multiplied_in_pieces_of_any_matrix(self, rows, columns):
        stored = factors(rows=rows, columns=columns)
        held = Formed(ArrayCheckpoint(stored, "it"))
        expected = multiplied_out(stored).reshape(-1)
        assert held.read("w").tobytes() == expected.tobytes()
        assert held.read("w", 17, rows * columns - 5).tobytes() == expected[17:-5].tobytes()

    def test_fill_the_memory_that_is_given(self):
        held = Formed(ArrayCheckpoint(factors(), "it"))
        memory = np.zeros(4 * COLUMNS, np.uint8)
        held.read("w", COLUMNS, 2 * COLUMNS, memory.data)
        assert memory.tobytes() == held.read("w", COLUMNS, 2 * COLUMNS).tobytes()

    def test_are_read_by_threads_at_a_time(self):
        stored = {**factors("w", 1), **factors("v", 2)}
        held = Formed(ArrayCheckpoint(stored, "it"))
        expected = {name: multiplied_out(stored, name).reshape(-1) for name in ("w", "v")}
        asked = [(name, start) for start in range(0, ROWS * COLUMNS - 90, 90) for name in ("w", "v")]
        with ThreadPoolExecutor(4) as pool:
            found = pool.map(lambda one: held.read(one[0], one[1], one[1] + 90), asked)
            for (name, start), tau in zip(asked, found, strict=True):
                assert tau.tobytes() == expected[name][start : start + 90].tobytes()

    def test_that_changed_between_two_looks_are_refused(self):
        stored = ArrayCheckpoint({**factors("w", 1), **factors("v", 2)}, "it")
        held = Formed(stored)
        held.read("w", 0, 1)
        held.read("v", 0, 1)  # so that the first are loaded again
        stored._bytes[stored.records["w.low_rank_up"].offset][0] ^= 1
        with pytest.raises(
            CheckpointError, match=r"it: tensor 'w.low_rank_up' changed while it was read; run it again"
        ):
            held.read("w", 0, 1)

    def test_have_the_roots_of_what_was_computed_with(self, tmp_path):
        with Checkpoint.open(write_file(tmp_path / "f.safetensors", factors())) as stored:
            held = Formed(stored)
            held.read("w", 0, 1)
            assert (
                held.stored_roots({}, ["w"]) == stored.roots() == held.roots() == Formed(stored).stored_roots({}, "w")
            )

    def test_travel(self, tmp_path):
        held = Formed(Checkpoint.open(write_file(tmp_path / "f.safetensors", factors())))
        tau = held.read("w")
        there = pickle.loads(pickle.dumps(held))
        assert there.read("w").tobytes() == tau.tobytes()
        assert there._roots == held._roots != {}


@pytest.mark.clause("CT-13")
class TestNames:
    def test_say_how_a_tensor_is_stored(self):
        held = Formed(ArrayCheckpoint({**factors(), "b": np.ones(3), "k.task_vector": np.ones((2, 2))}, "it"))
        assert dict(held.forms) == {"w": "low_rank", "b": "finetuned", "k": "task_vector"}
        assert held.computed == {"w"}
        assert list(held.records) == ["b", "k", "w"]
        assert [held.records[name].shape for name in held.records] == [(3,), (2, 2), (ROWS, COLUMNS)]
        assert held.stored_names(["k", "b"]) == ["b", "k.task_vector"]
        assert held.read("k", 1, 3).tolist() == [1, 1]

    def test_of_copies_are_copied_in_their_form(self):
        held = Formed(ArrayCheckpoint(factors(), "it")).with_copies({"head": "w"})
        assert held.read("head").tobytes() == held.read("w").tobytes()
        assert held.stored_names(["head"]) == ["head.low_rank_down", "head.low_rank_scale", "head.low_rank_up"]

    REFUSED = {  # noqa: RUF012 - a table
        "no scale": ({"w.low_rank_scale": None}, NamesError, "'w.low_rank_scale' is missing beside the rest of 'w'"),
        "no up": ({"w.low_rank_up": None}, NamesError, "'w.low_rank_up' is missing"),
        "two forms": ({"w": np.ones((ROWS, COLUMNS))}, DuplicateName, "'w' is there as finetuned and as low_rank"),
        "scale as fp32": ({"w.low_rank_scale": np.float32(1)}, DtypeError, "write the scale as F64"),
        "scale with an axis": ({"w.low_rank_scale": np.ones(1)}, ShapeError, r"has shape \[1\]; write one number"),
        "two ranks": ({"w.low_rank_up": np.ones((2, 4), np.float32)}, ShapeError, r"shapes \[2, 4\] and \[5, 53\]"),
        "integers": ({"w.low_rank_down": np.ones((5, 3), np.int64)}, DtypeError, "is I64; write factors as floats"),
    }

    @pytest.mark.parametrize(("change", "error", "message"), REFUSED.values(), ids=REFUSED)
    def test_that_do_not_fit_are_refused(self, change, error, message):
        stored = {name: array for name, array in {**factors(), **change}.items() if array is not None}
        with pytest.raises(error, match=message):
            Formed(ArrayCheckpoint(stored, "it"))

    def test_of_factors_of_too_much_are_refused(self):
        stored = {
            "w.low_rank_up": np.zeros((1 << 20, 1), np.float32),
            "w.low_rank_scale": np.array(1.0),
            "w.low_rank_down": np.broadcast_to(np.float32(0), (1, 1 << 20)),
        }
        held = Formed(ArrayCheckpoint(stored, "it"))
        assert held.records["w"].size == 1 << 40
        assert held.read("w", (1 << 40) - 3).tolist() == [0, 0, 0]
