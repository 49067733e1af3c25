"""Which files of a folder are its model; what leaves that open is refused, and so is half a model [EN-15]."""

from __future__ import annotations

import os
import re
from collections.abc import Set
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from mergealgebra.disk import read_file
from mergealgebra.errors import CheckpointError
from mergealgebra.tensors.file_kinds import FORMATS
from mergealgebra.tensors.files import reading
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.tensors.index import Index, is_index, read_shards
from mergealgebra.tensors.safetensors_file import read_header
from mergealgebra.text import listed, place, shown

MODEL: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"

#: The files that are a whole model by their names: transformers' and diffusers'.
_MODELS: Final = (MODEL, "diffusion_pytorch_model.safetensors")
_SHARD: Final = re.compile(r"(.*)-[0-9]{5,}-of-(?!0*1[.])[0-9]{5,}[.]safetensors", re.DOTALL)
#: The files that say of a folder that its model is in parts: those of sentence-transformers and diffusers.
_OF_PARTS: Final = ("modules.json", "model_index.json")
_PART_WEIGHTS: Final = ("*.safetensors", "*pytorch_model*.bin")
_ADAPTERS: Final = ("adapter_model.safetensors", "adapter_model.bin", "adapter_config.json")
_MAX_REF_BYTES: Final = 1024

_UNLOAD: Final = "merge it into its model first (peft: merge_and_unload)"
_ADAPTER_ADVICE: Final = f"a LoRA adapter, which is not a whole model: {_UNLOAD}, then save that"


def read_model(path: Path) -> dict[str, TensorRecord]:
    """The tensors of a checkpoint in name order: of one file, or of the files that make up a folder [EN-15].

    Raises CheckpointError where there is no such checkpoint or more than one, saying what to name instead, and as
    `read_header` does.
    """
    if path.is_dir():
        return _read_folder(path)
    if is_index(path.name):
        return _read_file(path, _names_in(path.parent))
    if path.name in _ADAPTERS:
        raise CheckpointError(f"{place(path)} is {_ADAPTER_ADVICE}")
    if path.suffix in FORMATS:
        raise CheckpointError(f"{place(path)} holds {FORMATS[path.suffix]}")
    if _SHARD.fullmatch(path.name) and os.path.lexists(path):
        raise CheckpointError(f"{place(path)} {_what_of_a_shard(path)}")
    return read_header(path)


def _read_folder(folder: Path) -> dict[str, TensorRecord]:
    names = _names_in(folder)
    found = _models_among(folder, names)
    _refuse_parts(folder, names, found)
    if not found:
        raise CheckpointError(f"{place(folder)} {_why_no_model(folder, names)}")
    if len(found) > 1:
        raise CheckpointError(
            f"{place(folder)} holds more than one model, {listed(map(shown, found))}: remove what is stale, or name "
            f"the one that is meant, such as {place(folder / found[0])}"
        )
    _refuse_adapter(folder, names, found[0])
    return _read_file(folder / found[0], names)


def _read_file(path: Path, names: Set[str]) -> dict[str, TensorRecord]:
    """The tensors of an index or a model file. names: in its folder."""
    return read_shards(path, names) if is_index(path.name) else read_header(path)


def _names_in(folder: Path) -> set[str]:
    with reading(folder):
        return set(os.listdir(folder))  # noqa: PTH208 - names, not paths


def _models_among(folder: Path, names: Set[str]) -> list[str]:
    """The files that are a model each, by name: model files, indexes, and a shard where no index names it.

    An index none of whose shards is here is a model only where nothing else is one; a file that an index names is none
    beside it.
    """
    files = [name for name in _MODELS if name in names]
    indexes = sorted(filter(is_index, names))
    shards = sorted(name for name in names if _SHARD.fullmatch(name))
    if not files or not (indexes or shards):
        return files or indexes
    here = {index: Index(folder / index).here(names) for index in indexes}
    named = set[str]().union(*here.values())
    strays = [name for name in shards if name not in named][:1]
    return [name for name in files if name not in named] + [index for index in indexes if here[index]] + strays


def _refuse_parts(folder: Path, names: Set[str], found: list[str]) -> None:
    """Refuse a model of several parts, of which merging one would leave the others as they are."""
    marks = [name for name in _OF_PARTS if name in names]
    parts = _folders_with_weights(folder, names) if marks else []
    if parts:
        whole = listed(place(folder / part) for part in (*found, *parts))
        raise CheckpointError(
            f"{place(folder)} is a model of parts, as its {marks[0]} says, and one part is merged at a time: run the "
            f"same command once for each, in place of the folder: {whole}"
        )


def _folders_with_weights(folder: Path, names: Set[str]) -> list[str]:
    found = []
    for name in sorted(name for name in names if not name.startswith(".")):
        try:
            inner = os.listdir(folder / name)  # noqa: PTH208 - names, not paths
        except OSError:  # most are files
            continue
        if any(fnmatchcase(file, pattern) for file in inner for pattern in _PART_WEIGHTS):
            found.append(name)
    return found


def _refuse_adapter(folder: Path, names: Set[str], model: str) -> None:
    adapter = next((name for name in _ADAPTERS if name in names), None)
    if adapter is not None:
        raise CheckpointError(
            f"{place(folder)} holds a model, {shown(model)}, and a LoRA adapter, {shown(adapter)}: {_UNLOAD} and name "
            f"the result, or name {place(folder / model)} to leave the adapter out"
        )


# What to name instead


def _why_no_model(folder: Path, names: Set[str]) -> str:
    """What the folder is instead, and what to do."""
    if {"snapshots", "refs"} <= names:
        return f"is the outer folder of a Hugging Face cache: name {_snapshot(folder)} instead"
    if not names.isdisjoint(_ADAPTERS):
        return f"holds {_ADAPTER_ADVICE}"
    others = sorted(name for name in names if name.endswith(".safetensors"))
    if shard := next(filter(_SHARD.fullmatch, others), None):
        return f"holds shards of a model, such as {shown(shard)}, and no index of them: get the folder again, all of it"
    if others:
        return f"has neither {MODEL} nor an index: name one file in it instead, such as {place(folder / others[0])}"
    if parts := _folders_with_weights(folder, names):
        return f"has no model of its own: name a folder in it instead, such as {place(folder / parts[0])}"
    return _what_weights(names) or f"has neither {MODEL} nor an index: name a model folder or a safetensors file"


def _what_weights(names: Set[str]) -> str | None:
    """What a folder holds that are weights, and not safetensors."""
    found = (advice for suffix, advice in FORMATS.items() if any(name.endswith(suffix) for name in names))
    return next((f"holds {advice}" for advice in found), None)


def _what_of_a_shard(path: Path) -> str:
    indexes = sorted(filter(is_index, _names_in(path.parent)))
    for index in indexes:
        if path.name in Index(path.parent / index).here({path.name}):
            whole = place(path.parent / index)
            return f"is one of several shards: name {place(path.parent)}, or {whole}, for the whole model"
    return "is one of several shards, and no index of them is beside it: get the whole folder, and name that"


def _snapshot(cache: Path) -> str:
    """The snapshot to name: the one that `main` refers to, or else the first."""
    try:
        snapshots = sorted(entry.name for entry in (cache / "snapshots").iterdir())
    except OSError:
        snapshots = []
    if not snapshots:
        return "a folder under snapshots/ (none is there yet: download the model)"
    wanted = _main(cache)
    return place(cache / "snapshots" / (wanted if wanted in snapshots else snapshots[0]))


def _main(cache: Path) -> str:
    """What `main` refers to; empty where nothing can be read there."""
    try:
        return read_file(cache / "refs" / "main", _MAX_REF_BYTES).decode(errors="replace").strip()
    except OSError:
        return ""
