"""Models of parts: a list names the parts, each is read by the rules of a folder, and what is ambiguous is refused."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.errors import CheckpointError, NamesError
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.companions import companions
from tests.models import write_file
from tests.part_folders import ENCODER, PIPELINE, values, whole, write_encoder, write_pipeline

pytestmark = pytest.mark.clause("EN-20")

W = {"w": np.float32([1, 2])}
I32, F16 = np.zeros(2, np.int32), np.zeros(2, np.float16)
STEM = "diffusion_pytorch_model"
KINDS = {"diffusers": (PIPELINE, write_pipeline), "sentence-transformers": (ENCODER, write_encoder)}


@pytest.mark.parametrize(("shapes", "write"), KINDS.values(), ids=KINDS)
def test_tensors_are_called_after_their_parts_and_in_the_order_of_names(tmp_path, shapes, write):
    parts = values(shapes, 0)
    with Checkpoint.open(write(tmp_path / "x", parts)) as checkpoint:
        expected = whole(parts)
        assert list(checkpoint.records) == sorted(expected, key=str.encode)
        for name, array in expected.items():
            assert checkpoint.read(name).tobytes() == array.tobytes()
            assert checkpoint.records[name].name == name


def test_parts_without_weights_are_parts_too(tmp_path):
    with Checkpoint.open(write_pipeline(tmp_path / "x", values(PIPELINE, 0))) as checkpoint:
        assert checkpoint.parts == ("scheduler", "text_encoder", "tokenizer", "unet", "vae")
        assert [companion.name for companion in companions(checkpoint)][:3] == [
            *("model_index.json", "scheduler/scheduler_config.json", "text_encoder/config.json")
        ]
    with Checkpoint.open(write_encoder(tmp_path / "y", values(ENCODER, 0))) as checkpoint:
        assert checkpoint.parts == ("1_Pooling", "2_Dense")


def test_each_part_can_be_named_by_itself(tmp_path):
    write_pipeline(tmp_path / "x", values(PIPELINE, 0))
    for part, shapes in PIPELINE.items():
        with Checkpoint.open(tmp_path / "x" / part) as checkpoint:
            assert checkpoint.records.keys() == shapes.keys()


def test_a_folder_without_a_list_is_its_own_model_alone(tmp_path):
    write_encoder(tmp_path / "x", values(ENCODER, 0))
    (tmp_path / "x" / "modules.json").unlink()
    with Checkpoint.open(tmp_path / "x") as checkpoint:
        assert checkpoint.records.keys() == ENCODER[""].keys()
        assert checkpoint.parts == ()


def _modules(*paths):
    return lambda x: (x / "modules.json").write_text(json.dumps([{"path": path} for path in paths]))


def _dense(*files):
    """A dense layer that holds these files."""

    def fill(x):
        (x / "2_Dense" / "model.safetensors").unlink()
        for file in files:
            (x / "2_Dense" / file).parent.mkdir(exist_ok=True)
            write_file(x / "2_Dense" / file, W)

    return fill


def _shards(x):
    index = {"weight_map": {"w": "model-00001-of-00002.safetensors"}}
    (x / "2_Dense" / "model.safetensors.index.json").write_text(json.dumps(index))
    write_file(x / "2_Dense" / "model-00001-of-00002.safetensors", W)


#: What spoils an encoder, and how it is refused.
ENCODERS = {
    "a part that is two models": (
        _shards,
        r"x/2_Dense holds more than one model, 'model\.safetensors' and 'model\.safetensors\.index\.json': remove",
    ),
    "a part of pickles": (_dense("pytorch_model.bin"), r"x/2_Dense holds pickled weights"),
    "a part with other weights": (_dense("ema.safetensors"), r"x/2_Dense has neither model\.safetensors nor an index"),
    "a part that is an adapter": (_dense("adapter_model.safetensors"), r"x/2_Dense holds a LoRA adapter"),
    "a part with parts": (
        _dense("inner/model.safetensors"),
        r"x/2_Dense has no model of its own: name a folder in it instead, such as .*x/2_Dense/inner",
    ),
    "the first module in pickles": (
        lambda x: (x / "model.safetensors").rename(x / "pytorch_model.bin"),
        r"x holds pickled weights",
    ),
    "the first module in folders": (
        lambda x: (x / "model.safetensors").rename((x / "query_0").mkdir() or x / "query_0" / "model.safetensors"),
        r"x has no model of its own: name a folder in it instead, such as .*x/2_Dense",
    ),
    "an adapter beside it": (
        lambda x: (x / "adapter_config.json").touch(),
        r"x holds a model, 'model\.safetensors', and a LoRA adapter",
    ),
    "a tensor called as if in a part": (
        lambda x: write_file(x / "model.safetensors", {"2_Dense/linear.bias": W["w"]}),
        r"x/model\.safetensors: tensor '2_Dense/linear\.bias' is named as if it were in the part '2_Dense': rename",
    ),
    "no weights at all": (
        lambda x: ((x / "2_Dense" / "model.safetensors").unlink(), (x / "model.safetensors").unlink()),
        r"x is a model of parts, as its modules\.json says, and none has weights",
    ),
    "two lists": (
        lambda x: (x / "model_index.json").write_text("{}"),
        r"x has two lists of its parts, model_index\.json and modules\.json: remove what is stale",
    ),
    "a path of two folders": (
        _modules("", "a/b"),
        r"modules\.json names the part 'a/b', and a part is a folder beside",
    ),
    "a path that leaves": (_modules("", ".."), r"modules\.json names the part '\.\.', and"),
    "a path of Windows": (_modules("", "a\\b"), r"modules\.json names the part .*, and"),
    "no JSON": (lambda x: (x / "modules.json").write_text("[}"), r"modules\.json is not a list of parts, .*: write it"),
    "more than JSON": (lambda x: (x / "modules.json").write_text("[]]"), r"modules\.json is not a list of parts, some"),
    "another JSON": (
        lambda x: (x / "modules.json").write_text("{}"),
        r"modules\.json is not a list of parts, it is not a",
    ),
    "other items": (
        lambda x: (x / "modules.json").write_text("[1]"),
        r"is not a list of parts, it holds something that is not an obj",
    ),
    "deep JSON": (lambda x: (x / "modules.json").write_text("[" * 200), r"is not a list of parts, "),
    "a pipe": (
        lambda x: ((x / "modules.json").unlink(), os.mkfifo(x / "modules.json")),
        r"modules\.json cannot be read",
    ),
    "an endless list": (
        lambda x: os.truncate(x / "modules.json", 1 << 40),
        r"modules\.json cannot be read: it has more",
    ),
    "a quantised part": (
        lambda x: write_file(x / "2_Dense" / "model.safetensors", {"a.qweight": I32, "a.scales": F16}),
        r"x is quantised \(AWQ or GPTQ\): its tensor '2_Dense/a\.qweight'",
    ),
    "a part that its own configuration calls quantised": (
        lambda x: (
            write_file(x / "2_Dense" / "model.safetensors", {"codes": I32}),
            (x / "2_Dense" / "config.json").write_text('{"quantization_config": {"quant_method": "awq"}}'),
        ),
        r"x is quantised \(AWQ\): its tensor '2_Dense/codes'",
    ),
}
#: The same of a pipeline.
PIPELINES = {
    "a part that is gone": (
        lambda x: shutil.rmtree(x / "vae"),
        r"x/model_index\.json names the part 'vae', which is not there: get the folder again, all of it, or write \[nu",
    ),
    "a part of a variant alone": (
        lambda x: (x / "vae" / f"{STEM}.safetensors").rename(x / "vae" / f"{STEM}.fp16.safetensors"),
        rf"x/vae has neither .*: name one file in it instead, such as .*x/vae/{STEM}\.fp16\.safetensors",
    ),
    "a shard that is gone": (
        lambda x: (x / "unet" / "diffusion_pytorch_model-00002-of-00002.safetensors").unlink(),
        r"index\.json names the shard 'diffusion_pytorch_model-00002-of-00002\.safetensors', which is missing",
    ),
    "a list of another kind": (lambda x: (x / "model_index.json").write_text("[]"), r"it is not an object"),
}


@pytest.mark.parametrize(
    ("shapes", "write", "spoil", "message"),
    [
        pytest.param(*KINDS[kind], *case, id=f"{kind}: {name}")
        for kind, cases in (("sentence-transformers", ENCODERS), ("diffusers", PIPELINES))
        for name, case in cases.items()
    ],
)
def test_what_is_not_one_model_is_refused(tmp_path, shapes, write, spoil, message):
    spoil(write(tmp_path / "x", values(shapes, 0)))
    with pytest.raises(CheckpointError, match=message) as caught:
        Checkpoint.open(tmp_path / "x")
    assert "\n" not in str(caught.value)


def test_a_configuration_of_another_part_quantises_nothing(tmp_path):
    write_encoder(tmp_path / "x", {"": W, "2_Dense": {"codes": I32}})
    (tmp_path / "x" / "config.json").write_text('{"quantization_config": {"quant_method": "awq"}}')
    Checkpoint.open(tmp_path / "x").close()


class TestTied:
    """Two parts with equal tensors are not tied, and each part's configuration speaks of its own."""

    HEAD, EMBEDDING = "lm_head.weight", "embed_tokens.weight"

    def base(self, tmp_path, says):
        same = np.float32([[1, 2], [3, 4]])
        tied = {self.HEAD: same, self.EMBEDDING: same}
        write_encoder(tmp_path / "base", {"": {"embed_tokens.weight": same}, "2_Dense": tied})
        (tmp_path / "base" / "2_Dense" / "config.json").write_text(json.dumps({"tie_word_embeddings": says}))
        return tmp_path / "base"

    def tuned(self, tmp_path, dense):
        return write_encoder(
            tmp_path / "ft", {"": {"embed_tokens.weight": np.float32([[9, 9], [9, 9]])}, "2_Dense": dense}
        )

    def test_a_head_that_is_missing_is_the_embedding_of_its_part(self, tmp_path):
        base, moved = self.base(tmp_path, True), np.float32([[5, 5], [5, 5]])
        tuned = self.tuned(tmp_path, {self.EMBEDDING: moved})
        vector = ma.TaskVector.between
        with pytest.warns(UserWarning, match="'2_Dense/lm_head.weight' is taken as the same as '2_Dense/embed_tokens"):
            assert vector(base, tuned)["2_Dense/lm_head.weight"].tolist() == (moved - [[1, 2], [3, 4]]).tolist()
        result = merge_checkpoints(base, [Model(tuned)], ma.Mean(), tmp_path / "out")
        assert any("'2_Dense/lm_head.weight' is taken as the same" in warning for warning in result.warnings)
        with Checkpoint.open(tmp_path / "out") as merged:
            assert merged.tensor_root("2_Dense/lm_head.weight") == merged.tensor_root("2_Dense/embed_tokens.weight")

    def test_two_that_drift_apart_are_refused_where_their_part_ties_them(self, tmp_path):
        base = self.base(tmp_path, True)
        tuned = self.tuned(
            tmp_path, {self.HEAD: np.float32([[1, 1], [1, 1]]), self.EMBEDDING: np.float32([[2, 2], [2, 2]])}
        )
        with pytest.raises(
            NamesError, match=r"'2_Dense/lm_head\.weight' differs from its '2_Dense/embed_tokens\.weight'"
        ):
            merge_checkpoints(base, [Model(tuned)], ma.Mean(), tmp_path / "out")

    def test_a_part_that_unties_them_has_two(self, tmp_path):
        base = self.base(tmp_path, False)
        tuned = self.tuned(tmp_path, {self.EMBEDDING: np.float32([[5, 5], [5, 5]])})
        with pytest.raises(NamesError, match=r"tensor '2_Dense/lm_head\.weight' of the base is missing"):
            merge_checkpoints(base, [Model(tuned)], ma.Mean(), tmp_path / "out")
        with pytest.raises(NamesError, match=r"'2_Dense/lm_head\.weight' is only in the base"):
            ma.TaskVector.between(base, tuned)


@pytest.mark.clause("CT-10")
def test_a_buffer_of_a_part_is_a_buffer(tmp_path):
    write_encoder(tmp_path / "base", {"": W, "2_Dense": {"position_ids": np.arange(4), **W}})
    write_encoder(tmp_path / "ft", {"": {"w": np.float32([2, 2])}, "2_Dense": W})
    (warning,) = merge_checkpoints(tmp_path / "base", [Model(tmp_path / "ft")], ma.Mean(), tmp_path / "out").warnings
    assert "left out, as in every merge, and the base's stays: '2_Dense/position_ids'" in warning


@pytest.mark.clause("LK-1")
class TestCompanions:
    def test_of_all_parts_together_are_64_mib_at_most(self, tmp_path):
        x = write_encoder(tmp_path / "x", values(ENCODER, 0))
        for name in ("a.json", "2_Dense/b.json"):
            (x / name).touch()
            os.truncate(x / name, (32 << 20) + 1)
        with Checkpoint.open(x) as checkpoint, pytest.raises(CheckpointError, match="67,108,864 are copied at most"):
            companions(checkpoint)

    def test_of_a_part_come_from_the_model_s_folder(self, tmp_path):
        x = write_encoder(tmp_path / "x", values(ENCODER, 0))
        (tmp_path / "secret").write_text("x")
        (x / "2_Dense" / "vocab.txt").symlink_to("../config.json")
        with Checkpoint.open(x) as checkpoint:
            assert "2_Dense/vocab.txt" in [companion.name for companion in companions(checkpoint)]
        (x / "2_Dense" / "LICENSE").symlink_to("../../secret")
        with (
            Checkpoint.open(x) as checkpoint,
            pytest.raises(CheckpointError, match=r"2_Dense/LICENSE is a link to .*secret"),
        ):
            companions(checkpoint)
