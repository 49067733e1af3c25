"""The second implementation of the clauses, `spec/vectors/generator`, asked only: would you accept this?"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

sys.path.append(str(Path(__file__).parents[2] / "spec" / "vectors"))

from generator.reference import (
    canonical,
    checkpoints,
    configuration,
    contributions,
    hashes,
    lock,
    operations,
    patterns,
    safetensors,
)
from generator.reference.refused import Refused

#: How often a `*` may stand in a pattern that is asked about: the second implementation tries all ways.
_STARS = 3


def accepts(read: Callable[[], object]) -> bool:
    """Whether reading is not refused. It was written for cases, not for anything at all: to stumble is to refuse."""
    try:
        read()
    except (Refused, AttributeError, TypeError, ValueError, OverflowError, RecursionError):
        return False
    return True


def value(data: bytes) -> bool:
    return accepts(lambda: canonical.decode(data))


def header(data: bytes) -> bool:
    return accepts(lambda: safetensors.read_file(data))


def folder(files: Mapping[str, bytes]) -> bool:
    return accepts(lambda: checkpoints.read_folder(files))


def manifest(data: bytes) -> bool:
    return accepts(lambda: contributions.check_manifest(canonical.decode(data)))


def genesis(data: bytes) -> bool:
    return accepts(lambda: operations.read_genesis(data))


def operation(data: bytes, workspace: str) -> bool:
    return accepts(lambda: operations.read_operation(bytes.fromhex(workspace), data))


def blob(data: bytes, root: str) -> bool:
    return accepts(lambda: contributions.check_blob(bytes.fromhex(root), data))


def root_of(blob: bytes) -> str | None:
    """The root of the tensors of a file [EN-7]; None when it is none."""
    try:
        return hashes.model_root(safetensors.read_file(blob)).hex()
    except (Refused, RecursionError):
        return None


def merge_id(genesis: bytes, encodings: list[bytes]) -> str:
    """What the operations of a store merge to, all of which are sound [OS-11]."""
    return operations.state_merge_id(operations.read_state(genesis, encodings)).hex()


def merge_lock(data: bytes) -> bool:
    return accepts(lambda: lock.check_lock(_lock_value(data)))


def _lock_value(data: bytes) -> Any:
    """What LK-2 says of the text itself: the second implementation leaves that to Python's parser."""
    try:
        found = json.loads(
            data.decode("utf-8").strip(" \t\r\n"),
            object_pairs_hook=safetensors.unique,
            parse_constant=safetensors.refuse_constant,
            parse_int=safetensors.digits_alone,
        )
        json.dumps(found, ensure_ascii=False).encode()
    except ValueError:
        raise Refused("LockError") from None
    if safetensors.nesting(found) > 8 or not _counts_fit(found) or not _has_tensors(found) or found.get("spec") is True:
        raise Refused("LockError")
    return found


def _has_tensors(found: Any) -> bool:
    """Whether its tensors have the form of LK-2, which the second implementation writes and does not check."""
    tensors = found.get("tensors") if isinstance(found, dict) else None
    return isinstance(tensors, dict) and all(
        isinstance(entry, dict)
        and set(entry) == {"dtype", "shape", "root"}
        and isinstance(entry["dtype"], str)
        and isinstance(entry["shape"], list)
        and safetensors.is_shape(entry["shape"])
        and math.prod(filter(None, entry["shape"])) < 2**63
        for entry in tensors.values()
    )


def _counts_fit(found: Any) -> bool:
    """Numbers below 2^63, the sizes of shapes among them."""
    if isinstance(found, (dict, list)):
        return all(map(_counts_fit, found.values() if isinstance(found, dict) else found))
    return not isinstance(found, int) or found < 2**63


def recipe(data: bytes) -> bool | None:
    """None where it has no opinion: PyYAML does not read it, or an alias stands for a large value."""
    if b"*" in data or len(data) > 4000:
        return None
    try:
        pairs = _pairs(yaml.compose(data.decode(), yaml.BaseLoader))
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return None
    return accepts(lambda: configuration.recipe_file(pairs))


def _pairs(node: yaml.Node | None) -> Any:
    """A document as pairs; a key that is no text makes it none."""
    if isinstance(node, yaml.MappingNode):
        if not all(isinstance(key, yaml.ScalarNode) for key, _ in node.value):
            return None
        return [[key.value, _pairs(item)] for key, item in node.value]
    if isinstance(node, yaml.SequenceNode):
        return tuple(map(_pairs, node.value))
    return None if node is None else node.value


def matches(pattern: str, name: str) -> bool | None:
    """Whether a pattern matches a name [CT-8]; None where asking takes too long."""
    if pattern.count("*") > _STARS or len(pattern) + len(name) > 100:
        return None
    return patterns.matches(pattern, name)
