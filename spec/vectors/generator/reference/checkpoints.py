"""Checkpoints: a folder to its tensors, and tensors to shards [EN-15, EN-16, EN-18]."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from generator.reference.refused import Refused
from generator.reference.safetensors import quote, read_file, refuse_constant, unique
from generator.reference.tensors import SIZES, Tensor, name_key

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
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


def read_folder(files: Mapping[str, bytes]) -> dict[str, Tensor]:
    """The tensors of a folder given as file name to bytes [EN-15, EN-16]."""
    if SINGLE in files:
        return read_file(files[SINGLE])
    if INDEX not in files:
        raise Refused("CheckpointError")
    weight_map = read_weight_map(files[INDEX])
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
