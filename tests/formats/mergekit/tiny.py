"""Models of a few kinds with tiny layers, for mergekit's files: every element of a tensor has one value."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from tests.models import Tensors

Value = Callable[[str], float]

#: What `config.json` calls the number of layers, and the tensors before, in each layer, and after.
KINDS = {
    "llama": (
        "num_hidden_layers",
        ("model.embed_tokens.weight",),
        "model.layers",
        ("self_attn.q_proj.weight", "mlp.down_proj.weight", "input_layernorm.weight"),
        ("model.norm.weight", "lm_head.weight"),
    ),
    "gpt2": (
        "n_layer",
        ("wte.weight", "wpe.weight"),
        "h",
        ("attn.c_attn.weight", "mlp.c_fc.weight", "ln_1.weight"),
        ("ln_f.weight",),
    ),
    "bert": (
        "num_hidden_layers",
        ("embeddings.word_embeddings.weight", "embeddings.LayerNorm.weight"),
        "encoder.layer",
        ("attention.self.query.weight", "output.dense.weight"),
        ("pooler.dense.weight",),
    ),
    "mixtral": (
        "num_hidden_layers",
        ("model.embed_tokens.weight",),
        "model.layers",
        ("self_attn.q_proj.weight", "block_sparse_moe.experts.0.w1.weight", "block_sparse_moe.experts.1.w1.weight"),
        ("model.norm.weight", "lm_head.weight"),
    ),
}


def tensors(kind: str, value: Value, layers: int = 4) -> Tensors:
    """All tensors of a model of this kind."""
    _, before, stack, inner, after = KINDS[kind]
    names = [*before, *(f"{stack}.{i}.{name}" for i in range(layers) for name in inner), *after]
    return {name: np.full((2, 4), value(name), np.float32) for name in names}


def write(folder: Path, kind: str, value: float | Value, layers: int = 4) -> Path:
    """A model folder."""
    of = value if callable(value) else (lambda name: float(value))
    folder.mkdir()
    save_file(tensors(kind, of, layers), folder / "model.safetensors", metadata={"format": "pt"})
    config = {"model_type": kind, KINDS[kind][0]: layers, "layer_types": [f"kind {i}" for i in range(layers)]}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def by_layer(name: str) -> float:
    """Each layer has its number, what is outside -1."""
    return next((float(part) for part in name.split(".")[:-1] if part.isdigit()), -1.0)


def values(folder: Path) -> dict[str, float]:
    """The one value of each tensor of a model."""
    found: dict[str, float] = {}
    for file in sorted(folder.glob("*.safetensors")):
        for name, array in load_file(file).items():
            assert np.all(array == array.flat[0]), name
            found[name] = float(array.flat[0])
    return found


def short(folder: Path) -> dict[str, float]:
    """The values of a Llama by what differs: `q 0` is the query of layer 0, `n 0` its norm; `head`, `embed`, `norm`."""
    names = {"self_attn.q_proj.weight": "q", "mlp.down_proj.weight": "d", "input_layernorm.weight": "n"}
    found = {}
    for name, value in values(folder).items():
        parts = name.split(".", 3)
        if name.startswith("model.layers."):
            found[f"{names[parts[3]]} {parts[2]}"] = value
        else:
            found[{"lm_head": "head", "embed_tokens": "embed", "norm": "norm"}[name.split(".")[-2]]] = value
    return found
