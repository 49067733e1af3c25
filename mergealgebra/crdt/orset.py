"""The state of a replica: a set of operations that joins by union [OS-7].

    join(a, b) = a | b
    visible    = the manifests of the effective adds that no effective remove takes back

Add wins against a concurrent remove; a removed contribution can be added again [OS-9]. In a signed workspace policy.py
says what is effective, and what a remove takes back.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from mergealgebra.crdt.genesis import Genesis, merge_id
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import NONCE_BYTES, Add, Attest, Operation, Remove, SignedPayload, Signer
from mergealgebra.crdt.permission import owners, parts, permission
from mergealgebra.crdt.policy import Authority, taken_back
from mergealgebra.errors import BaseMismatch, NotAllowed, OperationError, UnknownContribution, WrongWorkspace
from mergealgebra.text import by_caller, listed


@dataclass(frozen=True)
class ORSet:
    """A genesis and a set of its operations; every subset is a state, so a delta is a state [OS-7].

    Mutators return the delta and leave the state as it is: `state = state.join(state.add(manifest))`. In a signed
    workspace they take a signer, and raise NotAllowed when it may not do that [SG-8].
    Raises WrongWorkspace when an operation is of another workspace, and OperationError for an operation without an
    author in a signed workspace, or with one in an open one.

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
    operations: frozenset[Operation] = frozenset()

    def __post_init__(self) -> None:
        workspace = self.genesis.workspace_id
        for operation in self.operations:
            if operation.workspace != workspace:
                raise WrongWorkspace(
                    f"operation {operation.id} belongs to workspace {operation.workspace}, not to {workspace}"
                )
            if (operation.author is not None) != self.genesis.is_signed:
                has = "an" if operation.author else "no"
                raise OperationError(
                    f"operation {operation.id} has {has} author, and its workspace is {self.genesis.policy}"
                )

    # The lattice

    def join(self, other: ORSet) -> ORSet:
        """The least state that contains both: commutative, associative, idempotent [OS-7].

        Raises WrongWorkspace when the states have different geneses.
        """
        self._check_same_workspace(other)
        return ORSet(self.genesis, self.operations | other.operations)

    def __or__(self, other: ORSet) -> ORSet:
        return self.join(other)

    def __le__(self, other: ORSet) -> bool:
        """Whether `other` holds every operation of this state. Raises WrongWorkspace."""
        self._check_same_workspace(other)
        return self.operations <= other.operations

    def difference(self, other: ORSet) -> ORSet:
        """The delta that `other` lacks: `other.join(self.difference(other)) == other.join(self)` [OS-7]."""
        self._check_same_workspace(other)
        return ORSet(self.genesis, self.operations - other.operations)

    # What it says

    def by_id(self) -> dict[str, Operation]:
        """The operations by their ids, ascending."""
        return dict(sorted((operation.id, operation) for operation in self.operations))

    @cached_property
    def authority(self) -> Authority:
        """Who may write [SG-8]."""
        return Authority.of(self.genesis, self.operations)

    @cached_property
    def effective(self) -> frozenset[Operation]:
        """The operations that count [OS-8, SG-8]."""
        return frozenset(operation for operation in self.operations if self.authority.counts(operation))

    @cached_property
    def admissible(self) -> ORSet:
        """The state without the operations that are passed on to nobody [SG-10]."""
        return ORSet(self.genesis, frozenset(filter(self.authority.admits, self.operations)))

    def visible(self) -> dict[str, Manifest]:
        """The visible contributions by their ids, in ascending order [OS-9]."""
        manifests = {manifest.id: manifest for _, manifest in self._standing_adds()}
        return dict(sorted(manifests.items(), key=lambda item: item[0]))

    @property
    def merge_id(self) -> str:
        """The id of what the visible contributions merge to [OS-11, MG-10]."""
        return merge_id(self.genesis.base, self.genesis.recipe_id, self.visible())

    def attestations(self, merge_id: str) -> frozenset[str]:
        """The model roots that replicas computed for a merge id; more than one: a machine is broken [OS-12]."""
        payloads = (operation.payload for operation in self.effective)
        return frozenset(
            payload.model_root for payload in payloads if isinstance(payload, Attest) and payload.merge_id == merge_id
        )

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
        standing = self._standing_adds()
        author = signer.key if signer else None
        observed: set[str] = set()
        for contribution in contributions:
            adds = [add for add, manifest in standing if manifest.id == contribution]
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

    def _standing_adds(self) -> list[tuple[Operation, Manifest]]:
        """The effective adds that no effective remove takes back [OS-9, SG-9]."""
        gone = taken_back(self.authority, self.effective)
        return [
            (item, item.payload.manifest)
            for item in self.effective
            if isinstance(item.payload, Add) and item.id not in gone
        ]

    def _check_same_workspace(self, other: ORSet) -> None:
        if self.genesis != other.genesis:
            raise WrongWorkspace(
                f"a state of workspace {self.genesis.workspace_id} and one of workspace {other.genesis.workspace_id} "
                "do not join"
            )
