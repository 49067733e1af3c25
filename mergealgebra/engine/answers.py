"""What the statistics of a merge found, of every group of tensors; and how it is kept from merge to merge [TI-2]."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from mergealgebra.algebra.method import Group, Statistic
from mergealgebra.encoding import decode, encode, hash_id
from mergealgebra.engine.plan import Plan
from mergealgebra.engine.sources import Contribution
from mergealgebra.errors import EncodingError
from mergealgebra.methods.method import Method

#: Answers of a stage's statistic, by group.
Found = Mapping[Group, Any]


@dataclass(frozen=True)
class Answers:
    """What was found, by the stage's number among all stages of the method.

    read: the digests of the leaves of what a statistic without a proof read, by input, tensor and first element: the
    pass that merges must read the same. weights: by the number of the round and tensor, the coefficient there of each
    contribution that holds it, by index.
    """

    found: Mapping[int, Found] = field(default_factory=dict)
    read: Mapping[tuple[Any, str, int], Sequence[bytes]] = field(default_factory=dict)
    weights: Mapping[tuple[int, str], Mapping[int, float]] = field(default_factory=dict)

    @cached_property
    def _by_tensor(self) -> Mapping[tuple[int, int, str], Any]:
        return {
            (stage, group.index, name): answer
            for stage, answers in self.found.items()
            for group, answer in answers.items()
            for name in group.names
        }

    def of(self, stage: int, index: int, name: str) -> Any:
        """The answer for one tensor of one contribution; None where there was nothing to find."""
        return self._by_tensor.get((stage, index, name))

    def weights_of(self, index: int, name: str, rounds: int) -> tuple[float | None, ...]:
        """The coefficients of a contribution in each of so many rounds; None where that is its own."""
        if not self.weights:
            return ()
        return tuple(self.weights.get((number, name), {}).get(index) for number in range(rounds))


def statistics(plan: Plan, number: int) -> list[tuple[Statistic, Mapping[int, Sequence[str]]]]:
    """The statistics of a stage, each with the tensors that have it, by contribution, in name order [ST-5]."""
    found: dict[tuple[str, ...], tuple[Statistic, dict[int, list[str]]]] = {}
    for name in plan.counted_names():
        for index, _ in plan.counted(name):
            statistic: Statistic | None = plan.stages_of(name, index)[number].statistic
            if statistic is not None:
                key = (kind_of(statistic), *statistic.key)
                found.setdefault(key, (statistic, {}))[1].setdefault(index, []).append(name)
    return list(found.values())


def groups(plan: Plan, statistic: Statistic, among: Mapping[int, Sequence[str]]) -> Iterator[Group]:
    """All groups with elements: all of these tensors of a contribution, or each by itself.

    among: by the index of the contribution, tensors that it holds and that count, in name order.
    """
    for index, names in sorted(among.items()):
        for together in [names] if statistic.scope == "model" else ([name] for name in names):
            if size := sum(plan.base.records[name].size for name in together):
                yield Group(index, tuple(together), size)


# Keeping them

#: A list of entries, and an entry without its name, take fewer bytes.
_ENTRY_BYTES: Final = 24


def cache_key(base_root: str, contribution: Contribution, recipe: Method, key: Sequence[Sequence[str]]) -> str | None:
    """Under which name answers of a contribution are kept; None when its tensors are not known yet.

    key: kind and key of all stages before, and of the statistic. The forms of tensors follow from their root [CT-13].
    """
    if contribution.tensors is None:
        return None
    whose = [recipe.distribution, recipe.version, recipe.needs.on]
    stages = [list(one) for one in key]
    return hash_id("thresholds", encode([base_root, contribution.tensors, contribution.form, whose, stages]))


def kind_of(one: object) -> str:
    """The kind of a stage or a statistic, for a key."""
    return f"{type(one).__module__}.{type(one).__qualname__}"


def pack(statistic: Statistic, answers: Iterable[Any]) -> bytes:
    """The answers for a contribution's groups, in order."""
    return encode([statistic.packed(answer) for answer in answers])


def unpack(statistic: Statistic, data: bytes, wanted: Sequence[Group]) -> list[Any] | None:
    """The inverse; None unless the bytes are answers for so many groups. They may still be the wrong ones.

    More bytes than such answers take are not looked at: a hundred times their size would be in memory.
    """
    if len(data) > _ENTRY_BYTES + sum(_ENTRY_BYTES + max(map(_size, group.names)) for group in wanted):
        return None
    try:
        entries = decode(data, max_bytes=len(data))
    except EncodingError:
        return None
    found = [statistic.unpacked(entry) for entry in entries] if isinstance(entries, list) else []
    return found if len(found) == len(wanted) and None not in found else None


def _size(name: str) -> int:
    return len(name.encode(errors="surrogatepass"))
