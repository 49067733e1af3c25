"""Adapters in one file, as programs for diffusion models write them: one difference, however it is spelled."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from mergealgebra.errors import MergeAlgebraError
from mergealgebra.formats.models import open_model
from mergealgebra.tensors.checkpoint import Checkpoint

RANDOM = np.random.default_rng(5)
LINEAR, CONV, POINT = "unet/down_blocks.0.to_q", "unet/down_blocks.0.conv", "unet/mid.proj_in"
TEXT = "text_encoder/text_model.layers.0.fc1"
BASE = {
    f"{LINEAR}.weight": RANDOM.normal(size=(6, 4)),
    f"{CONV}.weight": RANDOM.normal(size=(6, 4, 3, 3)),
    f"{CONV}.bias": RANDOM.normal(size=6),
    f"{POINT}.weight": RANDOM.normal(size=(6, 4)),
    f"{TEXT}.weight": RANDOM.normal(size=(6, 4)),
}
UP = RANDOM.normal(size=(6, 2)).astype(np.float32)
DOWN = RANDOM.normal(size=(2, 4)).astype(np.float32)
KERNELS = RANDOM.normal(size=(2, 4, 3, 3)).astype(np.float32)


def save(path, tensors, dtype=np.float32):
    save_file({name: np.ascontiguousarray(array, dtype) for name, array in tensors.items()}, path)
    return path


@pytest.fixture
def base(tmp_path):
    with Checkpoint.open(save(tmp_path / "base.safetensors", BASE)) as opened:
        yield opened


def opened(tmp_path, base, tensors):
    return open_model(save(tmp_path / "lora.safetensors", tensors), base)


def values(held):
    return {name: held.read(name).reshape(record.shape) for name, record in held.records.items()}


#: How each program calls the factors of one linear layer.
SPELLINGS = {
    "kohya": ("lora_unet_down_blocks_0_to_q", ".lora_up.weight", ".lora_down.weight"),
    "diffusers": ("unet.down_blocks.0.to_q", ".lora_B.weight", ".lora_A.weight"),
    "older diffusers": ("unet.down_blocks.0.to_q", "_lora.up.weight", "_lora.down.weight"),
    "diffusers of 2023": ("unet.down_blocks.0.to_q", ".lora.up.weight", ".lora.down.weight"),
    "transformers": ("unet.down_blocks.0.to_q", ".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight"),
    "ComfyUI": ("diffusion_model.down_blocks.0.to_q", ".lora_B", ".lora_A"),
}


@pytest.mark.clause("AD-3", "AD-4", "AD-10")
@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_is_one_difference(tmp_path, base, name):
    module, up, down = SPELLINGS[name]
    held = opened(tmp_path, base, {module + up: UP, module + down: DOWN, f"{module}.alpha": np.array(1.0)})
    expected = (0.5 * (UP.astype(np.float64) @ DOWN)).astype(np.float32)
    np.testing.assert_allclose(values(held)[f"{LINEAR}.weight"], expected, rtol=1e-6)


@pytest.mark.clause("AD-3", "AD-5", "AD-10")
def test_convolutions_text_encoders_and_plain_differences(tmp_path, base):
    held = opened(
        tmp_path,
        base,
        {
            "lora_unet_down_blocks_0_conv.lora_up.weight": UP[:, :, None, None],
            "lora_unet_down_blocks_0_conv.lora_down.weight": KERNELS,
            "lora_unet_mid_proj_in.lora_up.weight": UP[:, :, None, None],
            "lora_unet_mid_proj_in.lora_down.weight": DOWN[:, :, None, None],
            "lora_te_text_model_layers_0_fc1.diff": np.ones((6, 4)),
            "lora_unet_down_blocks_0_conv.diff_b": np.ones(6),
        },
    )
    found = values(held)
    np.testing.assert_allclose(found[f"{CONV}.weight"], np.einsum("or,rihw->oihw", UP, KERNELS), rtol=1e-5)
    np.testing.assert_allclose(found[f"{POINT}.weight"], UP @ DOWN, rtol=1e-5, atol=1e-6)
    assert held.forms[f"{TEXT}.weight"] == held.forms[f"{CONV}.bias"] == "task_vector"


K = "lora_unet_down_blocks_0_to_q"
#: What is no product of two factors, or not known which, and what the refusal says.
BAD = {
    "Tucker": ({f"{K}.lora_up.weight": UP, f"{K}.lora_mid.weight": UP}, "Tucker"),
    "LoHa": ({f"{K}.hada_w1_a": UP}, "belongs to LoHa"),
    "LoKr": ({f"{K}.lokr_w1": UP}, "belongs to LoKr"),
    "DoRA": ({f"{K}.lora_up.weight": UP, f"{K}.lora_down.weight": DOWN, f"{K}.dora_scale": UP}, "belongs to DoRA"),
    "one alpha of two": (
        {
            f"{K}.lora_up.weight": UP,
            f"{K}.lora_down.weight": DOWN,
            f"{K}.alpha": np.array(1.0),
            "lora_unet_mid_proj_in.lora_up.weight": UP,
            "lora_unet_mid_proj_in.lora_down.weight": DOWN,
        },
        "lora_unet_mid_proj_in.alpha' is missing",
    ),
    "no down": ({f"{K}.lora_up.weight": UP}, "the other factor of its module is missing"),
    "twice": ({f"{K}.lora_up.weight": UP, f"{K}.lora.up.weight": UP}, "in another spelling"),
    "another model": ({"lora_unet_x.lora_up.weight": UP, "lora_unet_x.lora_down.weight": DOWN}, "is not in the base"),
    "peft without config": (
        {"base_model.model.q.lora_A.weight": DOWN, "base_model.model.q.lora_B.weight": UP},
        "without its adapter_config.json",
    ),
}


@pytest.mark.clause("AD-3", "AD-8", "AD-10")
@pytest.mark.parametrize("name", BAD)
def test_refuses_by_name(tmp_path, base, name):
    tensors, said = BAD[name]
    with pytest.raises(MergeAlgebraError) as raised:
        opened(tmp_path, base, tensors)
    assert said in str(raised.value)
    assert "lora.safetensors" in str(raised.value)


@pytest.mark.clause("AD-4")
def test_names_that_become_one_without_points_are_refused(tmp_path):
    tensors = {"a.b_c.weight": np.ones((6, 4)), "a_b.c.weight": np.ones((6, 4))}
    lora = {"lora_unet_a_b_c.lora_up.weight": UP, "lora_unet_a_b_c.lora_down.weight": DOWN}
    path = save(tmp_path / "base.safetensors", tensors)
    with Checkpoint.open(path) as base, pytest.raises(MergeAlgebraError, match="could be several tensors of the base"):
        opened(tmp_path, base, lora)


@pytest.mark.clause("AD-1")
def test_a_model_with_names_like_an_adapter_s_stays_a_model(tmp_path):
    tensors = {"net.a1.weight": np.ones((6, 4)), "net.lora_up.weight": np.ones((6, 4))}
    path = save(tmp_path / "base.safetensors", tensors)
    with Checkpoint.open(path) as base, open_model(path, base) as held:
        assert isinstance(held, Checkpoint)
