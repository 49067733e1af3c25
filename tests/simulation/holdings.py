"""What the folder of a store holds, read by nobody's code but this: packs and lone operations [SY-1, PK-1, PK-2]."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.damage import operation_name
from tests.simulation.team_model import Facts

MAGIC = b"mergealgebra pack 1\n"
DAY = 24 * 60 * 60

#: The fact that the bytes of an operation say; None for what may not enter the set.
FactOf = Callable[[bytes], str | None]


@dataclass(frozen=True)
class Holdings:
    """files: the facts in each file that is what its name promises. foreign: how many entries of them say none.

    damaged: all other files, but for those whose operation a good pack holds. salvage: the facts in damaged packs.
    written: when each pack was, by the file system; newest: when anything beside them was. blobs: the names of files of
    tensors. rotten: of an object store, the roots of which something is not what it should be.
    """

    files: Mapping[str, Facts]
    foreign: int
    damaged: frozenset[str]
    salvage: Facts
    written: Mapping[str, float]
    blobs: frozenset[str]
    newest: float = 0.0
    rotten: frozenset[str] = frozenset()

    @property
    def facts(self) -> Facts:
        """All that the good files say."""
        return Facts().union(*self.files.values())


def holdings(folder: Path, fact_of: FactOf) -> Holdings:
    """What a folder holds."""
    files: dict[str, Facts] = {}
    damaged, salvage, written, foreign = set(), Facts(), {}, 0
    packs, loose = _files(folder / "packs"), _files(folder / "operations")
    for name, data in packs.items():
        found = [fact_of(one) for one in frames(data)]
        written[f"packs/{name}"] = (folder / "packs" / name).stat().st_mtime
        if pack_name(data) == name:
            files[f"packs/{name}"] = Facts(filter(None, found))
            foreign += found.count(None)
        else:
            damaged.add(f"packs/{name}")
            salvage |= Facts(filter(None, found))
    packed = {operation_name(one) for name, data in packs.items() if f"packs/{name}" in files for one in frames(data)}
    for name, data in loose.items():
        fact = fact_of(data)
        if operation_name(data) == name:
            files[f"operations/{name}"] = Facts(filter(None, [fact]))
            foreign += fact is None
        elif name not in packed:
            damaged.add(f"operations/{name}")
    blobs = frozenset(path.name for path in (folder / "blobs").iterdir())
    newest = max((path.stat().st_mtime for path in (folder / "packs").glob("*")), default=0.0)
    return Holdings(files, foreign, frozenset(damaged), salvage, written, blobs, newest)


def _files(folder: Path) -> dict[str, bytes]:
    """The files whose names are hashes; `packs/index` is a hint [PK-8]."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name: path.read_bytes() for path in paths if len(path.name) == 64}


# Packs as bytes


def pack_name(data: bytes) -> str:
    """The name of a pack's bytes [PK-1]."""
    return hashlib.sha256(b"mergealgebra/1/pack\x00" + data).hexdigest()


def pack_of(operations: list[bytes], replaces: list[str]) -> bytes:
    """The pack of these operations, which says that it replaces others [PK-1]."""
    ordered = [data for _, data in sorted({operation_name(data): data for data in operations}.items())]
    names = [bytes.fromhex(name) for name in sorted(set(replaces))]
    framed = (part for data in ordered for part in (len(data).to_bytes(4, "big"), data))
    return b"".join([MAGIC, len(names).to_bytes(4, "big"), *names, *framed])


def frames(data: bytes) -> Iterator[bytes]:
    """The operations in a pack, as far as they can be told."""
    at = len(MAGIC) + 4
    if not data.startswith(MAGIC) or len(data) < at:
        return
    at += 32 * min(int.from_bytes(data[at - 4 : at], "big"), 256)
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size > 1 << 20 or at + 4 + size > len(data):
            return
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


# What PK-3 and PK-4 say of them


def crowded(held: Holdings, branch: int) -> list[int]:
    """The levels of which there are so many files that count that a pack is due."""
    packs = {name: facts for name, facts in held.files.items() if name.startswith("packs/") and facts}
    counting = [
        facts
        for name, facts in packs.items()
        if not any(facts < other or (facts == other and second < name) for second, other in packs.items())
    ]
    packed = Facts().union(*packs.values())
    alone = [facts for name, facts in held.files.items() if name.startswith("operations/") and facts - packed]
    levels = [0] * len(alone) + [max(1, _level(len(facts), branch)) for facts in counting]
    return sorted({level for level in levels if levels.count(level) >= branch})


def _level(count: int, branch: int) -> int:
    level = 0
    while branch ** (level + 1) <= count:
        level += 1
    return level


def unduly_gone(before: Holdings, after: Holdings, now: float) -> list[str]:
    """The files that went, and do not lie in one strictly larger pack that is there, and appeared a day ago."""
    there = {name: min(written, before.written.get(name, written)) for name, written in after.written.items()}
    rested = [after.files[name] for name, written in there.items() if name in after.files and now - written > DAY]
    return [
        name
        for name, facts in before.files.items()
        if facts and name not in after.files and not any(facts <= pack and len(pack) > len(facts) for pack in rested)
    ]
