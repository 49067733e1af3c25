"""Checkpoints: a folder to its tensors, and tensors to shards [EN-15, EN-16, EN-18]."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from generator.reference.refused import Refused
from generator.reference.safetensors import quote, read_file, refuse_constant, unique
from generator.reference.tensors import SIZES, Tensor, name_key

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
WHOLE = (SINGLE, "diffusion_pytorch_model.safetensors")
ADAPTERS = {"adapter_model.safetensors", "adapter_model.bin", "adapter_config.json"}
IS_INDEX = re.compile(r"[^/]*\.safetensors\.index(\.[^./]+)?\.json")
IS_SHARD = re.compile(r"[^/]*-[0-9]{5,}-of-(?!0*1\.)[0-9]{5,}\.safetensors")
IS_PART = re.compile(r"[^./][^/]*/[^/]*(\.safetensors|pytorch_model[^/]*\.bin)")
SHARD_BYTES = 5_000_000_000
MAX_INDEX = 100_000_000
MAX_NESTING = 64


@dataclass(frozen=True)
class Pairs:
    """A JSON object as it is written: keys may stand twice."""

    items: list[tuple[str, Any]]

    def unique(self) -> dict[str, Any]:
        return unique(self.items)


def nesting(value: Any) -> int:
    if isinstance(value, Pairs):
        return 1 + max((nesting(item) for _, item in value.items), default=0)
    if isinstance(value, list):
        return 1 + max(map(nesting, value), default=0)
    return 0


def read_weight_map(data: bytes) -> dict[str, str]:
    """The `weight_map` of an index; in other objects of it a key may stand twice [EN-16]."""
    if len(data) > MAX_INDEX:
        raise Refused("CheckpointError")
    try:
        index = json.loads(data.decode("utf-8"), object_pairs_hook=Pairs, parse_constant=refuse_constant)
        deep = nesting(index) > MAX_NESTING
        weight_map = index.unique().get("weight_map").unique()
    except (ValueError, RecursionError, AttributeError, Refused):
        raise Refused("CheckpointError") from None
    if deep or not all(isinstance(at, str) for at in weight_map.values()):
        raise Refused("CheckpointError")
    return weight_map


def models(files: Mapping[str, bytes]) -> list[str]:
    """The files of a folder that are a model each [EN-15]."""
    whole = [name for name in WHOLE if name in files]
    named = {name: set(read_weight_map(data).values()) for name, data in files.items() if IS_INDEX.fullmatch(name)}
    of_an_index = {file for names in named.values() for file in names}
    indexes = [name for name, shards in named.items() if not whole or shards & set(files)]
    strays = [name for name in files if whole and IS_SHARD.fullmatch(name) and name not in of_an_index]
    return [name for name in whole if name not in of_an_index] + indexes + strays


def has_parts(files: Mapping[str, bytes]) -> bool:
    """Whether the model is in parts, some of which are in folders [EN-15]."""
    return bool({"modules.json", "model_index.json"} & set(files)) and any(map(IS_PART.fullmatch, files))


def read_folder(files: Mapping[str, bytes]) -> dict[str, Tensor]:
    """The tensors of a folder given as file name to bytes [EN-15, EN-16]."""
    found = models(files)
    if len(found) != 1 or has_parts(files) or ADAPTERS & set(files) or IS_SHARD.fullmatch(found[0]):
        raise Refused("CheckpointError")
    if found[0] in WHOLE:
        return read_file(files[found[0]])
    weight_map = read_weight_map(files[found[0]])
    tensors: dict[str, Tensor] = {}
    for file in sorted(set(weight_map.values())):
        if file not in files or "/" in file or "\\" in file:
            raise Refused("CheckpointError")
        found = read_file(files[file])
        if set(found) != {name for name, at in weight_map.items() if at == file}:
            raise Refused("CheckpointError")
        tensors |= found
    return tensors


def shards(records: Sequence[tuple[str, str, Sequence[int]]]) -> dict[str, Any]:
    """The shards of a model given as (name, dtype, shape): {"shards": ..., "index": text or None} [EN-18]."""
    cut: list[list[str]] = [[]]
    data = 0
    sizes = {name: prod(shape) * SIZES[dtype] for name, dtype, shape in records}
    for name in sorted(sizes, key=name_key):
        if cut[-1] and data + sizes[name] > SHARD_BYTES:
            cut.append([])
            data = 0
        cut[-1].append(name)
        data += sizes[name]
    if len(cut) == 1:
        return {"shards": [{"file": SINGLE, "tensors": cut[0]}], "index": None}
    files = [f"model-{i:05}-of-{len(cut):05}.safetensors" for i in range(1, len(cut) + 1)]
    return {
        "shards": [{"file": file, "tensors": names} for file, names in zip(files, cut, strict=True)],
        "index": index_text(sum(sizes.values()), dict(zip(files, cut, strict=True))),
    }


def index_text(total: int, files: Mapping[str, Sequence[str]]) -> str:
    where = {name: file for file, names in files.items() for name in names}
    lines = [f"    {quote(name)}: {quote(where[name])}" for name in sorted(where, key=name_key)]
    weight_map = ",\n".join(lines)
    return f'{{\n  "metadata": {{\n    "total_size": {total}\n  }},\n  "weight_map": {{\n{weight_map}\n  }}\n}}\n'
