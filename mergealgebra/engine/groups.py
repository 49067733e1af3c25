"""Groups of tensors that share a threshold, and what was found for each [TI-2]."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from mergealgebra.algebra.trim import Threshold, kept_count
from mergealgebra.encoding import decode, encode, hash_id
from mergealgebra.engine.plan import Contribution, Plan
from mergealgebra.errors import EncodingError
from mergealgebra.recipe import Trim


@dataclass(frozen=True)
class Group:
    """Tensors of one contribution, by its index in the order, that are trimmed as one vector. names: in name order.

    size: d, the number of their elements, at least 1. m: how many are to be kept [TI-3].
    """

    index: int
    names: tuple[str, ...]
    size: int
    m: int


@dataclass(frozen=True)
class Found:
    """The threshold of a group. cut: the tensor, and the position in it, before which ties are kept; None for all."""

    bits: int
    cut: tuple[str, int] | None = None

    def of(self, name: str) -> Threshold:
        """The threshold of one of the group's tensors."""
        if self.cut is None:
            return Threshold(self.bits)
        tensor, position = self.cut
        if name == tensor:
            return Threshold(self.bits, position)
        return Threshold(self.bits, None if name.encode() < tensor.encode() else 0)


@dataclass(frozen=True)
class Trimming:
    """What trim keeps of every contribution. found: nothing where all that is not zero is kept."""

    found: Mapping[Group, Found]

    @cached_property
    def _thresholds(self) -> Mapping[tuple[int, str], Threshold]:
        return {(group.index, name): found.of(name) for group, found in self.found.items() for name in group.names}

    def of(self, index: int, name: str) -> Threshold:
        """The threshold of one tensor of one contribution."""
        return self._thresholds.get((index, name), _NOT_ZERO)


_NOT_ZERO = Threshold()


def groups(plan: Plan, trim: Trim) -> Iterator[Group]:
    """All groups with elements: all tensors of a contribution, or each by itself."""
    for index, contribution in enumerate(plan.contributions):
        names = [name for name in plan.held_names() if name in contribution.names]
        for together in [names] if trim.scope == "model" else ([name] for name in names):
            if size := sum(plan.base.records[name].size for name in together):
                yield Group(index, tuple(together), size, kept_count(trim.density, size))


# Keeping them

#: A list of entries, and an entry without its name, take fewer bytes.
_ENTRY_BYTES: Final = 24


def kept_key(base_root: str, contribution: Contribution, trim: Trim) -> str | None:
    """Under which name the thresholds of a contribution are kept; None when its tensors are not known yet."""
    if contribution.tensors is None:
        return None
    density = str(trim.density)
    what = [base_root, contribution.tensors, contribution.form, density, trim.scope, trim.boundary]
    return hash_id("thresholds", encode(what))


def pack(found: Iterable[Found]) -> bytes:
    """The thresholds of a contribution's groups, in order."""
    return encode([[one.bits, *(one.cut or ())] for one in found])


def unpack(data: bytes, wanted: Sequence[Group]) -> list[Found] | None:
    """The inverse; None unless the bytes are thresholds of so many groups. They may still be the wrong ones.

    More bytes than such thresholds take are not looked at: a hundred times their size would be in memory.
    """
    if len(data) > _ENTRY_BYTES + sum(_ENTRY_BYTES + max(map(_size, group.names)) for group in wanted):
        return None
    try:
        entries = decode(data, max_bytes=len(data))
    except EncodingError:
        return None
    found = [_found(entry) for entry in entries] if isinstance(entries, list) else []
    return found if len(found) == len(wanted) and all(found) else None  # type: ignore[return-value]


def _size(name: str) -> int:
    return len(name.encode(errors="surrogatepass"))


def _found(entry: object) -> Found | None:
    match entry:
        case [int(bits)] if 0 < bits < 1 << 31:
            return Found(bits)
        case [int(bits), str(name), int(position)] if 0 < bits < 1 << 31 and position >= 0:
            return Found(bits, (name, position))
    return None
