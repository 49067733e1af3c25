"""The state of a replica: a set of operations that joins by union [OS-7].

    join(a, b) = a | b
    visible    = the manifests of the effective adds that no effective remove names

Add wins against a concurrent remove; a removed contribution can be added again [OS-9].
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from mergealgebra.crdt.genesis import Genesis, merge_id
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import MOST_NAMES, NONCE_BYTES, Add, Attest, Operation, Payload, Remove
from mergealgebra.crdt.policy import effective
from mergealgebra.errors import BaseMismatch, UnknownContribution, WrongWorkspace
from mergealgebra.text import by_caller


@dataclass(frozen=True)
class ORSet:
    """A genesis and a set of its operations; every subset is a state, so a delta is a state [OS-7].

    Mutators return the delta and leave the state as it is: `state = state.join(state.add(manifest))`.
    Raises WrongWorkspace when an operation is of another workspace.

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

    def visible(self) -> dict[str, Manifest]:
        """The visible contributions by their ids, in ascending order [OS-9]."""
        manifests = {add.manifest.id: add.manifest for add in self._standing_adds().values()}
        return dict(sorted(manifests.items(), key=lambda item: item[0]))

    @property
    def merge_id(self) -> str:
        """The id of what the visible contributions merge to [OS-11, MG-10]."""
        return merge_id(self.genesis.base, self.genesis.recipe_id, self.visible())

    def attestations(self, merge_id: str) -> frozenset[str]:
        """The model roots that replicas computed for a merge id; more than one: a machine is broken [OS-12]."""
        payloads = (operation.payload for operation in effective(self.genesis, self.operations))
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
        return self._delta(
            [Add(manifest, secrets.token_bytes(NONCE_BYTES) if nonce is None else nonce)], time, note, name
        )

    def remove(
        self, *contributions: str, time: int | None = None, note: str | None = None, name: str | None = None
    ) -> ORSet:
        """The delta that retracts contributions: it names every standing add of them that is known here [OS-10].

        It is one operation, but for more adds than one can name.

        Raises UnknownContribution when one is not visible.
        """
        adds = self._standing_adds()
        visible = {add.manifest.id for add in adds.values()}
        for contribution in contributions:
            if contribution not in visible:
                lists = by_caller("status", "visible()")
                raise UnknownContribution(f"contribution {contribution} is not visible; `{lists}` lists those that are")
        wanted = set(contributions)
        observed = sorted(name for name, add in adds.items() if add.manifest.id in wanted)
        parts = [tuple(observed[at : at + MOST_NAMES]) for at in range(0, len(observed), MOST_NAMES)]
        return self._delta([Remove(part) for part in parts], time, note, name)

    def attest(
        self,
        merge_id: str,
        model_root: str,
        *,
        time: int | None = None,
        note: str | None = None,
        name: str | None = None,
    ) -> ORSet:
        """The delta that says which model root this replica computed for a merge id [OS-12]."""
        return self._delta([Attest(merge_id, model_root)], time, note, name)

    def _delta(self, payloads: Iterable[Payload], time: int | None, note: str | None, name: str | None) -> ORSet:
        workspace = self.genesis.workspace_id
        return ORSet(self.genesis, frozenset(Operation(workspace, payload, time, note, name) for payload in payloads))

    def _standing_adds(self) -> dict[str, Add]:
        """The effective adds that no effective remove names, by operation id [OS-9]."""
        counted = effective(self.genesis, self.operations)
        removed = {name for item in counted if isinstance(item.payload, Remove) for name in item.payload.operations}
        adds = {item.id: item.payload for item in counted if isinstance(item.payload, Add)}
        return {name: add for name, add in adds.items() if name not in removed}

    def _check_same_workspace(self, other: ORSet) -> None:
        if self.genesis != other.genesis:
            raise WrongWorkspace(
                f"a state of workspace {self.genesis.workspace_id} and one of workspace {other.genesis.workspace_id} "
                "do not join"
            )
