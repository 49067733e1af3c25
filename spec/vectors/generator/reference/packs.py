"""Packs: their bytes, and which are merged [PK]."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from generator.reference import canonical
from generator.reference.hashes import H
from generator.reference.operations import operation_id, read_operation
from generator.reference.refused import Refused

MAGIC = b"mergealgebra pack 1\n"
MOST_BYTES = 2**26
MOST_REPLACED = 256
MOST_OPERATION = 2**20


def number(n: int) -> bytes:
    return n.to_bytes(4, "big")


def make_pack(operations: Iterable[bytes], replaces: Iterable[bytes]) -> bytes:
    """The bytes of a pack [PK-1]."""
    replaced = sorted(set(replaces))
    ordered = [x for _, x in sorted({operation_id(x): x for x in operations}.items())]
    return MAGIC + number(len(replaced)) + b"".join(replaced) + b"".join(number(len(x)) + x for x in ordered)


def pack_name(pack: bytes) -> bytes:
    return H("pack", pack)


def read_pack(workspace: bytes, pack: bytes) -> tuple[list[bytes], list[bytes]]:
    """The ids of its operations, and the names of the packs that it replaces [PK-1, PK-2]."""
    if len(pack) > MOST_BYTES or pack[: len(MAGIC)] != MAGIC:
        raise Refused("PackError")
    rest = pack[len(MAGIC) :]

    def take(n: int) -> bytes:
        nonlocal rest
        if n > len(rest):
            raise Refused("PackError")
        taken, rest = rest[:n], rest[n:]
        return taken

    count = int.from_bytes(take(4), "big")
    if count > MOST_REPLACED:
        raise Refused("PackError")
    replaces = [take(32) for _ in range(count)]
    operations = []
    while rest:
        operations.append(take(int.from_bytes(take(4), "big")))
    ids = list(map(operation_id, operations))
    if not ids or ids != sorted(set(ids)) or replaces != sorted(set(replaces)):
        raise Refused("PackError")
    for x in operations:
        try:
            read_operation(workspace, x)
        except Refused as refused:
            raise Refused("WrongWorkspace" if refused.rule == "WrongWorkspace" else "PackError") from None
    return ids, replaces


def inside(packs: Mapping[str, frozenset[str]]) -> list[str]:
    """The packs that lie wholly inside a strictly larger one [PK-4]."""
    return sorted(name for name, held in packs.items() if any(held < other for other in packs.values()))


def level(n: int) -> int:
    """PK-3."""
    return max([1, *(power for power in range(1, 9) if 16**power <= n)])


def to_merge(packs: Mapping[str, frozenset[str]], sizes: Mapping[str, int]) -> Sequence[str]:
    """The packs that the next one replaces, none when nothing is due [PK-3]."""
    gone = set(inside(packs))
    counting = [
        name
        for name, held in packs.items()
        if name not in gone and not any(other < name and packs[other] == held for other in packs)
    ]
    for one in range(1, 9):
        names = sorted(name for name in counting if level(len(packs[name])) == one)[:16]
        if len(names) == 16 and sum(sizes[name] for name in names) <= MOST_BYTES:
            return names
    return []


MOST_NAMED = 2**16


def make_index(names: Iterable[bytes], operations: Iterable[bytes]) -> bytes:
    """The bytes of an index [PK-8]."""
    return canonical.encode({"operations": b"".join(sorted(set(operations))), "packs": b"".join(sorted(set(names)))})


def read_index(index: bytes) -> tuple[list[bytes], list[bytes]]:
    """The names of packs and the ids of operations of an index [PK-8]."""
    try:
        value = canonical.decode(index)
    except Refused:
        raise Refused("PackError") from None
    if not isinstance(value, dict) or set(value) != {"operations", "packs"}:
        raise Refused("PackError")
    return _names(value["packs"]), _names(value["operations"])


def _names(joined: object) -> list[bytes]:
    if not isinstance(joined, bytes) or len(joined) % 32 or len(joined) > 32 * MOST_NAMED:
        raise Refused("PackError")
    names = [joined[at : at + 32] for at in range(0, len(joined), 32)]
    if names != sorted(set(names)):
        raise Refused("PackError")
    return names
