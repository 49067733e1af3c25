"""Mistakes about who may do what in a signed workspace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from unittest import mock

from mergealgebra import attestations
from mergealgebra.crdt import operations, permission
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.policy import Authority
from mergealgebra.crdt.visibility import Visibility
from tests.simulation.faults.fault import Patches, fault

_AUTHORITY_OF = vars(Authority)["of"].__func__
_ADMITS, _COUNTS = Authority.admits, Authority.counts


def _authority(change: Any) -> Patches:
    """Another idea of who may write, by the one that is right and all records of the set."""

    def of(cls: type[Authority], genesis: Any, records: Iterable[Any]) -> Authority:
        records = list(records)
        changed: Authority = change(_AUTHORITY_OF(cls, genesis, records), records)
        return changed

    yield mock.patch.object(Authority, "of", classmethod(of))


@fault("a writer's remove takes effect on what others added", "teams", "visible", "authority")
def removes_take_anything_back() -> Patches:
    yield mock.patch.object(Authority, "takes_back", lambda self, author, add: True)


@fault("a remove that names another's add takes effect on none of what it names", "teams", "visible")
def removes_are_all_or_nothing() -> Patches:
    def taken_back(self: Visibility, add: Any) -> list[Any]:
        own = {one.id: one for adds in self.adds.values() for one in adds}
        return [
            one
            for one in self.removes.get(add.id, ())
            if all(self.authority.takes_back(one.author, own[name]) for name in one.names if name in own)
        ]

    def visible(self: ORSet) -> frozenset[str]:
        seen = Visibility(self.genesis, self._set.records())
        return frozenset(id_ for id_, adds in seen.adds.items() if not all(taken_back(seen, add) for add in adds))

    real = ORSet.visible
    yield mock.patch.object(ORSet, "visible_ids", visible)
    yield mock.patch.object(ORSet, "visible", lambda self: real(self) | dict.fromkeys(visible(self)))


@fault("a revoke of one grant hides what was made under another", "teams", "visible", "relay", "refusal", "authority")
def revoke_hides_others() -> Patches:
    def all_of_them(right: Authority, _: Any) -> Authority:
        revokes = [kept for every in right.revoked.values() for kept in every]
        return replace(right, revoked=dict.fromkeys(right.grants, tuple(revokes)) if revokes else {})

    yield from _authority(all_of_them)


@fault("what a keep of one revoke names is kept by all revokes", "teams", "visible", "relay")
def keeps_count_for_all_revokes() -> Patches:
    def shared(right: Authority, _: Any) -> Authority:
        kept = frozenset(name for every in right.revoked.values() for one in every for name in one)
        return replace(right, revoked={grant: tuple(kept for _ in every) for grant, every in right.revoked.items()})

    yield from _authority(shared)


@fault("of several revokes of a grant the first decides alone", "teams", "visible", "relay")
def one_keep_is_enough() -> Patches:
    yield from _authority(
        lambda right, _: replace(right, revoked={grant: every[:1] for grant, every in right.revoked.items()})
    )


@fault("only one keep of each revoke counts", "teams", "visible", "relay")
def keeps_do_not_add_up() -> Patches:
    def last(right: Authority, records: list[Any]) -> Authority:
        keeps = {one.about: frozenset(one.names) for one in records if one.kind == "keep"}
        revoked = {
            grant: tuple(next((keep for keep in keeps.values() if keep <= kept), kept) for kept in every)
            for grant, every in right.revoked.items()
        }
        return replace(right, revoked=revoked)

    yield from _authority(last)


@fault("a keep of anybody counts", "teams", "visible", "relay", "authority")
def anybody_keeps() -> Patches:
    def kept(right: Authority, records: list[Any]) -> Authority:
        names = frozenset(name for one in records if one.kind == "keep" for name in one.names)
        return replace(right, revoked={g: tuple(kept | names for kept in every) for g, every in right.revoked.items()})

    yield from _authority(kept)


@fault("a grant of anybody counts", "teams", "visible", "relay", "refusal", "authority")
def anybody_grants() -> Patches:
    yield from _authority(
        lambda right, records: replace(right, grants={one.id: one.about for one in records if one.kind == "grant"})
    )


@fault("a grant to another suffices", "teams", "visible", "relay", "authority")
def grants_are_borrowed() -> Patches:
    def admits(self: Authority, record: Any) -> bool:
        return _ADMITS(self, record) or (record.grant in self.grants and record.grant not in self.revoked)

    yield mock.patch.object(Authority, "admits", admits)


@fault("a maintainer who names a revoked grant falls under the revoke", "teams", "visible", "relay", "authority")
def maintainers_are_revoked() -> Patches:
    yield mock.patch.object(
        Authority, "admits", lambda self, record: record.grant not in self.revoked and _ADMITS(self, record)
    )


@fault("what a ruling changes of earlier operations is not looked at", "teams", "visible", "convergence", "refusal")
def rulings_come_too_late() -> Patches:
    yield mock.patch.object(Visibility, "outlives", lambda self, records: True)


@fault("whoever writes under a revoked grant goes on", "teams", "visible", "relay", "refusal")
def revokes_are_ignored() -> Patches:
    yield from _authority(lambda right, _: replace(right, revoked={}))


@fault("`revoke` keeps nothing of what was done before it", "teams", "authority")
def revoke_keeps_nothing() -> Patches:
    yield mock.patch.object(permission, "parts", lambda names: iter(()))


@fault("a writer may revoke", "teams", "refusal", "authority")
def writers_revoke() -> Patches:
    yield mock.patch.object(permission, "_check_maintainer", lambda state, signer: None)


@fault("what a later version says stops the set", "teams", "error")
def later_versions_stop_everything() -> Patches:
    yield mock.patch.object(Authority, "counts", lambda self, record: record.kind == "later" or _COUNTS(self, record))


@fault("who attests two models counts for both", "teams", "attests")
def equivocation_counts() -> Patches:
    def counted(by_key: Any) -> dict[str, frozenset[str]]:
        roots = {root for roots in by_key.values() for root in roots}
        return {root: frozenset(key for key, own in by_key.items() if root in own) for root in sorted(roots)}

    yield mock.patch.object(attestations, "_counted", counted)


@fault("attests of strangers count", "teams", "attests")
def strangers_attest() -> Patches:
    yield mock.patch.object(Authority, "counts", lambda self, record: record.kind == "attest" or _COUNTS(self, record))


@fault("what is not admissible is passed on", "teams", "relay")
def everything_is_passed_on() -> Patches:
    yield mock.patch.object(ORSet, "admissible", property(lambda self: self))


@fault("signatures are not verified", "teams", "admission")
def signatures_are_not_verified() -> Patches:
    yield mock.patch.object(Operation, "is_valid", property(lambda self: True))


@fault("a signature may have a second form", "teams", "admission")
def signatures_have_second_forms() -> Patches:
    real, order = operations.is_valid, 2**252 + 27742317777372353535851937790883648493

    def is_valid(key: bytes, signature: bytes, message: bytes) -> bool:
        number = int.from_bytes(signature[32:], "little") % order
        return real(key, signature[:32] + number.to_bytes(32, "little"), message)

    yield mock.patch.object(operations, "is_valid", is_valid)


@fault("an operation of another signed workspace is taken", "teams", "admission")
def sisters_are_taken() -> Patches:
    yield mock.patch.object(operations, "_workspace_of", lambda body, workspace: body["workspace"].hex())
