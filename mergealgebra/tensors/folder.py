"""Which files of a folder are its model, and what to do about a folder that has none [EN-15, EN-16]."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mergealgebra.errors import CheckpointError, DuplicateName
from mergealgebra.tensors import strict_json
from mergealgebra.tensors.files import opened, reading
from mergealgebra.tensors.safetensors_file import MAX_HEADER_BYTES, TensorRecord, read_header
from mergealgebra.text import place, shown

MODEL: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"

_MAX_INDEX_DEPTH: Final = 64
_PICKLES: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_ADAPTERS: Final = ("adapter_model.safetensors", "adapter_model.bin", "adapter_config.json")
_REWRITE: Final = "write the index again, or get the folder again"

_PICKLE_ADVICE: Final = (
    "pickled weights, which can run code when they are read: save them with safetensors.torch.save_file or"
    " save_pretrained(safe_serialization=True)"
)
_ADAPTER_ADVICE: Final = (
    "a LoRA adapter, which is not a whole model: merge it into its model first (peft: merge_and_unload), then save that"
)


def read_model(path: Path) -> dict[str, TensorRecord]:
    """The tensors of a checkpoint in name order: of one file, or of the files that make up a folder [EN-15].

    Raises CheckpointError where there is no such checkpoint, saying what to name instead, and as `read_header`
    does.
    """
    if path.is_dir():
        return _read_folder(path)
    if path.name.endswith(INDEX):
        raise CheckpointError(f"{place(path)} is an index: name its folder {place(path.parent)} instead")
    if path.name in _ADAPTERS:
        raise CheckpointError(f"{place(path)} is {_ADAPTER_ADVICE}")
    if path.suffix in _PICKLES:
        raise CheckpointError(f"{place(path)} holds {_PICKLE_ADVICE}")
    return read_header(path)


def _read_folder(folder: Path) -> dict[str, TensorRecord]:
    with reading(folder):
        names = set(os.listdir(folder))  # noqa: PTH208 - names, not paths
    if MODEL in names:
        return read_header(folder / MODEL)
    if INDEX in names:
        return _read_shards(folder, names)
    raise CheckpointError(f"{place(folder)} {_why_no_model(folder, names)}")


def _why_no_model(folder: Path, names: set[str]) -> str:
    """What the folder is instead, and what to do."""
    if {"snapshots", "refs"} <= names:
        return f"is the outer folder of a Hugging Face cache: name {_snapshot(folder)} instead"
    if not names.isdisjoint(_ADAPTERS):
        return f"holds {_ADAPTER_ADVICE}"
    if any(name.endswith(_PICKLES) for name in names):
        return f"holds {_PICKLE_ADVICE}"
    others = sorted(name for name in names if name.endswith(".safetensors"))
    if others:
        return f"has neither {MODEL} nor {INDEX}: name one file in it instead, such as {shown(others[0])}"
    return f"has neither {MODEL} nor {INDEX}: name a model folder or a safetensors file"


def _snapshot(cache: Path) -> str:
    """The snapshot to name: the one that `main` refers to, or else the first."""
    try:
        snapshots = sorted(entry.name for entry in (cache / "snapshots").iterdir())
        main = cache / "refs" / "main"
        wanted = main.read_text(errors="replace").strip() if main.is_file() else ""
    except OSError:
        snapshots, wanted = [], ""
    if not snapshots:
        return "a folder under snapshots/ (none is there yet: download the model)"
    return place(cache / "snapshots" / (wanted if wanted in snapshots else snapshots[0]))


def _read_shards(folder: Path, names: set[str]) -> dict[str, TensorRecord]:
    """The tensors of all shards, each where the index says it is and nowhere else [EN-16]. names: in the folder."""
    index = folder / INDEX
    weight_map = _weight_map(index)
    records: dict[str, TensorRecord] = {}
    for file in sorted(set(weight_map.values())):
        if file not in names:  # not asked of the system, which may take no such name
            raise CheckpointError(f"{place(index)} names the shard {shown(file)}, which is missing: get it again")
        for name, record in read_header(folder / file).items():
            if name in records:
                raise DuplicateName(
                    f"{place(record.path, name)} stands in the shard {shown(records[name].path.name)} too: {_REWRITE}"
                )
            records[name] = record
    _check_places(index, weight_map, records)
    return {name: records[name] for name in sorted(records, key=str.encode)}


def _check_places(index: Path, weight_map: Mapping[str, str], records: Mapping[str, TensorRecord]) -> None:
    """Every tensor of the shards is in the index, and the other way round, with its file [EN-16]."""
    for name, file in weight_map.items():
        if name not in records:
            raise CheckpointError(f"{place(index, name)} is not in {shown(file)}, nor in another shard: {_REWRITE}")
    for name, record in records.items():
        if name not in weight_map:
            raise CheckpointError(f"{place(record.path, name)} is not in {INDEX}: {_REWRITE}")
        if record.path.name != weight_map[name]:
            raise CheckpointError(
                f"{place(index, name)} is in {shown(record.path.name)}, not in {shown(weight_map[name])}: {_REWRITE}"
            )


def _weight_map(index: Path) -> dict[str, str]:
    """The file name of each tensor, as the index has it [EN-16]."""
    parsed = _parse_index(index)
    weight_map = parsed.get("weight_map")
    if not isinstance(weight_map, strict_json.Object):
        raise CheckpointError(
            f"{place(index)} has {shown(weight_map)} as its weight_map, expected an object: {_REWRITE}"
        )
    for known in (parsed, weight_map):
        if known.repeated is not None:
            raise DuplicateName(f"{place(index)} has the key {shown(known.repeated)} twice: {_REWRITE}")
    return {name: _file_name(index, name, file) for name, file in weight_map.items()}


def _parse_index(index: Path) -> strict_json.Object:
    with opened(index) as file:
        if os.fstat(file.fileno()).st_size > MAX_HEADER_BYTES:  # before reading: read(n) makes room for n bytes
            raise CheckpointError(f"{place(index)} has more than {MAX_HEADER_BYTES} bytes: {_REWRITE}")
        text = file.read()
    try:
        parsed = strict_json.parse(text.strip(b" \t\r\n"), _MAX_INDEX_DEPTH)
    except ValueError as error:
        raise CheckpointError(f"{place(index)} is not JSON, {error}: {_REWRITE}") from None
    if not isinstance(parsed, strict_json.Object):
        raise CheckpointError(f"{place(index)} is {shown(parsed)}, expected an object: {_REWRITE}")
    return parsed


def _file_name(index: Path, name: str, file: object) -> str:
    if not isinstance(file, str) or file in ("", ".", "..") or any(mark in file for mark in "/\\\0"):
        raise CheckpointError(
            f"{place(index, name)} is in {shown(file)}, expected the name of a file beside the index: {_REWRITE}"
        )
    return file
