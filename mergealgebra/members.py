"""The members of a signed workspace: whose keys may write, or could once, and what they are called [SG-13]."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from mergealgebra.crdt.authority import Grant
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.signatures import fingerprint


@dataclass(frozen=True)
class Member:
    """Who has, or had, a key in a signed workspace.

    key: 64 hexadecimal digits. names: what the maintainers call its owner, ascending; nothing of a maintainer. live,
    revoked: the ids of their grants. operations: how many effective ones are here.
    """

    key: str
    is_maintainer: bool
    names: tuple[str, ...] = ()
    live: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()
    operations: int = 0

    @property
    def fingerprint(self) -> str:
        """Its key, as OpenSSH shows it."""
        return fingerprint(self.key)


def members(state: ORSet) -> tuple[Member, ...]:
    """The maintainers, then who has or had a grant that counts, by key; nobody in an open workspace [SG-13]."""
    authority = state.authority
    counted = [record for record in state.records().values() if authority.counts(record)]
    done = Counter(record.author for record in counted)
    grants: dict[str, list[Operation]] = {}
    for record in counted:
        if record.kind == Grant.kind:
            grants.setdefault(record.about, []).append(record.operation)
    maintainers = [Member(key, True, operations=done[key]) for key in state.genesis.maintainers]
    others = []
    for key, given in sorted(grants.items()):
        if key not in authority.maintainers:
            ids = sorted(operation.id for operation in given)
            live = tuple(id_ for id_ in ids if id_ not in authority.revoked)
            revoked = tuple(id_ for id_ in ids if id_ in authority.revoked)
            names = tuple(sorted({grant.name for one in given if isinstance(grant := one.payload, Grant)}))
            others.append(Member(key, False, names, live, revoked, done[key]))
    return (*maintainers, *others)
