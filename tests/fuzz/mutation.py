"""Mutations: of bytes, and of the values that they encode, so that what comes out is decoded beyond its first byte.

A map is a `Pairs`: keys may stand in any order, or twice.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, Final

import msgpack
import yaml

Tree = Any
Mutation = Callable[[Random, bytes], bytes]

INTEGERS = [0, 1, -1, 2, 31, 32, 127, 128, 255, 256, 2**16, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, -(2**63)]
TEXTS = ["", "a", "\0", "\n", "é", "\ud800", "\u2028", "🜂", "__metadata__", "self", "lambda_", "~x/y", "../x"]
TEXTS += ["x" * 300]
LEAVES = [None, True, False, *INTEGERS, *TEXTS, b"", bytes(16), bytes(32), b"\xff" * 31, 0.5, [], [[]], {}]
BYTES = [b"\0", b"\xff", b"\x80", b"\xc1", b"\xdd" + b"\xff" * 4, *(b'"[]{},:'[i : i + 1] for i in range(7)), b"9" * 30]


class Pairs(list[Any]):
    """The entries of a map, as pairs."""


class _Pair(list[Any]):
    """A key and a value: it stays one."""


# Bytes


def mutate_bytes(random: Random, data: bytes, dictionary: Sequence[bytes] = ()) -> bytes:
    """One to four small changes anywhere."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        start = random.randint(0, len(changed))
        stop = min(len(changed), start + random.choice((1, 1, 2, 4, 16)))
        match random.randrange(6):
            case 0 if start < len(changed):
                changed[start] ^= 1 << random.randrange(8)
            case 1:
                changed[start:stop] = random.choice((*BYTES, *dictionary))
            case 2:
                changed[start:start] = random.choice((*BYTES, *dictionary))
            case 3:
                del changed[start:stop]
            case 4:
                changed[start:start] = changed[start:stop] * random.choice((1, 2, 9))
            case _:
                changed[start:stop] = random.randbytes(stop - start)
    return bytes(changed)


# Values


def mutate_tree(random: Random, tree: Tree) -> Tree:
    """One to three changes to nodes of a value; the value itself stays as it is."""
    holder = _Pair([copy.deepcopy(tree)])
    for _ in range(random.randint(1, 3)):
        place, index = random.choice(list(_nodes(holder)))
        changes = [*(() if isinstance(place, _Pair) else _MOVES), *(() if _is_pair(place, index) else _EDITS)]
        random.choice(changes)(random, place, index)
    return holder[0]


def _nodes(place: list[Any]) -> Iterator[tuple[list[Any], int]]:
    """Every node, as the list that holds it and its place there; of maps the pairs, the keys and the values."""
    for index, item in enumerate(place):
        yield place, index
        if isinstance(item, list):
            yield from _nodes(item)


def _is_pair(place: list[Any], index: int) -> bool:
    return isinstance(place[index], _Pair)


def _delete(random: Random, place: list[Any], index: int) -> None:
    del place[index]


def _repeat(random: Random, place: list[Any], index: int) -> None:
    place.insert(random.randint(0, len(place)), copy.deepcopy(place[index]))


def _swap(random: Random, place: list[Any], index: int) -> None:
    other = random.randrange(len(place))
    place[index], place[other] = place[other], place[index]


def _replace(random: Random, place: list[Any], index: int) -> None:
    place[index] = copy.deepcopy(random.choice(LEAVES))


def _move_near(random: Random, place: list[Any], index: int) -> None:
    place[index] = _near(random, place[index])


def _wrap(random: Random, place: list[Any], index: int) -> None:
    place[index] = [place[index]]


#: What can be done to the items of an array and the pairs of a map; and to values and keys.
_MOVES: Final = (_delete, _repeat, _swap)
_EDITS: Final = (_replace, _move_near, _move_near, _wrap)


def _near(random: Random, value: Tree) -> Tree:
    """A value not far from this one."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + random.choice((-1, 1, 256, -value, 1 << 40))
    if isinstance(value, str):
        return random.choice((value[:-1], value + "x", value.upper(), value + random.choice(TEXTS), value[::-1]))
    if isinstance(value, bytes):
        return random.choice((value[:-1], value + b"\0", value[::-1], bytes(len(value))))
    if isinstance(value, Pairs):
        return Pairs([*value, _Pair([random.choice(TEXTS), random.choice(LEAVES)])])
    return [*value, random.choice(LEAVES)] if isinstance(value, list) else value


# Encodings of values


def mutate_value(random: Random, data: bytes) -> bytes:
    """Another canonical value, or one that is nearly canonical; bytes that are no value are mutated as bytes."""
    try:
        tree = msgpack.unpackb(data, raw=False, object_pairs_hook=pairs)
    except (ValueError, msgpack.UnpackException):
        return mutate_bytes(random, data)
    try:
        return pack(mutate_tree(random, tree), ordered=random.random() < 0.9)
    except (OverflowError, ValueError, RecursionError):  # a number or a text that MessagePack cannot hold
        return mutate_bytes(random, data)


def pack(tree: Tree, *, ordered: bool = True) -> bytes:
    """A value as MessagePack. ordered: with the keys of maps in canonical order."""
    packer = msgpack.Packer(use_bin_type=True)
    if isinstance(tree, Pairs):
        entries = sorted(tree, key=lambda pair: str(pair[0]).encode("utf-8", "replace")) if ordered else tree
        items = (pack(item, ordered=ordered) for pair in entries for item in pair)
        return bytes(packer.pack_map_header(len(tree))) + b"".join(items)
    if isinstance(tree, list):
        return bytes(packer.pack_array_header(len(tree))) + b"".join(pack(item, ordered=ordered) for item in tree)
    return bytes(packer.pack(tree))


def mutate_json(random: Random, data: bytes) -> bytes:
    """Another JSON text; bytes that are none are mutated as bytes."""
    try:
        tree = json.loads(data, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return mutate_bytes(random, data)
    return write_json(mutate_tree(random, tree), ascii_only=random.random() < 0.5)


def write_json(tree: Tree, *, ascii_only: bool = True) -> bytes:
    """A value as JSON, whatever is in it."""
    return _json(tree, ascii_only).encode("utf-8", "surrogatepass")


def _json(tree: Tree, ascii_only: bool) -> str:
    if isinstance(tree, Pairs):
        entries = (f"{_json(str(key), ascii_only)}:{_json(value, ascii_only)}" for key, value in tree)
        return "{" + ",".join(entries) + "}"
    if isinstance(tree, list):
        return "[" + ",".join(_json(item, ascii_only) for item in tree) + "]"
    return json.dumps(tree.hex() if isinstance(tree, bytes) else tree, ensure_ascii=ascii_only)


def mutate_yaml(random: Random, data: bytes) -> bytes:
    """Another YAML text: half of the time as lines that come and go, else as a value, which is then JSON."""
    lines = data.splitlines(keepends=True)
    if random.random() < 0.5 and lines:
        at, line = random.randrange(len(lines)), random.choice(lines)
        lines[at : at + random.randrange(2)] = [random.choice((line, b"  " + line, line.lstrip(), line + line))]
        return b"".join(lines)
    if b"*" in data:  # what aliases stand for may be larger than all memory
        return mutate_bytes(random, data)
    try:
        tree = _paired(yaml.load(data.decode(), yaml.BaseLoader))
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return mutate_bytes(random, data)
    return write_json(mutate_tree(random, tree), ascii_only=random.random() < 0.5) if tree else data


def _paired(tree: Tree) -> Tree:
    if isinstance(tree, dict):
        return pairs([(key, _paired(value)) for key, value in tree.items()])
    return [_paired(item) for item in tree] if isinstance(tree, list) else tree


def pairs(entries: Sequence[Sequence[Any]]) -> Pairs:
    """The hook of decoders that keeps a map as it stands."""
    return Pairs(_Pair(entry) for entry in entries)
