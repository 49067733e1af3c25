"""Which files of a folder are its model; what leaves that open is refused, and so is half a model [EN-15, EN-20]."""

from __future__ import annotations

import os
import re
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from mergealgebra.disk import read_file
from mergealgebra.errors import CheckpointError
from mergealgebra.tensors.file_kinds import FORMATS
from mergealgebra.tensors.file_names import ADAPTER, ADAPTER_CONFIG, MODEL
from mergealgebra.tensors.files import reading
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.tensors.index import Index, is_index, read_shards
from mergealgebra.tensors.parts import PartList, part_list, part_of
from mergealgebra.tensors.safetensors_file import read_header
from mergealgebra.tensors.strange_names import UNLOAD, unload_or_name
from mergealgebra.text import listed, location, shown

#: The files that are a whole model by their names: transformers' and diffusers'.
_MODELS: Final = (MODEL, "diffusion_pytorch_model.safetensors")
_SHARD: Final = re.compile(r"(.*)-[0-9]{5,}-of-(?!0*1[.])[0-9]{5,}[.]safetensors", re.DOTALL)
_PART_WEIGHTS: Final = ("*.safetensors", "*pytorch_model*.bin")
_ADAPTERS: Final = (ADAPTER, "adapter_model.bin", ADAPTER_CONFIG)
_MAX_REF_BYTES: Final = 1024


@dataclass(frozen=True)
class ModelFiles:
    """A checkpoint's tensors in name order, and its parts: the folders in its own whose tensors are PART/NAME."""

    records: dict[str, TensorRecord]
    parts: tuple[str, ...] = ()


def read_model(path: Path) -> ModelFiles:
    """The tensors of a checkpoint: of one file, or of the files that make up a folder [EN-15, EN-20].

    Raises CheckpointError where there is no such checkpoint or more than one, saying what to name instead, and as
    `read_header` does.
    """
    if path.is_dir():
        names = _names_in(path)
        parts = part_list(path, names)
        return ModelFiles(_read_folder(path, names)) if parts is None else _read_parts(path, names, parts)
    if is_index(path.name):
        return ModelFiles(_read_file(path, _names_in(path.parent)))
    if path.name in _ADAPTERS:
        raise CheckpointError(f"{location(path)} is {_adapter_advice()}")
    if path.suffix in FORMATS:
        raise CheckpointError(f"{location(path)} holds {FORMATS[path.suffix]}")
    if _SHARD.fullmatch(path.name) and os.path.lexists(path):
        raise CheckpointError(f"{location(path)} {_what_of_a_shard(path)}")
    return ModelFiles(read_header(path))


def _read_folder(folder: Path, names: Set[str]) -> dict[str, TensorRecord]:
    """The tensors of a folder's own files. names: in the folder."""
    found = _models_among(folder, names)
    if not found:
        raise CheckpointError(f"{location(folder)} {_why_no_model(folder, names)}")
    if len(found) > 1:
        raise CheckpointError(
            f"{location(folder)} holds more than one model, {listed(map(shown, found))}: remove what is stale, or name "
            f"the one that is meant, such as {location(folder / found[0])}"
        )
    _refuse_adapter(folder, names, found[0])
    return _read_file(folder / found[0], names)


# Models of parts


def _read_parts(folder: Path, names: Set[str], listed_in: PartList) -> ModelFiles:
    """A model of parts: the tensors of its own folder under their names, those of a part as PART/NAME [EN-20]."""
    own = _read_own(folder, names, listed_in)
    if not listed_in.folders and not listed_in.own and (lost := _folders_with_weights(folder, names)):
        raise CheckpointError(
            f"{location(folder / listed_in.file)} names no part of the model, and {listed(map(shown, lost))} "
            f"{'has' if len(lost) == 1 else 'have'} weights: get the folder again, or name the part that is meant"
        )
    parts = tuple(part for part in listed_in.folders if _is_here(folder, names, part, listed_in))
    records = dict(own)
    for part in parts:
        inner = _names_in(folder / part)
        if _holds_weights(folder / part, inner):
            found = _read_folder(folder / part, inner)
            records |= {f"{part}/{name}": replace(r, name=f"{part}/{name}") for name, r in found.items()}
    if not records:
        raise CheckpointError(
            f"{location(folder)} is a model of parts, as its {listed_in.file} says, and none has weights"
        )
    for name in own:
        if part := part_of(name, parts):
            raise CheckpointError(
                f"{location(own[name].path, name)} is named as if it were in the part {shown(part)}: rename the "
                "tensor, or merge each part by itself"
            )
    return ModelFiles({name: records[name] for name in sorted(records)}, parts)


def _read_own(folder: Path, names: Set[str], parts: PartList) -> dict[str, TensorRecord]:
    """The tensors in the model's own folder, where it is a part or holds a model anyway."""
    is_part = parts.own and _holds_weights(folder, names - set(parts.folders))
    return _read_folder(folder, names) if is_part or _models_among(folder, names) else {}


def _is_here(folder: Path, names: Set[str], part: str, parts: PartList) -> bool:
    if part in names and (folder / part).is_dir():
        return True
    if parts.needed:
        raise CheckpointError(
            f"{location(folder / parts.file)} names the part {shown(part)}, which is not there: get the "
            f"folder again, all of it, or write [null, null] for {shown(part)}"
        )
    return False


def _holds_weights(folder: Path, names: Set[str]) -> bool:
    """Whether a part has weights: of some kind that may not be read, or in folders of its own, which are not."""
    if any(name.endswith((".safetensors", *FORMATS)) or is_index(name) for name in names):
        return True
    return bool(_folders_with_weights(folder, names))


def _read_file(path: Path, names: Set[str]) -> dict[str, TensorRecord]:
    """The tensors of an index or a model file. names: in its folder."""
    return read_shards(path, names) if is_index(path.name) else read_header(path)


def _names_in(folder: Path) -> set[str]:
    with reading(folder):
        return set(os.listdir(folder))  # noqa: PTH208 - names, not paths


def _models_among(folder: Path, names: Set[str]) -> list[str]:
    """The files that are a model each, by name: model files, indexes, and a shard where no index names it.

    An index without any of its shards here counts only where there is no other model. A file that an index names does
    not count by itself.
    """
    files = [name for name in _MODELS if name in names]
    indexes = sorted(filter(is_index, names))
    shards = sorted(name for name in names if _SHARD.fullmatch(name))
    if not files or not (indexes or shards):
        return files or indexes
    here = {index: Index(folder / index).here(names) for index in indexes}
    named = {shard for shards_here in here.values() for shard in shards_here}
    found = [name for name in files if name not in named] + [index for index in indexes if here[index]]
    stray = next((name for name in shards if name not in named), None)
    return found if stray is None else [*found, stray]


def _folders_with_weights(folder: Path, names: Set[str]) -> list[str]:
    found = []
    for name in sorted(name for name in names if not name.startswith(".")):
        inner: list[str] = []
        with suppress(OSError):  # most are files
            inner = os.listdir(folder / name)  # noqa: PTH208 - names, not paths
        if any(fnmatchcase(file, pattern) for file in inner for pattern in _PART_WEIGHTS):
            found.append(name)
    return found


def _refuse_adapter(folder: Path, names: Set[str], model: str) -> None:
    adapter = next((name for name in _ADAPTERS if name in names), None)
    if adapter is not None:
        raise CheckpointError(
            f"{location(folder)} holds a model, {shown(model)}, and a LoRA adapter, {shown(adapter)}: {UNLOAD} and "
            f"name the result, or name {location(folder / model)} to leave the adapter out"
        )


# What to name instead


def _adapter_advice() -> str:
    return f"a LoRA adapter, which is not a whole model: {unload_or_name()}"


def _why_no_model(folder: Path, names: Set[str]) -> str:
    """What the folder is instead, and what to do."""
    if {"snapshots", "refs"} <= names:
        return f"is the outer folder of a Hugging Face cache: name {_snapshot(folder)} instead"
    if not names.isdisjoint(_ADAPTERS):
        return f"holds {_adapter_advice()}"
    others = sorted(name for name in names if name.endswith(".safetensors"))
    if shard := next(filter(_SHARD.fullmatch, others), None):
        return f"holds shards of a model, such as {shown(shard)}, and no index of them: get the folder again, all of it"
    if others:
        return f"has neither {MODEL} nor an index: name one file in it instead, such as {location(folder / others[0])}"
    weights = _what_weights(names)
    if weights is None and (parts := _folders_with_weights(folder, names)):
        return f"has no model of its own: name a folder in it instead, such as {location(folder / parts[0])}"
    return weights or f"has neither {MODEL} nor an index: name a model folder or a safetensors file"


def _what_weights(names: Set[str]) -> str | None:
    """What a folder holds that are weights, and not safetensors."""
    for suffix, advice in FORMATS.items():
        if any(name.endswith(suffix) for name in names):
            return f"holds {advice}"
    return None


def _what_of_a_shard(path: Path) -> str:
    indexes = sorted(filter(is_index, _names_in(path.parent)))
    for index in indexes:
        if path.name in Index(path.parent / index).here({path.name}):
            whole = location(path.parent / index)
            return f"is one of several shards: name {location(path.parent)}, or {whole}, for the whole model"
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
    return location(cache / "snapshots" / (wanted if wanted in snapshots else snapshots[0]))


def _main(cache: Path) -> str:
    """What `main` refers to; empty where nothing can be read there."""
    try:
        return read_file(cache / "refs" / "main", _MAX_REF_BYTES).decode(errors="replace").strip()
    except OSError:
        return ""
