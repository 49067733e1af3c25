"""Outer checks, made to pass: an input whose length, hash or name is right again reaches the checks behind them."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgpack

from mergealgebra.crdt.genesis import merge_id
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.encoding import encode, hash_id, model_root
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.incremental.seals import HEADER_BYTES, KEY_BYTES, Seal
from mergealgebra.lock import achieved_density
from tests.crdt.strategies import WORKSPACE
from tests.fuzz import reference
from tests.fuzz.mutation import Pairs, pack, pairs
from tests.fuzz.stores import Files

#: No input is given more data than this, whatever its header says.
_MOST_DATA = 1 << 12
#: What goes wrong on the way through bytes that hold no such thing: then they stay as they are.
_NO_SUCH_THING = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


def length(data: bytes) -> bytes:
    """A safetensors file whose first bytes are the length of its header, and whose data ends where the header says."""
    end = max(8, data.rfind(b"}") + 1)
    text, rest = data[8:end], data[end:]
    with suppress(*_NO_SUCH_THING):
        entries = json.loads(text).values()
        size = max((entry["data_offsets"][1] for entry in entries if "data_offsets" in entry), default=0)
        if 0 <= size <= _MOST_DATA:
            rest = rest[:size].ljust(size, b"\0")
    return len(text).to_bytes(8, "little") + text + rest


def canonical(data: bytes) -> bytes:
    """The same value in the canonical order and the shortest form, where it has one."""
    with suppress(*_NO_SUCH_THING, msgpack.UnpackException):
        return pack(msgpack.unpackb(data, raw=False, object_pairs_hook=pairs))
    return data


def operation(data: bytes, workspace: str = WORKSPACE) -> bytes:
    """An operation of this workspace, canonical."""
    with suppress(*_NO_SUCH_THING, msgpack.UnpackException):
        tree = msgpack.unpackb(data, raw=False, object_pairs_hook=pairs)
        _put(_get(tree, "body"), "workspace", bytes.fromhex(workspace))
        return pack(tree)
    return data


def store(data: bytes) -> bytes:
    """The files of a store, each operation of its workspace and under its id, each blob under its root."""
    try:
        files = Files.unpack(data)
    except MergeAlgebraError:
        return data
    genesis = canonical(files.genesis)
    workspace = hash_id("genesis", genesis)
    operations = [operation(content, workspace) for _, content in files.operations]
    named = [(hash_id("operation", content), content) for content in operations]
    return Files(
        genesis, named, [(reference.root_of(content) or name, content) for name, content in files.blobs]
    ).pack()


def lock(data: bytes) -> bytes:
    """A lock whose ids, roots and density follow from the rest of it, as far as the rest is there [LK-4]."""
    with suppress(*_NO_SUCH_THING, MergeAlgebraError):
        found = json.loads(data)
        entries = found["contributions"]
        for entry in entries:
            fields = {key: entry[key] for key in ("coefficient", "elements", "form", "tensors")}
            entry["id"] = Manifest(base=found["base"], **fields).id
        entries.sort(key=lambda entry: entry["id"])
        found["achieved_density"] = achieved_density([e["kept"] for e in entries], [e["elements"] for e in entries])
        ids = [entry["id"] for entry in entries]
        found["merge_id"] = merge_id(found["base"], hash_id("recipe", encode(found["recipe"])), ids)
        records = ((name, t["dtype"], tuple(t["shape"]), t["root"]) for name, t in found["tensors"].items())
        found["model_root"] = model_root(records)
        return json.dumps(found, indent=2).encode() + b"\n"
    return data


#: That of a workspace with a key that everybody knows.
SEAL = Seal(bytes(KEY_BYTES))


def sealed(data: bytes, seal: Seal = SEAL) -> bytes:
    """The header of a kept aggregate, with its seal in front."""
    body = canonical(data[HEADER_BYTES:])
    return seal.of_header(body) + body


def _get(tree: Any, key: str) -> Any:
    return next((pair[1] for pair in tree if pair[0] == key), None) if isinstance(tree, Pairs) else None


def _put(tree: Any, key: str, value: object) -> None:
    for pair in tree if isinstance(tree, Pairs) else ():
        if pair[0] == key:
            pair[1] = value
