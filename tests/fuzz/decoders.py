"""How each decoder is called, and what must hold of a value that it accepts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from mergealgebra import encoding, lock, recipe_file
from mergealgebra.algebra import decimals
from mergealgebra.crdt.fields import is_id
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.encoding import hash_id
from mergealgebra.errors import EncodingError, MergeAlgebraError
from mergealgebra.recipe import complete_recipe
from mergealgebra.tensors import folder as model_folder
from mergealgebra.tensors import safetensors_file
from mergealgebra.tensors.choice import Choice
from mergealgebra.tensors.file_names import INDEX
from tests.crdt.strategies import GENESIS, WORKSPACE
from tests.fuzz import reference

# safetensors files


def read_file(data: bytes, folder: Path) -> dict[str, Any]:
    path = folder / "a.safetensors"
    path.write_bytes(data)
    return safetensors_file.read_header(path)


def check_file(data: bytes, records: dict[str, Any], folder: Path) -> None:
    """Each tensor lies in the file, and the canonical file of the same tensors is read as the same [EN-13, EN-17]."""
    assert all(r.offset > 0 and r.offset + r.nbytes <= len(data) for r in records.values())
    canonical = safetensors_file.canonical_header((r.name, r.dtype, r.shape, r.nbytes) for r in records.values())
    pieces = (data[r.offset : r.offset + r.nbytes] for r in records.values())
    written = canonical + b"".join(pieces)
    again = read_file(written, folder)
    assert [(r.name, r.dtype, r.shape) for r in again.values()] == [
        (r.name, r.dtype, r.shape) for r in records.values()
    ]
    assert list(again) == sorted(again, key=str.encode)
    assert not data.startswith(canonical) or data == written


# Folders of shards: the input is the index, the shards are these


@cache
def shards() -> dict[str, bytes]:
    """Two files of two tensors each, by name."""
    return {f"{file}.safetensors": _file([f"{file}.0", f"{file}.1"]) for file in "ab"}


def _file(names: Sequence[str]) -> bytes:
    header = safetensors_file.canonical_header((name, "U8", (2,), 2) for name in names)
    return header + b"\0\1" * len(names)


def read_folder(data: bytes, folder: Path) -> dict[str, Any]:
    folder = folder / "shards"
    if not folder.exists():
        folder.mkdir()
        for name, content in shards().items():
            (folder / name).write_bytes(content)
    (folder / INDEX).write_bytes(data)
    return model_folder.read_model(folder).records


def check_folder(data: bytes, records: dict[str, Any], folder: Path) -> None:
    assert {(name, r.path.name) for name, r in records.items()} <= {
        (f"{file[0]}.{i}", file) for file in shards() for i in range(2)
    }


def accepts_folder(data: bytes) -> bool:
    return reference.folder({**shards(), INDEX: data})


# Canonical values, and what is encoded in them


def read_value(data: bytes, folder: Path) -> list[Any]:
    return [encoding.decode(data)]


def check_value(data: bytes, value: list[Any], folder: Path) -> None:
    assert encoding.encode(value[0]) == data


def read_manifest(data: bytes, folder: Path) -> Manifest:
    return Manifest.from_map(encoding.decode(data))


def check_manifest(data: bytes, manifest: Manifest, folder: Path) -> None:
    assert encoding.encode(manifest.to_map()) == data
    assert manifest.id == hash_id("contribution", data)


def read_genesis(data: bytes, folder: Path) -> Genesis:
    """As a workspace does, which knows what the recipe means."""
    genesis = Genesis.decode(data)
    complete_recipe(genesis.recipe)
    return genesis


def check_genesis(data: bytes, genesis: Genesis, folder: Path) -> None:
    assert genesis.encode() == data
    assert genesis.workspace_id == hash_id("genesis", data)


def read_operation(data: bytes, folder: Path) -> Operation:
    return Operation.decode(data, WORKSPACE)


def check_operation(data: bytes, operation: Operation, folder: Path) -> None:
    assert operation.encode() == data
    assert operation.id == hash_id("operation", data)
    state = ORSet(GENESIS, frozenset({operation}))
    assert state.join(state) == state
    assert ORSet(GENESIS) <= state
    assert len(state.visible()) <= 1
    assert is_id(state.merge_id)


# merge.lock


def read_lock(data: bytes, folder: Path) -> lock.Lock:
    (folder / lock.LOCK).write_bytes(data)
    return lock.Lock.read(folder)


def check_lock(data: bytes, found: lock.Lock, folder: Path) -> None:
    """Written again it is the same lock, in the form of LK-2."""
    again = read_lock(found.to_bytes(), folder)
    assert again == found
    assert again.to_bytes() == found.to_bytes()
    assert found.model_root == lock.tensors_root(found.tensors)


# Recipes and merge files


def read_recipe(data: bytes, folder: Path) -> list[Any]:
    """As one and as the other; refused when both refuse, for the reason of the first."""
    path = folder / "recipe.yaml"
    path.write_bytes(data)
    with suppress(MergeAlgebraError):
        return [recipe_file.read_merge_file(path), None]
    return [None, recipe_file.read_recipe(path)]


def check_recipe(data: bytes, found: list[Any], folder: Path) -> None:
    """The recipe is complete, and reading its map again gives it back [RC-4, RC-5]."""
    merge, recipe = found
    recipe = recipe or merge.recipe
    assert complete_recipe(recipe.to_map()).id == recipe.id == hash_id("recipe", encoding.encode(recipe.to_map()))
    text = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in recipe.to_map().items())
    path = folder / "again.yaml"
    path.write_text(text)
    assert recipe_file.read_recipe(path) == recipe
    for model in merge.models if merge else ():
        assert isinstance(model.path, Path)
        assert decimals.fp32(model.coefficient, "coefficient")


def accepts_recipe(data: bytes) -> bool | None:
    """Of merge files, which name paths, it has no opinion."""
    return None if b"base" in data or b"models" in data or b"\\" in data else reference.recipe(data)


# Patterns: the input is a pattern, a zero byte, and a name


def read_pattern(data: bytes, folder: Path) -> list[Any]:
    try:
        pattern, _, name = data.decode().partition("\0")
    except UnicodeDecodeError:
        raise EncodingError("not text") from None
    return [pattern, name, name in Choice(take=(pattern,))]


def check_pattern(data: bytes, found: list[Any], folder: Path) -> None:
    pattern, name, matched = found
    expected = reference.matches(pattern, name)
    assert expected is None or matched == expected
    assert (name in Choice(leave=(pattern,))) != matched
