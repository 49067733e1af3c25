"""Tiny models in the shapes of Llama, GPT-2, BERT and Mixtral: a base and fine-tunes of it, each a folder.

    python spec/conformance/mergekit_files/models.py FOLDER      FOLDER/llama/base, FOLDER/llama/one, ...

The configurations are real enough for mergekit and transformers; the numbers are noise, the same each time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

LAYERS, WIDTH, INNER, VOCABULARY, HEADS = 4, 32, 64, 96, 4
#: Fine-tunes by name, and how far each is from the base, in parts of the base's numbers.
TUNED: Mapping[str, float] = {"one": 0.05, "two": 0.1, "three": 0.3, "far": 1.0}
#: In which dtype each family is stored.
STORED: Mapping[str, Any] = {
    "llama": np.dtype(ml_dtypes.bfloat16),
    "gpt2": np.dtype(np.float32),
    "bert": np.dtype(np.float32),
    "mixtral": np.dtype(np.float16),
}
Shapes = Iterator[tuple[str, tuple[int, ...]]]

CONFIGS: Mapping[str, dict[str, Any]] = {
    "llama": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_attention_heads": HEADS,
        "num_key_value_heads": 2,
        "num_hidden_layers": LAYERS,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": False,
    },
    "gpt2": {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_embd": WIDTH,
        "n_head": HEADS,
        "n_layer": LAYERS,
        "n_positions": 40,
        "vocab_size": VOCABULARY,
    },
    "bert": {
        "architectures": ["BertForMaskedLM"],
        "model_type": "bert",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "max_position_embeddings": 40,
        "type_vocab_size": 2,
        "vocab_size": VOCABULARY,
    },
    "mixtral": {
        "architectures": ["MixtralForCausalLM"],
        "model_type": "mixtral",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_attention_heads": HEADS,
        "num_key_value_heads": 2,
        "num_hidden_layers": LAYERS,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": False,
    },
}


def of_llama() -> Shapes:
    yield "model.embed_tokens.weight", (VOCABULARY, WIDTH)
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        yield from _attention(at)
        yield at + "mlp.gate_proj.weight", (INNER, WIDTH)
        yield at + "mlp.up_proj.weight", (INNER, WIDTH)
        yield at + "mlp.down_proj.weight", (WIDTH, INNER)
    yield "model.norm.weight", (WIDTH,)
    yield "lm_head.weight", (VOCABULARY, WIDTH)


def _attention(at: str) -> Shapes:
    half = WIDTH // 2
    for name, rows in (("q", WIDTH), ("k", half), ("v", half), ("o", WIDTH)):
        yield f"{at}self_attn.{name}_proj.weight", (rows, WIDTH)
    yield at + "input_layernorm.weight", (WIDTH,)
    yield at + "post_attention_layernorm.weight", (WIDTH,)


def of_mixtral() -> Shapes:
    yield "model.embed_tokens.weight", (VOCABULARY, WIDTH)
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        yield from _attention(at)
        yield at + "mlp.gate.weight", (4, WIDTH)
        yield at + "mlp.experts.gate_up_proj", (4, 2 * INNER, WIDTH)
        yield at + "mlp.experts.down_proj", (4, WIDTH, INNER)
    yield "model.norm.weight", (WIDTH,)
    yield "lm_head.weight", (VOCABULARY, WIDTH)


def of_gpt2() -> Shapes:
    yield "transformer.wte.weight", (VOCABULARY, WIDTH)
    yield "transformer.wpe.weight", (40, WIDTH)
    for i in range(LAYERS):
        at = f"transformer.h.{i}."
        for name, columns in (("attn.c_attn", 3 * WIDTH), ("attn.c_proj", WIDTH), ("mlp.c_fc", INNER)):
            yield f"{at}{name}.weight", (WIDTH, columns)
            yield f"{at}{name}.bias", (columns,)
        yield at + "mlp.c_proj.weight", (INNER, WIDTH)
        yield at + "mlp.c_proj.bias", (WIDTH,)
        for name in ("ln_1", "ln_2"):
            yield f"{at}{name}.weight", (WIDTH,)
            yield f"{at}{name}.bias", (WIDTH,)
    yield "transformer.ln_f.weight", (WIDTH,)
    yield "transformer.ln_f.bias", (WIDTH,)


def of_bert() -> Shapes:
    for name, rows in (("word", VOCABULARY), ("position", 40), ("token_type", 2)):
        yield f"bert.embeddings.{name}_embeddings.weight", (rows, WIDTH)
    yield from _normal("bert.embeddings.LayerNorm")
    for i in range(LAYERS):
        at = f"bert.encoder.layer.{i}."
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            yield from _dense(at + name, WIDTH, WIDTH)
        yield from _normal(at + "attention.output.LayerNorm")
        yield from _dense(at + "intermediate.dense", INNER, WIDTH)
        yield from _dense(at + "output.dense", WIDTH, INNER)
        yield from _normal(at + "output.LayerNorm")
    yield from _dense("bert.pooler.dense", WIDTH, WIDTH)
    yield from _dense("cls.predictions.transform.dense", WIDTH, WIDTH)
    yield from _normal("cls.predictions.transform.LayerNorm")
    yield "cls.predictions.bias", (VOCABULARY,)


def _dense(name: str, rows: int, columns: int) -> Shapes:
    yield f"{name}.weight", (rows, columns)
    yield f"{name}.bias", (rows,)


def _normal(name: str) -> Shapes:
    yield f"{name}.weight", (WIDTH,)
    yield f"{name}.bias", (WIDTH,)


SHAPES = {"llama": of_llama, "gpt2": of_gpt2, "bert": of_bert, "mixtral": of_mixtral}


def write(folder: Path) -> None:
    """All models of all families. The fine-tunes leave some tensors as they are, and change the others."""
    for number, family in enumerate(CONFIGS):
        base = {name: _noise(shape, (number, name)) * 0.05 + _centre(shape) for name, shape in SHAPES[family]()}
        _save(folder / family / "base", family, base)
        for name, far in TUNED.items():
            moved = {
                key: array + (0 if _untouched(name, key) else far * 0.05 * _noise(array.shape, (number, name, key)))
                for key, array in base.items()
            }
            _save(folder / family / name, family, moved)


def _centre(shape: tuple[int, ...]) -> float:
    """Norms are about 1."""
    return 1.0 if len(shape) == 1 else 0.0


def _untouched(name: str, key: str) -> bool:
    return name == "one" and ("norm" in key.lower() or "ln_" in key)


def _noise(shape: tuple[int, ...], seed: tuple[Any, ...]) -> Any:
    return np.random.default_rng([*repr(seed).encode()]).standard_normal(shape)


def _save(folder: Path, family: str, tensors: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    dtype = STORED[family]
    stored = {name: array.astype(np.float32).astype(dtype) for name, array in tensors.items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIGS[family] | {"torch_dtype": str(dtype)}, indent=2))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
