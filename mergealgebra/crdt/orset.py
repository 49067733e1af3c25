"""The state of a replica: a set of operations that joins by union [OS-7].

    join(a, b) = a | b
    visible    = the manifests of the effective adds that no effective remove takes back

Add wins against a concurrent remove; a removed contribution can be added again [OS-9]. In a signed workspace policy.py
says what is effective, and what a remove takes back.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from functools import cached_property

from mergealgebra.crdt.authority import Grant
from mergealgebra.crdt.garbage_collector import paused
from mergealgebra.crdt.genesis import Genesis, merge_id
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operation_set import OperationSet
from mergealgebra.crdt.operations import NONCE_BYTES, Add, Attest, Operation, Remove, SignedPayload, Signer
from mergealgebra.crdt.permission import owners, parts, permission
from mergealgebra.crdt.policy import Authority
from mergealgebra.crdt.records import Record
from mergealgebra.errors import BaseMismatch, NotAllowed, UnknownContribution, WrongWorkspace
from mergealgebra.signatures import fingerprint
from mergealgebra.text import by_caller, listed


@dataclass(frozen=True)
class ORSet:
    """A genesis and a set of its operations; every subset is a state, so a delta is a state [OS-7].

    Mutators return the delta and leave the state as it is: `state = state.join(state.add(manifest))`. In a signed
    workspace they take a signer, and raise NotAllowed when it may not do that [SG-8]. Raises WrongWorkspace for an
    operation of another workspace, and OperationError for a signed one in an open workspace, or the other way round.

    >>> base = "ab" * 32
    >>> empty = ORSet(Genesis(base, "team", {"method": "mean", "lambda": "1"}))
    >>> manifest = Manifest(base, "3f800000", 4, "finetuned", "cd" * 32)
    >>> state = empty.join(empty.add(manifest))
    >>> list(state.visible()) == [manifest.id]
    True
    >>> state = state | state.remove(manifest.id)
    >>> state.visible(), len(state.operations)
    ({}, 2)
    >>> state = state | state.add(manifest)  # a removed contribution can be added again
    >>> list(state.visible()) == [manifest.id]
    True
    """

    genesis: Genesis
    operations: Set[Operation] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "operations", self._set)

    # The lattice

    def join(self, other: ORSet) -> ORSet:
        """The least state that contains both: commutative, associative, idempotent [OS-7].

        It costs what the smaller one has, and with a state that this one came from, nothing.
        Raises WrongWorkspace when the states have different geneses.
        """
        self._check_same_workspace(other)
        large, small = (self, other) if len(self._set) >= len(other._set) else (other, self)
        return large._with(large._set.joined(small._set.lacking_in(large._set)))

    def __or__(self, other: ORSet) -> ORSet:
        return self.join(other)

    def __le__(self, other: ORSet) -> bool:
        """Whether `other` holds every operation of this state. Raises WrongWorkspace."""
        self._check_same_workspace(other)
        return self._set <= other._set

    def difference(self, other: ORSet) -> ORSet:
        """The delta that `other` lacks: `other.join(self.difference(other)) == other.join(self)` [OS-7]."""
        self._check_same_workspace(other)
        return ORSet(self.genesis, OperationSet.of(self.genesis, self._set.lacking_in(other._set)))

    def joined(self, records: Iterable[Record]) -> ORSet:
        """The state with further operations of this workspace, by records of them that were checked."""
        return self._with(self._set.joined(records))

    @property
    def _set(self) -> OperationSet:
        return OperationSet.of(self.genesis, self.operations)

    def _with(self, operations: OperationSet) -> ORSet:
        return self if operations is self.operations else ORSet(self.genesis, operations)

    # What it says

    def by_id(self) -> dict[str, Operation]:
        """The operations by their ids, ascending."""
        return dict(sorted((operation.id, operation) for operation in self.operations))

    def records(self) -> dict[str, Record]:
        """The same without their bodies, which are not read."""
        return dict(sorted((record.id, record) for record in self._set.records()))

    def has(self, name: str) -> bool:
        """Whether the operation with this id is here."""
        return self._set.has(name)

    def record(self, name: str) -> Record | None:
        """The record of the operation with this id, if it is here."""
        return self._set.record(name)

    @cached_property
    def authority(self) -> Authority:
        """Who may write [SG-8]."""
        with self._set.seen() as seen:
            return seen.authority

    @cached_property
    def effective(self) -> Set[Operation]:
        """The operations that count [OS-8, SG-8]."""
        return self._those(self.authority.counts).operations

    @cached_property
    def admissible(self) -> ORSet:
        """The state without the operations that are passed on to nobody [SG-10]."""
        return self._those(self.authority.admits)

    @cached_property
    def called(self) -> dict[str, str]:
        """What maintainers call the owner of each key that wrote something here; else its fingerprint [SG-13]."""
        names: dict[str, set[str]] = {}
        for grant in (record for record in self._set.records() if record.kind == Grant.kind):
            if self.authority.counts(grant) and isinstance(payload := grant.operation.payload, Grant):
                names.setdefault(payload.key, set()).add(payload.name)
        keys = {record.author for record in self._set.records() if record.author is not None}
        return {key: " or ".join(sorted(names.get(key, ()))) or fingerprint(key) for key in keys}

    def maker(self, operation: Operation) -> str | None:
        """Who made an operation that is here: what their key is called, or in an open workspace what they say."""
        return operation.name if operation.author is None else self.called[operation.author]

    @paused()
    def visible(self) -> dict[str, Manifest]:
        """The visible contributions by their ids, in ascending order [OS-9]."""
        with self._set.seen() as seen:
            adds = {id_: seen.standing(id_)[0] for id_ in sorted(seen.visible)}
        return {id_: _manifest(add) for id_, add in adds.items()}

    def visible_ids(self) -> frozenset[str]:
        """The ids of the visible contributions; no body is read."""
        with self._set.seen() as seen:
            return frozenset(seen.visible)

    def known_ids(self) -> tuple[str, ...]:
        """The contributions that were ever visible, as far as it is known here, ascending [OS-8]; no body is read."""
        with self._set.seen() as seen:
            return tuple(sorted(seen.adds))

    def adds(self, contribution: str) -> tuple[Record, ...]:
        """The effective adds of a contribution; none of one that is not known."""
        with self._set.seen() as seen:
            return tuple(seen.adds.get(contribution, ()))

    def standing(self, contribution: str) -> tuple[Record, ...]:
        """Those of its adds that no remove takes back [OS-9, SG-9]."""
        return tuple(self._standing([contribution])[contribution])

    def removes(self, add: Record) -> tuple[Record, ...]:
        """The effective removes that take effect on an effective add [OS-9, SG-9]."""
        with self._set.seen() as seen:
            return tuple(seen.taken_back(add))

    @property
    def merge_id(self) -> str:
        """The id of what the visible contributions merge to [OS-11, MG-10]."""
        return merge_id(self.genesis.base, self.genesis.recipe_id, self.visible_ids())

    def attestations(self, merge_id: str) -> frozenset[str]:
        """The model roots that replicas computed for a merge id; more than one: a machine is broken [OS-12]."""
        return frozenset(root for roots in self.attested().get(merge_id, {}).values() for root in roots)

    def attested(self) -> Mapping[str, Mapping[str | None, frozenset[str]]]:
        """By merge id that was attested to, the roots that each author attests; in an open workspace nobody is one."""
        with self._set.seen() as seen:
            return {
                merge_id: {author: frozenset(roots) for author, roots in by_author.items()}
                for merge_id, by_author in seen.attested.items()
            }

    def disagreements(self) -> frozenset[str]:
        """The model roots attested for the state's own merge id, if there are several: a machine is broken [OS-12]."""
        roots = self.attestations(self.merge_id)
        return roots if len(roots) > 1 else frozenset()

    # Mutators

    def add(
        self,
        manifest: Manifest,
        nonce: bytes | None = None,
        *,
        time: int | None = None,
        note: str | None = None,
        name: str | None = None,
        signer: Signer | None = None,
    ) -> ORSet:
        """The delta that makes a contribution visible [OS-4].

        nonce: 16 bytes; left out, they come from the operating system.
        Raises BaseMismatch for a manifest of another base, since such an add never counts [OS-8].
        """
        if manifest.base != self.genesis.base:
            raise BaseMismatch(
                f"contribution {manifest.id} is for base {manifest.base}, the workspace has base {self.genesis.base}; "
                "make it against the workspace's base"
            )
        add = Add(manifest, secrets.token_bytes(NONCE_BYTES) if nonce is None else nonce)
        return self.said([add], time=time, note=note, name=name, signer=signer)

    def remove(
        self,
        *contributions: str,
        time: int | None = None,
        note: str | None = None,
        name: str | None = None,
        signer: Signer | None = None,
    ) -> ORSet:
        """The delta that retracts contributions: it names every standing add of them that it takes back [OS-10, SG-9].

        It is one operation, but for more adds than one can name.

        Raises UnknownContribution when one is not visible.
        """
        author = signer.key if signer else None
        observed: set[str] = set()
        for contribution, adds in self._standing(contributions).items():
            if not adds:
                lists = by_caller("status", "visible()")
                raise UnknownContribution(f"contribution {contribution} is not visible; `{lists}` lists those that are")
            mine = {add.id for add in adds if self.authority.takes_back(author, add)}
            if signer and not mine:
                by = listed(sorted(owners(adds)))
                raise NotAllowed(f"contribution {contribution} is from {by}: they or a maintainer can take it back")
            observed |= mine
        return self.said(map(Remove, parts(observed)), time=time, note=note, name=name, signer=signer)

    def attest(
        self,
        merge_id: str,
        model_root: str,
        *,
        time: int | None = None,
        note: str | None = None,
        name: str | None = None,
        signer: Signer | None = None,
    ) -> ORSet:
        """The delta that says which model root this replica computed for a merge id [OS-12]."""
        return self.said([Attest(merge_id, model_root)], time=time, note=note, name=name, signer=signer)

    def said(
        self,
        payloads: Iterable[SignedPayload],
        *,
        time: int | None = None,
        note: str | None = None,
        name: str | None = None,
        signer: Signer | None = None,
    ) -> ORSet:
        """The delta of operations that say this, signed in a signed workspace [SG-4]. Raises NotAllowed."""
        workspace = self.genesis.workspace_id
        drafts = [Operation(workspace, payload, time, note, name) for payload in payloads]
        if self.genesis.is_signed:
            by, grant = permission(self.authority, signer)
            drafts = [draft.signed_by(by, grant) for draft in drafts]
        return ORSet(self.genesis, frozenset(drafts))

    def _standing(self, contributions: Iterable[str]) -> dict[str, list[Record]]:
        """The adds of each of these contributions that no remove takes back [OS-9, SG-9]."""
        with self._set.seen() as seen:
            return {id_: seen.standing(id_) for id_ in contributions}

    def _those(self, chosen: Callable[[Record], bool]) -> ORSet:
        """The state of these of its operations; itself if all are chosen."""
        records = [record for record in self._set.records() if chosen(record)]
        return self if len(records) == len(self._set) else ORSet(self.genesis, OperationSet.of(self.genesis, records))

    def _check_same_workspace(self, other: ORSet) -> None:
        if self.genesis != other.genesis:
            raise WrongWorkspace(
                f"a state of workspace {self.genesis.workspace_id} and one of workspace {other.genesis.workspace_id} "
                "do not join"
            )


def _manifest(record: Record) -> Manifest:
    payload = record.operation.payload
    if not isinstance(payload, Add):
        raise ValueError(record)
    return payload.manifest
