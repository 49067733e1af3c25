"""Models of parts as sentence-transformers and diffusers save them, in small."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.models import Tensors, write_file

#: The tensors of a pipeline, by part; each part's files begin so.
PIPELINE = {
    "text_encoder": {"text_model.embeddings.position_ids": (1, 4), "text_model.encoder.weight": (3, 2)},
    "unet": {"conv_in.weight": (2, 3), "mid/attn.weight": (4,), "time.bias": (5,)},
    "vae": {"decoder.weight": (2, 2), "encoder.weight": (3,)},
}
DIFFUSERS = ("unet", "vae")
#: The same of an encoder: those in the model's own folder, and those of its dense layer.
ENCODER = {"": {"embeddings.weight": (4, 2), "z.bias": (2,)}, "2_Dense": {"linear.bias": (2,), "linear.weight": (2, 2)}}

_MODEL_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.30.0",
    "feature_extractor": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
_MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    {"idx": 3, "name": "3", "path": "3_Normalize", "type": "sentence_transformers.models.Normalize"},
]


def values(shapes: Mapping[str, Mapping[str, tuple[int, ...]]], seed: int) -> dict[str, Tensors]:
    """Tensors of these shapes, by part; small whole numbers and halves."""
    random = np.random.default_rng(seed)
    return {
        part: {name: np.float32(random.integers(-8, 9, shape) / 2) for name, shape in tensors.items()}
        for part, tensors in shapes.items()
    }


def whole(parts: Mapping[str, Tensors]) -> Tensors:
    """The same under the names that a merge has for them."""
    return {f"{part}/{name}" if part else name: array for part, named in parts.items() for name, array in named.items()}


def write_pipeline(folder: Path, parts: Mapping[str, Tensors]) -> Path:
    """A pipeline as `save_pretrained` of diffusers writes it; the first part of diffusers' own in two shards."""
    _write_texts(
        folder,
        {
            "model_index.json": json.dumps(_MODEL_INDEX),
            "scheduler/scheduler_config.json": "{}",
            "tokenizer/merges.txt": "#version: 0.2\n",
            "tokenizer/vocab.json": "{}",
            **{f"{part}/config.json": json.dumps({"_class_name": part}) for part in parts},
        },
    )
    for part, tensors in parts.items():
        if part == "unet":
            _write_shards(folder / part, tensors)
        else:
            stem = "diffusion_pytorch_model" if part in DIFFUSERS else "model"
            write_file(folder / part / f"{stem}.safetensors", tensors)
    return folder


def write_encoder(folder: Path, parts: Mapping[str, Tensors]) -> Path:
    """An encoder as sentence-transformers saves it: its last module has no file, and so git keeps no folder of it."""
    _write_texts(
        folder,
        {
            "modules.json": json.dumps(_MODULES),
            "config_sentence_transformers.json": "{}",
            "config.json": json.dumps({"model_type": "bert"}),
            "tokenizer.json": "{}",
            "1_Pooling/config.json": "{}",
            "2_Dense/config.json": "{}",
        },
    )
    for part, tensors in parts.items():
        write_file(folder / part / "model.safetensors", tensors)
    return folder


def _write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def _write_shards(folder: Path, tensors: Tensors) -> None:
    names, stem = sorted(tensors), "diffusion_pytorch_model"
    files = {name: f"{stem}-{1 + (i > 0):05}-of-00002.safetensors" for i, name in enumerate(names)}
    for file in sorted(set(files.values())):
        write_file(folder / file, {name: tensors[name] for name in names if files[name] == file})
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
