"""Quantised models are recognised, as a base and as a fine-tune, and models that merely hold integers are not."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.errors import CheckpointError
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.task_vector import TaskVector
from tests.models import base, fine_tune, write_canonical, write_file, write_folder

pytestmark = pytest.mark.clause("TV-12")

F32, F16 = np.zeros(2, np.float32), np.zeros(2, np.float16)
U8, I8, I32, U32 = (np.zeros(2, dtype) for dtype in (np.uint8, np.int8, np.int32, np.uint32))
F8 = np.zeros(2, DTYPES["F8_E4M3"].numpy)
BF16 = np.zeros(2, ml_dtypes.bfloat16)

#: How it is called, the tensor that is named, and the tensors of one layer, as such models hold them.
QUANTISED = {
    "GPTQ": ("GPTQ", "a.qweight", {"a.qweight": I32, "a.qzeros": I32, "a.scales": F16, "a.g_idx": I32}),
    "AWQ": ("AWQ or GPTQ", "a.qweight", {"a.qweight": I32, "a.qzeros": I32, "a.scales": F16}),
    "bitsandbytes, 4 bits": (
        "bitsandbytes",
        "a.weight",
        {
            "a.weight": U8,
            "a.weight.absmax": F32,
            "a.weight.quant_map": F32,
            "a.weight.quant_state.bitsandbytes__nf4": U8,
        },
    ),
    "bitsandbytes, 4 bits stored as BF16": (
        "bitsandbytes",
        "a.weight",
        {"a.weight": BF16, "a.weight.absmax": F32, "a.weight.quant_map": F32},
    ),
    "bitsandbytes, 8 bits": ("bitsandbytes", "a.weight", {"a.weight": I8, "a.SCB": F32}),
    "compressed-tensors, packed": (
        "compressed-tensors",
        "a.weight_packed",
        {"a.weight_packed": I32, "a.weight_scale": BF16},
    ),
    "compressed-tensors, 8 bits": ("compressed-tensors", "a.weight", {"a.weight": I8, "a.weight_scale": BF16}),
    "FP8": ("FP8", "a.weight", {"a.weight": F8, "a.weight_scale_inv": F32}),
    "FP8 of ComfyUI": ("FP8", "a.weight", {"a.weight": F8, "a.scale_weight": F32}),
    "MXFP4": ("MXFP4", "a_blocks", {"a_blocks": U8, "a_scales": U8}),
    "MLX": ("MLX", "a.weight", {"a.weight": U32, "a.scales": F16, "a.biases": F16}),
    "quanto": ("quanto", "a.weight._data", {"a.weight._data": I8, "a.weight._scale": F16}),
}


@pytest.mark.parametrize(("scheme", "tensor", "tensors"), QUANTISED.values(), ids=QUANTISED)
def test_they_are_recognised_by_their_tensors(tmp_path, scheme, tensor, tensors):
    write_canonical(tmp_path / "m.safetensors", {**base(), **tensors})
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.open(tmp_path / "m.safetensors")
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}/m.safetensors is quantised ({scheme}): its tensor '{tensor}' (")
    assert said.endswith("dequantise it first, or name the model that it was made from")


CONFIGURED = {
    "gptq": ('{"quantization_config": {"bits": 4, "quant_method": "gptq"}}', "GPTQ"),
    "another": ('{"model_type": "x", "quantization_config": {"quant_method": "aqlm", "x": [NaN]}}', "aqlm"),
    "none": ('{"quantization_config": {}}', "as its config.json says"),
    "a long one": (json.dumps({"quantization_config": {"quant_method": "x" * 10_000}}), "x" * 40),
}


@pytest.mark.parametrize(("config", "method"), CONFIGURED.values(), ids=CONFIGURED)
def test_they_are_recognised_by_their_configuration(tmp_path, config, method):
    folder = write_folder(tmp_path / "m", {**base(), "a.codes": U8})
    (folder / "config.json").write_text(config)
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.open(folder)
    assert f"is quantised ({method}): its tensor 'a.codes' (U8) holds codes" in str(caught.value)
    assert str(caught.value).endswith("if that is done, remove quantization_config from its config.json")


def test_the_configuration_says_what_the_tensors_leave_open(tmp_path):
    folder = write_folder(tmp_path / "m", {**base(), **QUANTISED["AWQ"][2]})
    (folder / "config.json").write_text('{"quantization_config": {"quant_method": "awq"}}')
    with pytest.raises(CheckpointError, match=r"is quantised \(AWQ\)"):
        Checkpoint.open(folder)


#: Tensors that are not codes, and what the configuration says.
OTHERS = {
    "buffers": ({}, "{}"),
    "a mask of bytes": ({"h.0.attn.bias": U8}, '{"model_type": "gpt2"}'),
    "buffers of 64 bits, dequantised": ({}, '{"quantization_config": {"quant_method": "gptq"}}'),
    "numbers of 8 bits without scales": ({"a.weight": F8}, "{}"),
    "floats called like codes": ({"a.weight": F32, "a.scales": F32, "a.weight_scale": F32}, "{}"),
    "codes without scales": ({"a.qweight": I32}, "{}"),
    "no JSON": ({"a.weight": U8}, '{"quantization_config": {'),
    "no object": ({"a.weight": U8}, '{"quantization_config": null}'),
}


@pytest.mark.parametrize(("tensors", "config"), OTHERS.values(), ids=OTHERS)
def test_other_models_are_not_quantised(tmp_path, tensors, config):
    folder = tmp_path / "m"
    folder.mkdir()
    write_canonical(folder / "model.safetensors", {**base(), **tensors})
    (folder / "config.json").write_text(config)
    assert Checkpoint.open(folder).records


class TestEveryDoor:
    """A quantised model as a base or a fine-tune; its scales alone could be merged, its codes not."""

    @pytest.fixture
    def files(self, tmp_path):
        quantised = QUANTISED["GPTQ"][2]
        write_file(tmp_path / "base.safetensors", {**base(), **quantised})
        write_file(tmp_path / "ft.safetensors", {**fine_tune(0), **quantised, "a.scales": F16 + 1})
        write_file(tmp_path / "plain.safetensors", base())
        return tmp_path

    PAIRS = (("base", "plain"), ("plain", "ft"), ("base", "ft"))

    @pytest.mark.parametrize(("start", "tuned"), PAIRS)
    def test_a_merge(self, files, start, tuned):
        with pytest.raises(CheckpointError, match=r"is quantised \(GPTQ\)"):
            merge_checkpoints(
                files / f"{start}.safetensors", [Model(files / f"{tuned}.safetensors")], ma.Ties(), files / "out"
            )

    def test_a_workspace(self, files):
        with pytest.raises(CheckpointError, match=r"is quantised \(GPTQ\)"):
            ma.Workspace.init(files / "w", base=files / "base.safetensors", recipe=ma.Ties())
        workspace = ma.Workspace.init(files / "w2", base=files / "plain.safetensors", recipe=ma.Ties())
        with pytest.raises(CheckpointError, match=r"is quantised \(GPTQ\)"):
            workspace.contribute(files / "ft.safetensors", leave=("a.*",))

    @pytest.mark.parametrize(("start", "tuned"), PAIRS)
    def test_a_task_vector(self, files, start, tuned):
        with pytest.raises(CheckpointError, match=r"is quantised \(GPTQ\)"):
            TaskVector.between(files / f"{start}.safetensors", files / f"{tuned}.safetensors")

    def test_a_task_vector_in_memory(self):
        with pytest.raises(CheckpointError, match=r"^the base is quantised \(GPTQ\)"):
            TaskVector.between({**base(), **QUANTISED["GPTQ"][2]}, base())
