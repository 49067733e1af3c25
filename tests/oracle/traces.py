"""Operations of one workspace as they may arrive: by maintainers, writers and strangers, honest or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from mergealgebra.crdt.authority import Grant, Keep, Later, Revoke
from mergealgebra.crdt.operations import Add, Attest, Operation, Remove, SignedPayload
from tests.crdt.strategies import GENESIS, MANIFESTS, OTHER_BASE, nonce
from tests.signers import SeedSigner, signers

PEOPLE = signers(5)
MAINTAINERS, WRITERS = PEOPLE[:2], PEOPLE[2:]
SIGNED = replace(GENESIS, maintainers=tuple(one.key for one in MAINTAINERS))
FOREIGN = replace(MANIFESTS[0], base=OTHER_BASE)
MERGE_IDS, ROOTS = ("1" * 64,), ("3" * 64, "4" * 64)


@dataclass
class Trace:
    """What was made so far. Names are of what was made, most of them of the kind that is meant."""

    choose: Random
    made: list[Operation] = field(default_factory=list)

    def some(self, *kinds: str, most: int = 3) -> tuple[str, ...]:
        """Ids of operations of these kinds, seldom of any kind; none where there is none."""
        meant = sorted({one.id for one in self.made if one.kind in kinds or self.choose.random() < 0.05})
        return tuple(sorted(self.choose.sample(meant, min(len(meant), self.choose.randint(1, most)))))

    def payload(self) -> SignedPayload:
        """Something to say; an add where there is nothing to name."""
        said = self.choose.choices(tuple(SAYINGS), tuple(SAYINGS.values()))[0](self)
        return said or self.add()

    def add(self) -> Add:
        manifest = FOREIGN if self.choose.random() < 0.1 else self.choose.choice(MANIFESTS)
        return Add(manifest, nonce(len(self.made)))

    def remove(self) -> Remove | None:
        return Remove(names) if (names := self.some("add")) else None

    def grant(self) -> Grant:
        return Grant(self.choose.choice(WRITERS).key, "somebody", nonce(len(self.made)))

    def revoke(self) -> Revoke | None:
        return Revoke(names) if (names := self.some("grant", most=2)) else None

    def keep(self) -> Keep | None:
        revokes, kept = self.some("revoke", most=1), self.some("add", "remove", most=8)
        return Keep(revokes[0], kept) if revokes and kept else None

    def attest(self) -> Attest:
        return Attest(self.choose.choice(MERGE_IDS), self.choose.choice(ROOTS))

    def later(self) -> Later:
        return Later(self.choose.choice((3, 4)), f"kind{len(self.made)}", b"\x80")

    def author(self, kind: str) -> SeedSigner:
        """Mostly who may; what only maintainers may do is tried by writers too."""
        ruling = kind in {Grant.kind, Revoke.kind, Keep.kind}
        return self.choose.choice(MAINTAINERS if self.choose.random() < (0.9 if ruling else 0.15) else WRITERS)

    def under(self, author: SeedSigner) -> str | None:
        """A grant that was made to this author, seldom one to another, or no grant."""
        grants = [one.id for one in self.made if one.kind == Grant.kind]
        own = [one.id for one in self.made if isinstance(one.payload, Grant) and one.payload.key == author.key]
        return self.choose.choice([*own * 12, *grants, None])

    def signed(self) -> Operation:
        payload = self.payload()
        author = self.author(payload.kind)
        grant = None if author in MAINTAINERS and self.choose.random() < 0.9 else self.under(author)
        return Operation(SIGNED.workspace_id, payload).signed_by(author, grant)


#: What is said in a signed workspace, and how often.
SAYINGS: dict[Callable[[Trace], SignedPayload | None], int] = {
    Trace.add: 12,
    Trace.remove: 6,
    Trace.grant: 2,
    Trace.revoke: 2,
    Trace.keep: 6,
    Trace.attest: 6,
    Trace.later: 1,
}


def signed_trace(seed: int, most: int = 40) -> list[Operation]:
    """What a signed workspace may come to hold. The first grants are made first, so that writers can use them."""
    trace = Trace(Random(seed))
    for number, writer in enumerate(WRITERS[:2]):
        grant = Operation(SIGNED.workspace_id, Grant(writer.key, "writer", nonce(1000 + number)))
        trace.made.append(grant.signed_by(MAINTAINERS[0]))
    for _ in range(trace.choose.randrange(most)):
        trace.made.append(trace.signed())
    return trace.made


def open_trace(seed: int, most: int = 20) -> list[Operation]:
    """What an open workspace may come to hold."""
    trace = Trace(Random(seed))
    for _ in range(trace.choose.randrange(most)):
        payload = trace.choose.choice((Trace.add, Trace.add, Trace.remove, Trace.attest))(trace) or trace.add()
        trace.made.append(Operation(GENESIS.workspace_id, payload))
    return trace.made


def parts(made: list[Operation], choose: Random) -> Iterator[frozenset[Operation]]:
    """Most of it, as it may have reached two replicas."""
    for _ in range(2):
        yield frozenset(choose.sample(made, choose.randint(len(made) * 2 // 3, len(made))))
