"""The tensors of the output folder: all that the base has, in as few files as its rule says."""

from __future__ import annotations

import json
import re

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open

import mergealgebra as ma
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.tensors import safetensors_file
from tests.engine.scenes import TIES, WAYS, merged, names_in, tensors_of
from tests.model_folder.folders import (
    INDEX,
    assert_equal,
    read_by_package,
)
from tests.models import DTYPES, base, fine_tune, write_file, write_folder, write_sharded


class TestTensors:
    @pytest.mark.clause("EN-17", "MG-7")
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_have_names_dtypes_and_shapes_of_the_base(self, tmp_path, dtype):
        """Also where the fine-tunes have other dtypes."""
        others = [name for name in DTYPES if name != dtype]
        merged(tmp_path, [fine_tune(number, other) for number, other in enumerate(others)], base(dtype))
        expected, found = base(dtype), read_by_package(tmp_path / "out")
        assert {name: (a.dtype, a.shape) for name, a in found.items()} == {
            name: (a.dtype, a.shape) for name, a in expected.items()
        }
        assert_equal(tensors_of(tmp_path / "out"), found)
        assert any(found[name].tobytes() != array.tobytes() for name, array in expected.items())

    @pytest.mark.clause("MG-2")
    def test_that_are_not_float_are_passed_on(self, tmp_path):
        integers = {f"i.{dtype}": np.arange(-3, 3).astype(dtype) for dtype in ("i1", "i2", "i4", "i8")}
        unsigned = {f"u.{dtype}": np.arange(250, 256).astype(dtype) for dtype in ("u1", "u2", "u4", "u8")}
        others = integers | unsigned | {"b": np.array([[True], [False]]), "z": np.zeros((2, 0), np.int32)}
        merged(tmp_path, [fine_tune(0) | others, fine_tune(1) | others], base() | others)
        found = read_by_package(tmp_path / "out")
        assert_equal({name: found[name] for name in others}, others)

    @pytest.mark.clause("MG-2")
    def test_that_nobody_holds_are_copied_with_their_nan(self, tmp_path):
        start = base() | {"old": np.float32([np.nan, -0.0, np.inf, 1])}
        tuned = [fine_tune(n) | {"old": start["old"]} for n in range(2)]
        workspace = ma.Workspace.init(tmp_path / "w", base=write_folder(tmp_path / "base", start), recipe=TIES)
        for number, tensors in enumerate(tuned):
            workspace.contribute(write_file(tmp_path / f"{number}.safetensors", tensors), leave=["old"])
        workspace.resolve(tmp_path / "out")
        assert tensors_of(tmp_path / "out")["old"].tobytes() == start["old"].tobytes()
        merged(tmp_path / "unchanged", tuned, start)
        assert tensors_of(tmp_path / "unchanged" / "out")["old"].tobytes() == start["old"].tobytes()

    @pytest.mark.clause("EN-6", "MG-7")
    def test_without_elements_or_dimensions_are_there(self, tmp_path):
        start = {
            "a.none": np.zeros((0,), np.float32),
            "b.scalar": np.array(1.5, ml_dtypes.bfloat16),
            "c.none": np.zeros((2, 0, 3), np.float16),
            "d": np.float32([1, 2, 3]),
            "e.count": np.array(7),
            "f.none": np.zeros((0, 5), np.float64),
        }
        tuned = start | {"b.scalar": np.array(2.5, ml_dtypes.bfloat16), "d": np.float32([2, 2, 2])}
        for name, way in WAYS.items():
            merged(tmp_path / name, [tuned], start, ma.Ties(density="0.75"), way)
            assert_equal(read_by_package(tmp_path / name / "out"), tuned | {"d": np.float32([2, 2, 2])})

    def test_may_all_be_empty(self, tmp_path):
        start = {"a": np.zeros((0,), np.float32), "b": np.zeros((0, 2), np.int64)}
        result = merged(tmp_path, [start], start)
        assert result.lock.achieved_density == "0.000000"
        assert_equal(read_by_package(tmp_path / "out"), start)

    @pytest.mark.clause("EN-17")
    def test_have_any_name_that_a_file_can_hold(self, tmp_path):
        names = ["", "\u00e9", "e\u0301", 'quo"te', "back\\slash", "new\nline", "\u0001", "\U0001f600", "a/b", ".."]
        start = {name: np.float32([1, 2]) for name in names}
        merged(tmp_path, [{name: np.float32([2, 2]) for name in names}], start)
        assert_equal(read_by_package(tmp_path / "out"), {name: np.float32([2, 2]) for name in names})
        assert ma.verify(tmp_path / "out").ok


@pytest.mark.clause("EN-18", "EN-19")
class TestShards:
    @pytest.mark.parametrize("limit", [1, 64, 200, 400, 10_000])
    def test_are_read_by_the_package_and_verify(self, tmp_path, monkeypatch, limit):
        whole = merged(tmp_path)
        monkeypatch.setattr(safetensors_file, "SHARD_BYTES", limit)
        result = merged(tmp_path, out="sharded", execution=WAYS["blocks of seven"])
        assert result.model_root == whole.model_root
        assert_equal(read_by_package(tmp_path / "sharded"), read_by_package(tmp_path / "out"))
        assert ma.verify(tmp_path / "sharded").ok
        shards = sorted(path.name for path in (tmp_path / "sharded").glob("*.safetensors"))
        count = len(shards)
        if count == 1:
            assert shards == ["model.safetensors"]
            assert not (tmp_path / "sharded" / INDEX).exists()
        else:
            assert shards == [f"model-{i:05}-of-{count:05}.safetensors" for i in range(1, count + 1)]
        assert (count == 1) == (limit == 10_000)

    def test_have_an_index_as_others_write_it(self, tmp_path, monkeypatch):
        monkeypatch.setattr(safetensors_file, "SHARD_BYTES", 200)
        merged(tmp_path)
        index = json.loads((tmp_path / "out" / INDEX).read_bytes())
        assert list(index) == ["metadata", "weight_map"]
        assert index["metadata"] == {"total_size": sum(array.nbytes for array in base().values())}
        assert list(index["weight_map"]) == sorted(base(), key=str.encode)
        for name in base():
            with safe_open(tmp_path / "out" / index["weight_map"][name], "np") as file:
                assert name in file.keys()  # noqa: SIM118 - the package's object is no mapping

    def test_of_the_base_leave_no_trace(self, tmp_path):
        """A base of many shards and one of a single file give the same folder, to the last byte."""
        merged(tmp_path)
        sharded = write_sharded(tmp_path / "sharded" / "base", base(), 3)
        models = [Model(tmp_path / f"ft{number}.safetensors") for number in range(3)]
        merge_checkpoints(sharded, models, TIES, tmp_path / "again", WAYS["one thread"])
        assert names_in(tmp_path / "out") == names_in(tmp_path / "again")
        for path in (tmp_path / "out").iterdir():
            assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name

    @pytest.mark.parametrize("limit", [64, 10_000])
    def test_are_equal_files_for_equal_models(self, tmp_path, monkeypatch, limit):
        monkeypatch.setattr(safetensors_file, "SHARD_BYTES", limit)
        folders = []
        for name, way in WAYS.items():
            merged(tmp_path / name, execution=way)
            folders.append(tmp_path / name / "out")
        for folder in folders[1:]:
            assert names_in(folder) == names_in(folders[0])
            for path in folders[0].iterdir():
                ours, theirs = path.read_bytes(), (folder / path.name).read_bytes()
                assert ours == re.sub(rb'"backend": "(torch|numba)"', b'"backend": "numpy"', theirs), path
