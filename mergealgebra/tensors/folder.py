"""Which files of a folder are its model, and what to do about a folder that has none [EN-15, EN-16]."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Final

from mergealgebra.disk import read_file
from mergealgebra.errors import CheckpointError, DuplicateName
from mergealgebra.tensors.files import reading
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.tensors.safetensors_file import MAX_HEADER_BYTES, read_header
from mergealgebra.tensors.strict_json import Reader, RepeatedKey
from mergealgebra.text import place, shown

MODEL: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"

_MAX_INDEX_DEPTH: Final = 64
_MAX_REF_BYTES: Final = 1024
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


def _read_shards(folder: Path, names: set[str]) -> dict[str, TensorRecord]:
    """The tensors of all shards, each where the index says it is and nowhere else [EN-16]. names: in the folder."""
    index = _Index(folder / INDEX)
    records: dict[str, TensorRecord] = {}
    for file in index.files(names):
        for name, record in read_header(folder / file).items():
            if name in records:
                raise DuplicateName(
                    f"{place(record.path, name)} stands in the shard {shown(records[name].path.name)} too: {_REWRITE}"
                )
            records[name] = record
    index.check_places(records)
    return {name: records[name] for name in sorted(records)}


class _Index:
    """An index as its bytes: it is read once for the files, and again for the tensors once those are known [EN-16].

    So the names in it are never all in memory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with reading(path):
            self._data = read_file(path, MAX_HEADER_BYTES)

    def files(self, names: Set[str]) -> list[str]:
        """The shards that it names, all of them among these names in its folder: some have no place in a path."""
        found: set[str] = set()
        missing = None
        for _, file in self._weight_map():
            if file in names:
                found.add(file)
            elif missing is None:
                missing = file  # what is wrong with the index itself is told first
        if missing is not None:
            raise CheckpointError(
                f"{place(self._path)} names the shard {shown(missing)}, which is missing: get it again"
            )
        return sorted(found)

    def check_places(self, records: Mapping[str, TensorRecord]) -> None:
        """Every tensor of the shards is in the index, and the other way round, with its file."""
        unnamed = set(records)
        path, held = None, ""  # of the tensor before: the name in a path takes a while to find
        for name, file in self._weight_map():
            record = records.get(name)
            if record is None:
                raise CheckpointError(
                    f"{place(self._path, name)} is not in {shown(file)}, nor in another shard: {_REWRITE}"
                )
            if record.path is not path:
                path, held = record.path, record.path.name
            if held != file:
                raise CheckpointError(
                    f"{place(self._path, name)} is in {shown(held)}, not in {shown(file)}: {_REWRITE}"
                )
            unnamed.discard(name)
        if unnamed:
            name = min(unnamed)
            raise CheckpointError(f"{place(records[name].path, name)} is not in {INDEX}: {_REWRITE}")

    def _weight_map(self) -> Iterator[tuple[str, str]]:
        """Each tensor and the name of its file. The index is known to be sound when it ends."""
        where, has_map = place(self._path), False
        known: str | None = None
        try:
            reader = Reader(self._data, _MAX_INDEX_DEPTH)
            if reader.mark != b"{":
                raise CheckpointError(f"{where} is {shown(reader.value())}, expected an object: {_REWRITE}")
            for key in reader.members():
                if key != "weight_map":
                    reader.skip()
                    continue
                has_map = True
                if reader.mark != b"{":
                    raise _no_map(where, reader.value())
                for name in reader.members():
                    file = reader.value()
                    if known is None or file != known:  # most tensors follow another of their shard
                        known = _file_name(self._path, name, file)
                    yield name, known
            reader.finish()
        except RepeatedKey as error:
            raise DuplicateName(f"{where} has the key {shown(error.key)} twice: {_REWRITE}") from None
        except ValueError as error:
            raise CheckpointError(f"{where} is not JSON, {error}: {_REWRITE}") from None
        if not has_map:
            raise _no_map(where, None)


def _no_map(where: str, found: object) -> CheckpointError:
    return CheckpointError(f"{where} has {shown(found)} as its weight_map, expected an object: {_REWRITE}")


def _file_name(index: Path, name: str, file: object) -> str:
    if not isinstance(file, str) or file in ("", ".", "..") or any(mark in file for mark in "/\\\0"):
        raise CheckpointError(
            f"{place(index, name)} is in {shown(file)}, expected the name of a file beside the index: {_REWRITE}"
        )
    return file
