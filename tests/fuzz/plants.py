"""Planted defects: each takes one guard away from a decoder, and what CI does with its target must notice."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any, Final

import msgpack
import yaml
from pytest import MonkeyPatch

from mergealgebra import encoding, lock, lock_file, recipe_file, yaml_text
from mergealgebra.algebra import trim
from mergealgebra.crdt import fields, manifest, operations
from mergealgebra.incremental.header import Header
from mergealgebra.incremental.seals import HEADER_BYTES, Seal
from mergealgebra.store import blob_map, objects
from mergealgebra.sync import challenges, messages
from mergealgebra.tensors import choice, folder, header, index, safetensors_file, strict_json

Plant = Callable[[MonkeyPatch], None]


def _set(owner: Any, name: str, value: Any) -> Plant:
    return lambda patch: patch.setattr(owner, name, value)


def _unchecked(*_: Any, **__: Any) -> None:
    """A check that finds nothing."""


def _decode_without_comparing(data: bytes, *, max_bytes: int = encoding.MAX_BYTES) -> Any:
    """Whatever msgpack takes: longer forms of integers, keys in any order."""
    encoding._check_depth(data)
    try:
        return msgpack.unpackb(data, raw=False)
    except ValueError as error:
        raise encoding.EncodingError(str(error)) from None


def _repeated_by_counting(hashes: array[int]) -> list[int]:
    """The same keys, in quadratic time."""
    found = list(hashes)
    return [one for one in found if found.count(one) > 1]


def _beside_as_it_was(path: Path, text: str, what: str) -> Path:
    """The home of nobody, and names with a zero byte, raise what Python raises."""
    return path.parent / Path(text).expanduser()


def _read_all(path: Path, most: int) -> bytes:
    """As it once was: room for the largest lock, whatever its size."""
    with path.open("rb") as file:
        return file.read(most + 1)


def _names_of_any(reader: strict_json.Reader, *_: object) -> Iterator[str]:
    """Keys of a lock, whether they stand there already or not."""
    return reader.names()


def _shards_asked_of_the_system(path: Path, names: Set[str]) -> Any:
    """As it once was: a name may be too long to ask for."""
    for file in {file for _, file in index.Index(path)._weight_map()}:
        if not (path.parent / file).exists():
            raise index.CheckpointError("missing")
    return _READ_SHARDS(path, names)


_READ_SHARDS = index.read_shards


def _header_decoded_in_the_open(cls: type[Header], data: bytes, seal: Seal) -> Any:
    """What is odd about a header is nobody's to catch."""
    body = data[HEADER_BYTES:]
    return cls._made(encoding.decode(body)) if seal.of_header(body) == data[:HEADER_BYTES] else None


def _operation_unnamed(store: objects.Store, name: str) -> Any:
    """The name of a file is not compared with what it holds."""
    path = store.path / objects.OPERATIONS / name
    return operations.Operation.decode(path.read_bytes(), store.genesis.workspace_id)


#: By what is planted: the target that must notice, and the defect.
PLANTS: Final[Mapping[str, tuple[str, Plant]]] = {
    "no cap of depth": ("value", _set(encoding, "MAX_DEPTH", 1000)),
    "depth judged by msgpack alone": ("value", _set(encoding, "_check_depth", _unchecked)),
    "forms that are not canonical": ("value", _set(encoding, "decode", _decode_without_comparing)),
    "JSON of any depth": ("index", _set(strict_json.Reader, "_check_depth", _unchecked)),
    "holes between tensors": ("header", _set(safetensors_file, "_check_layout", _unchecked)),
    "names with lone surrogates": ("header", _set(header, "check_name", _unchecked)),
    "integers with a sign": (
        "header",
        _set(strict_json, "_DECODER", json.JSONDecoder()),
    ),
    "a quadratic search for duplicates": ("index", _set(strict_json, "_repeated", _repeated_by_counting)),
    "shards outside the folder": ("index", _set(index, "_file_name", lambda index, name, file: file)),
    "shards looked for by the system": ("index", _set(folder, "read_shards", _shards_asked_of_the_system)),
    "tensors in other shards": ("index", _set(index.Index, "check_files", _unchecked)),
    "coefficients of zero": ("manifest", _set(manifest, "_check_coefficient", _unchecked)),
    "elements without a bound": ("manifest", _set(manifest, "check_integer", _unchecked)),
    "control characters": ("genesis", _set(fields.unicodedata, "category", lambda _: "Lu")),
    "names with control characters": ("operation", _set(operations, "check_name", _unchecked)),
    "optional fields that are nil": ("operation", _set(operations, "_present", lambda body, key: body[key])),
    "other workspaces": ("operation", _set(operations, "id_from_bytes", lambda value, *_: "2d" * 32)),
    "files under any name": ("store", _set(objects.Store, "read_operation", _operation_unnamed)),
    "blobs with any header": ("store", _set(objects.Store, "check_blob", _unchecked)),
    "a lock that need not agree with itself": ("lock", _set(lock.Lock, "check", _unchecked)),
    "room for the largest lock": ("lock", _set(lock, "read_file", _read_all)),
    "keys of a lock that stand twice": ("lock", _set(lock_file, "_names", _names_of_any)),
    "keys that stand twice": (
        "recipe",
        _set(yaml_text.TextLoader, "construct_mapping", yaml.BaseLoader.construct_mapping),
    ),
    "YAML of any depth": ("recipe", _set(yaml_text.TextLoader, "_check_depth", _unchecked)),
    "the home of nobody": ("recipe", _set(recipe_file, "_beside", _beside_as_it_was)),
    "patterns in any case": ("pattern", _set(choice, "fnmatchcase", lambda n, p: _FNMATCH(n.lower(), p.lower()))),
    "thresholds that are believed": ("thresholds", _set(trim, "holds", lambda *_: True)),
    "ranges that overlap": ("question", _set(messages, "check_ascending", _unchecked)),
    "two things of one range": ("answer", _set(messages, "numbers_of", lambda value, allowed, what: tuple(value))),
    "maps out of order": ("map", _set(blob_map, "pairwise", lambda found: ())),
    "a header in upper case": ("request", _set(challenges, "_HEADER", re.compile(challenges._HEADER.pattern, re.I))),
    "a header decoded in the open": (
        "aggregate",
        _set(Header, "decode", classmethod(_header_decoded_in_the_open)),
    ),
}

_FNMATCH = choice.fnmatchcase
