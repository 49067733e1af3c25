"""Which operations count: decided from the genesis and the set alone, so all replicas agree [OS-8, SG-8].

Three strata, each decided by those above it, so there is no cycle and no clock:

    grant, revoke, keep    count when a maintainer signed them
    a writer's operation   counts under a grant to its author, unless that is revoked; then if every revoke keeps it
    a remove               takes effect, name by name, on adds of its own author, or on all if a maintainer signed it

Only a few fields of an operation are looked at: a store can keep them in an index, and decide without the bodies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Protocol, Self, TypeVar

from mergealgebra.crdt.authority import Grant, Keep, Later, Revoke
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.payloads import Add, Remove

#: Kinds that count only from a maintainer [SG-8].
MAINTAINERS_ONLY: Final = frozenset({Grant.kind, Revoke.kind, Keep.kind})


class Record(Protocol):
    """What decides of an operation; an `Operation` is one.

    kind: one of SIGNED_KINDS, or `later`. author: a key, None in an open workspace. grant: under which it was made.
    names: the operations that a remove, revoke or keep names. about: of an add its base, of a grant its key, of a keep
    its revoke.
    """

    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def author(self) -> str | None: ...
    @property
    def grant(self) -> str | None: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def about(self) -> str: ...


AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclass(frozen=True)
class Authority:
    """Who may write, by a set of operations. Only what maintainers signed is looked at [SG-8].

    base: that of the genesis. maintainers: their keys, none in an open workspace. grants: the key of each grant that
    counts, by its id. revoked: of each grant that is revoked, by its id, for each revoke what its keeps name.
    """

    base: str
    maintainers: frozenset[str] = frozenset()
    grants: Mapping[str, str] = field(default_factory=dict)
    revoked: Mapping[str, tuple[frozenset[str], ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, genesis: Genesis, records: Iterable[Record]) -> Self:
        """Who may write, by all records of a set."""
        maintainers = frozenset(genesis.maintainers)
        said = [one for one in records if one.author in maintainers and one.kind in MAINTAINERS_ONLY]
        grants = {one.id: one.about for one in said if one.kind == Grant.kind}
        kept: dict[str, set[str]] = {one.id: set() for one in said if one.kind == Revoke.kind}
        for keep in said:
            if keep.kind == Keep.kind and keep.about in kept:
                kept[keep.about].update(keep.names)
        revoked: dict[str, tuple[frozenset[str], ...]] = {}
        for revoke in said:
            if revoke.kind == Revoke.kind:
                leaves = frozenset(kept[revoke.id])
                for grant in revoke.names:
                    revoked[grant] = (*revoked.get(grant, ()), leaves)
        return cls(genesis.base, maintainers, grants, revoked)

    @property
    def is_open(self) -> bool:
        """Whether everybody may write."""
        return not self.maintainers

    def admits(self, record: Record) -> bool:
        """Whether an operation of the set is admissible: passed on to others, and perhaps effective [SG-8]."""
        if not self.maintainers or record.author in self.maintainers:
            return True
        if record.grant is None or self.grants.get(record.grant) != record.author:
            return False
        return all(record.id in kept for kept in self.revoked.get(record.grant, ()))

    def counts(self, record: Record) -> bool:
        """Whether an operation of the set is effective [OS-8, SG-8]."""
        kind = record.kind
        if kind == Later.kind or (kind == Add.kind and record.about != self.base):
            return False
        if kind in MAINTAINERS_ONLY and record.author not in self.maintainers:
            return False
        return self.admits(record)

    def takes_back(self, author: str | None, add: Record) -> bool:
        """Whether an effective remove of an author takes effect on an add [SG-9]."""
        return not self.maintainers or author == add.author or author in self.maintainers

    @cached_property
    def live(self) -> dict[str, str]:
        """By key, the grant under which it can write now: the first by id of those that are not revoked."""
        found = sorted((id_, key) for id_, key in self.grants.items() if id_ not in self.revoked)
        return {key: id_ for id_, key in reversed(found)}

    def may_write(self, key: str | None) -> bool:
        """Whether what somebody writes now is admissible."""
        return self.is_open or key in self.maintainers or key in self.live


def admissible(genesis: Genesis, operations: Iterable[AnyRecord]) -> frozenset[AnyRecord]:
    """The operations that are passed on to others [SG-8, SG-10]."""
    operations = list(operations)
    authority = Authority.of(genesis, operations)
    return frozenset(operation for operation in operations if authority.admits(operation))


def effective(genesis: Genesis, operations: Iterable[AnyRecord]) -> frozenset[AnyRecord]:
    """The operations that count [OS-8, SG-8].

    In an open workspace all but an add for another base: more operations never make one of them ineffective. In a
    signed one, more operations of maintainers can.
    """
    operations = list(operations)
    authority = Authority.of(genesis, operations)
    return frozenset(operation for operation in operations if authority.counts(operation))


def taken_back(authority: Authority, counted: Iterable[AnyRecord]) -> dict[str, list[AnyRecord]]:
    """The removes that take effect on each add, by its id; what no remove takes back is not among them [OS-9, SG-9].

    counted: the effective operations.
    """
    counted = list(counted)
    adds = {one.id: one for one in counted if one.kind == Add.kind}
    found: dict[str, list[AnyRecord]] = {}
    for remove in counted:
        if remove.kind == Remove.kind:
            for name in remove.names:
                if name in adds and authority.takes_back(remove.author, adds[name]):
                    found.setdefault(name, []).append(remove)
    return found
