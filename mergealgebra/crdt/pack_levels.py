"""Which packs are merged, and which lie wholly inside another: by the ids that they hold alone [PK-3, PK-4]."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from mergealgebra.crdt.packs import BRANCH, MAX_PACK_BYTES, level_of

#: What each pack holds, by its name: a map, or a dictionary of nothing, by the ids of operations.
Packs = Mapping[str, Mapping[str, object]]


def to_merge(packs: Packs, sizes: Mapping[str, int]) -> list[str]:
    """The names of the packs that the next one replaces, ascending: 16 of the lowest level that has so many [PK-3].

    sizes: the bytes of each; what would not fit in one pack is passed over. None when nothing is due.
    """
    for names in _levels(packs):
        chosen = names[:BRANCH]
        if len(chosen) == BRANCH and sum(sizes[name] for name in chosen) <= MAX_PACK_BYTES:
            return chosen
    return []


def insides(packs: Packs) -> Iterator[tuple[str, str]]:
    """Each pack that lies wholly inside a strictly larger one, and the largest such [PK-4]."""
    by_size = sorted(packs.items(), key=lambda item: (-len(item[1]), item[0]))
    firsts = {next(iter(held)) for held in packs.values()}
    holding: dict[str, list[tuple[str, Mapping[str, object]]]] = defaultdict(list)
    for name, held in by_size:
        for larger, others in holding[next(iter(held))]:
            if len(others) > len(held) and held.keys() <= others.keys():
                yield name, larger
                break
        for id_ in firsts & held.keys() if len(firsts) < len(held) else filter(firsts.__contains__, held):
            holding[id_].append((name, held))


def _levels(packs: Packs) -> Iterator[list[str]]:
    """The names of the packs that count, ascending, of each level from 1 on.

    Of packs that hold the same, the first counts. So the pack of 16 that count is strictly larger than each of them.
    """
    inside = {name for name, _ in insides(packs)}
    levels: dict[int, list[str]] = defaultdict(list)
    counted: dict[tuple[int, str], list[Mapping[str, object]]] = defaultdict(list)
    for name, held in sorted(packs.items()):
        alike = counted[len(held), next(iter(held))]
        if name not in inside and not any(held.keys() == other.keys() for other in alike):
            alike.append(held)
            levels[max(1, level_of(len(held)))].append(name)
    return iter(names for _, names in sorted(levels.items()))
