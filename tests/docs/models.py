"""Tiny models for pages about models of one's own: a base with layers, three fine-tunes of it, and two adapters."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.models import write_file

LAYERS = 4
_CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_attention_heads": 2,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": 2,
    "vocab_size": 16,
    "tie_word_embeddings": False,
}
_SHAPES = {
    "input_layernorm": (8,),
    "mlp.down_proj": (8, 12),
    "mlp.gate_proj": (12, 8),
    "mlp.up_proj": (12, 8),
    "post_attention_layernorm": (8,),
    **{f"self_attn.{part}_proj": (8, 8) for part in "kqvo"},
}
#: What adapters of these models change.
_ADAPTED = ("self_attn.q_proj", "self_attn.v_proj")


def write_models(folder: Path) -> None:
    """`base`, its fine-tunes `code`, `math` and `chat`, and its adapters `code-lora` and `math-lora`."""
    shapes = {"lm_head.weight": (16, 8), "model.embed_tokens.weight": (16, 8), "model.norm.weight": (8,)}
    for layer in range(LAYERS):
        shapes |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in _SHAPES.items()}
    base = {name: _numbers(0, name, shape) for name, shape in shapes.items()}
    _write(folder / "base", base)
    for number, who in enumerate(("code", "math", "chat"), 1):
        _write(folder / who, {name: a + 0.1 * _numbers(number, name, a.shape) for name, a in base.items()})
    for number, who in enumerate(("code-lora", "math-lora"), 4):
        _write_adapter(folder / who, number)


def _numbers(seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    random = np.random.default_rng([seed, *name.encode()])
    return random.normal(size=shape).astype(np.float32)


def _write(folder: Path, tensors: dict[str, np.ndarray]) -> None:
    write_file(folder / "model.safetensors", tensors)
    (folder / "config.json").write_text(json.dumps(_CONFIG, indent=2))


def _write_adapter(folder: Path, seed: int) -> None:
    tensors = {}
    for layer in range(LAYERS):
        for name in _ADAPTED:
            module = f"base_model.model.model.layers.{layer}.{name}"
            tensors[f"{module}.lora_A.weight"] = _numbers(seed, f"{module}.A", (2, 8))
            tensors[f"{module}.lora_B.weight"] = _numbers(seed, f"{module}.B", (8, 2))
    write_file(folder / "adapter_model.safetensors", tensors)
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
