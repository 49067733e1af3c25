"""Contributions from arrays in memory: the same as of the file that holds them."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch

import mergealgebra as ma
from mergealgebra.errors import (
    CheckpointError,
    DtypeError,
    Implausible,
    MergeAlgebraWarning,
    NamesError,
    NonFinite,
    OperationError,
)
from tests.models import base, fine_tune, task_vector, with_value, write_file, write_folder


@pytest.fixture
def workspace(tmp_path):
    return ma.Workspace.init(tmp_path / "w", base=write_folder(tmp_path / "base", base()), recipe=ma.Ties())


def as_torch(tensors):
    return {name: torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape)) for name, array in tensors.items()}


def transposed(tensors):
    """The same elements, not one after the other."""
    return {name: np.array(array, order="F") for name, array in tensors.items()}


@pytest.mark.clause("CT-1", "CT-9")
class TestArrays:
    @pytest.mark.parametrize("convert", [dict, as_torch, transposed])
    def test_are_the_contribution_of_their_file(self, workspace, tmp_path, convert):
        path = write_file(tmp_path / "ft.safetensors", fine_tune(0))
        given = convert(fine_tune(0))
        made = workspace.contribute(given, "0.5")
        assert made == workspace.contribute(path, "0.5")
        assert made.measure == workspace.contribute(path, "0.5").measure
        assert workspace.visible()[made].form == "finetuned"
        workspace.resolve(tmp_path / "out")
        assert ma.verify(tmp_path / "out", against=workspace.path).ok
        assert ma.verify(tmp_path / "out", against=workspace, progress=None).ok

    def test_resolved_to_a_file_warn_of_what_it_lacks(self, workspace, tmp_path):
        workspace.contribute(fine_tune(0), progress=None)
        with pytest.warns(MergeAlgebraWarning, match="one file holds the tensors alone") as warned:
            result = workspace.resolve(tmp_path / "out.safetensors", memory="300M", progress=None)
        assert [str(warning.message) for warning in warned] == list(result.warnings)

    def test_of_a_task_vector_are_a_task_vector(self, workspace, tmp_path):
        vector = ma.TaskVector.between(base(), fine_tune(0))
        made = workspace.contribute(vector)
        path = write_file(tmp_path / "tau.safetensors", dict(vector))
        assert (
            made
            == workspace.contribute(path, form="task_vector")
            == workspace.contribute(dict(vector), form="task_vector")
        )
        assert workspace.visible()[made].form == "task_vector"

    def test_keep_their_dtypes(self, workspace, tmp_path):
        tuned = fine_tune(0) | {"embed.weight": fine_tune(0)["embed.weight"].astype(ml_dtypes.bfloat16)}
        path = write_file(tmp_path / "ft.safetensors", tuned)
        assert workspace.contribute(tuned) == workspace.contribute(path)

    @pytest.mark.clause("CT-8")
    def test_are_chosen_by_patterns(self, workspace):
        made = workspace.contribute(fine_tune(0), take=["embed.*"])
        assert workspace.visible()[made].elements == 64

    @pytest.mark.clause("TV-11")
    def test_that_lack_a_tied_head_have_the_embedding(self, tmp_path):
        same = np.float32([[1, 2], [3, 4]])
        start = write_file(tmp_path / "b.safetensors", {"lm_head.weight": same, "embed_tokens.weight": same})
        workspace = ma.Workspace.init(tmp_path / "v", base=start, recipe=ma.Ties())
        with pytest.warns(MergeAlgebraWarning, match="is taken as the same as") as warned:
            made = workspace.contribute({"embed_tokens.weight": same + 1})
        assert tuple(str(warning.message) for warning in warned) == made.warnings
        assert warned[0].filename == __file__
        assert made == workspace.contribute({"embed_tokens.weight": same + 1, "lm_head.weight": same + 1})

    def test_are_measured(self, workspace):
        with pytest.raises(Implausible, match="the fine-tune: it equals the base, so there is nothing to contribute"):
            workspace.contribute(base())
        with pytest.raises(Implausible, match="the task vector: "):
            workspace.contribute(
                {name: array for name, array in base().items() if array.dtype == np.float32}, form="task_vector"
            )
        assert workspace.contribute(base(), force=True).warnings[0].startswith("the fine-tune: it equals the base")

    REFUSED = {  # noqa: RUF012 - a table
        "a form that it has not": (
            lambda: ma.TaskVector(task_vector(0)),
            {"form": "finetuned"},
            OperationError,
            "form=",
        ),
        "no array": (lambda: fine_tune(0) | {"spare": {}}, {}, DtypeError, "the fine-tune: tensor 'spare'"),
        "a name that is no text": (lambda: {1: np.float32([1])}, {}, NamesError, "tensor 1: a name must be text"),
        "another name": (
            lambda: fine_tune(0) | {"x": np.float32([1])},
            {},
            NamesError,
            "the fine-tune: tensor 'x' is not",
        ),
        "a missing name": (
            lambda: {"embed.weight": fine_tune(0)["embed.weight"]},
            {},
            NamesError,
            "of the base is missing",
        ),
        "no tensors": (dict, {"take": "embed.*"}, NamesError, "shares no tensor with the base"),
        "no number": (
            lambda: with_value(fine_tune(0), "layer.0.bias", (1,), np.nan),
            {},
            NonFinite,
            r"the fine-tune: tensor 'layer\.0\.bias' at index \[1\]",
        ),
        "codes": (
            lambda: {"a.qweight": np.zeros(2, np.int32), "a.scales": np.zeros(2, np.float16)},
            {},
            CheckpointError,
            "the fine-tune is quantised",
        ),
        "no data": (
            lambda: as_torch(fine_tune(0)) | {"spare": torch.empty(0, 3, device="meta")},
            {},
            DtypeError,
            "the fine-tune: tensor 'spare' is on torch's meta device",
        ),
        "a number": (lambda: 3, {}, CheckpointError, "a int is not a path"),
    }

    @pytest.mark.parametrize(("given", "options", "error", "message"), REFUSED.values(), ids=REFUSED)
    def test_are_refused_with_their_names(self, workspace, given, options, error, message):
        with pytest.raises(error, match=message):
            workspace.contribute(given(), **options)
        assert workspace.visible() == {}

    def test_stay_as_they_are_and_leave_no_file(self, workspace, tmp_path, monkeypatch):
        (tmp_path / "the fine-tune").mkdir()
        (tmp_path / "the fine-tune" / "config.json").write_text('{"quantization_config": {"quant_method": "awq"}}')
        monkeypatch.chdir(tmp_path)  # what they are called is no path
        tuned = fine_tune(0)
        before = {name: array.tobytes() for name, array in tuned.items()}
        workspace.contribute(tuned)
        assert {name: array.tobytes() for name, array in tuned.items()} == before
        assert list((workspace.path / "tmp").iterdir()) == []
