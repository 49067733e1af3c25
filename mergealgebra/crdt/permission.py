"""What a signer may do: write under a grant, or as a maintainer let others write and take that back [SG-8, SG-11]."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mergealgebra.crdt.authority import Grant, Keep, Revoke
from mergealgebra.crdt.fields import is_id
from mergealgebra.crdt.operations import MOST_NAMES, NONCE_BYTES, Add, Signer
from mergealgebra.crdt.policy import Authority
from mergealgebra.errors import NotAllowed, OperationError
from mergealgebra.ids import LEAST
from mergealgebra.signatures import fingerprint, openssh_line
from mergealgebra.text import by_caller, listed, shown

if TYPE_CHECKING:
    from mergealgebra.crdt.orset import ORSet
    from mergealgebra.crdt.policy import Record as AnyRecord
    from mergealgebra.crdt.records import Record


def permission(authority: Authority, signer: Signer | None) -> tuple[Signer, str | None]:
    """Who signs in a signed workspace, and the grant under which they write; a maintainer needs none [SG-8].

    Raises NotAllowed.
    """
    if signer is None:
        name = by_caller("--key FILE", "key=FILE")
        raise NotAllowed(f"this workspace is signed: name your private key with {name}; reading needs none")
    if signer.key in authority.maintainers:
        return signer, None
    if signer.key in authority.live:
        return signer, authority.live[signer.key]
    had = "was revoked" if signer.key in authority.grants.values() else "has no grant here"
    line = f"'{openssh_line(signer.key)}'"
    asks = by_caller(f"mergealgebra -C WORKSPACE grant {line} --name YOU", f"grant({line}, name=YOU)")
    raise NotAllowed(f"{fingerprint(signer.key)} {had}: a maintainer lets it write by `{asks}`, then sync")


def grant(state: ORSet, key: str, name: str, signer: Signer | None, *, time: int | None = None) -> ORSet:
    """The delta that lets the owner of a key write [SG-5]. name: what the maintainers call them.

    Raises NotAllowed for a key that can write already, and unless a maintainer signs.
    """
    _check_maintainer(state, signer)
    if state.authority.may_write(key):
        what = "is a maintainer's" if key in state.authority.maintainers else "has a grant already"
        raise NotAllowed(f"{fingerprint(key)} {what}: nothing is to be done")
    return state.said([Grant(key, name, secrets.token_bytes(NONCE_BYTES))], time=time, signer=signer)


def revoke(state: ORSet, key: str, signer: Signer | None, *, time: int | None = None, note: str | None = None) -> ORSet:
    """The delta that takes back every grant to a key that is held here, and keeps what it did under them [SG-11].

    Raises NotAllowed for a key that has no grant here, and unless a maintainer signs.
    """
    _check_maintainer(state, signer)
    grants = tuple(sorted(id_ for id_, to in state.authority.grants.items() if to == key))
    if not grants or key in state.authority.maintainers:
        why = "is a maintainer's, who never change" if key in state.authority.maintainers else "has no grant here"
        raise NotAllowed(f"{fingerprint(key)} {why}: there is nothing to revoke")
    revoked = state.said([Revoke(grants)], time=time, note=note, signer=signer)
    (id_,) = revoked.by_id()
    done = {record.id for record in state.records().values() if record.author == key}
    known = _kept_by_revokes(state, grants)  # what is kept already and not here must not be lost to a second revoke
    keeps = [Keep(id_, part) for part in parts(done.union(*known.values()))]
    return revoked.join(state.said(keeps, time=time, signer=signer))


def keep(
    state: ORSet,
    key: str,
    operations: Collection[str],
    signer: Signer | None,
    *,
    time: int | None = None,
    note: str | None = None,
) -> ORSet:
    """The delta that keeps operations of a key whose grants were revoked, by every revoke that hides them [SG-16].

    operations: beginnings of the ids of hidden ones, or of the contributions that these add; all that are hidden if
    there is none. A whole id may be that of an operation that is not here. Raises NotAllowed where nothing is hidden,
    and unless a maintainer signs, and OperationError for a name of nothing hidden.
    """
    _check_maintainer(state, signer)
    revokes = _kept_by_revokes(state, (id_ for id_, to in state.authority.grants.items() if to == key))
    records = (record for record in state.records().values() if record.author == key)
    hidden = [one for one in records if one.grant in state.authority.revoked and not state.authority.admits(one)]
    if not revokes or not (hidden or operations):
        why = "nothing of it that is here is hidden" if revokes else "no grant to it was revoked here"
        raise NotAllowed(f"{fingerprint(key)}: {why} by a revoke, so there is nothing to keep")
    kept = {id_ for name in operations for id_ in _hidden_as(name, hidden, state, key)} or {one.id for one in hidden}
    keeps = [Keep(id_, part) for id_, already in revokes.items() for part in parts(kept - already)]
    if not keeps:
        raise NotAllowed(f"{fingerprint(key)}: every revoke keeps that already, so there is nothing to do")
    return state.said(keeps, time=time, note=note, signer=signer)


def _hidden_as(name: str, hidden: Sequence[Record], state: ORSet, key: str) -> set[str]:
    """The operations that somebody names, by the beginning of their ids, or of a contribution that they add."""
    begins = name.lower()
    found = {one.id for one in hidden if one.id.startswith(begins)}
    contributions = {one.says for one in hidden if one.kind == Add.kind and one.says[0].startswith(begins)}
    if len(begins) >= LEAST and len(found) + len(contributions) == 1:
        return found or {one.id for one in hidden if one.says in contributions}
    if is_id(begins):
        _check_may_come(begins, state, key)
        return {begins}
    lists = by_caller("`log --json` lists", "`state.operations` are")
    many = "more than one operation" if found or contributions else "no operation"
    raise OperationError(
        f"{shown(name)} begins {many} that a revoke hides here: {lists} them; give {LEAST} digits or more, or the "
        "whole id of one that is not here"
    )


def _check_may_come(id_: str, state: ORSet, key: str) -> None:
    """Raise OperationError for an id that is here, and not that of an operation of this key."""
    record = state.record(id_)
    if id_ == state.genesis.workspace_id:
        what = "the id of this workspace"
    elif id_ in state.known_ids():
        what = "a contribution that no revoke hides here"
    elif record is not None and record.author != key:
        what = "an operation of another key"
    else:
        return
    lists = by_caller("`log --json` lists", "`state.operations` are")
    raise OperationError(f"{shown(id_)} is {what}: name an operation of {fingerprint(key)}; {lists} them")


def _kept_by_revokes(state: ORSet, grants: Iterable[str]) -> dict[str, set[str]]:
    """What is kept, by the id of each revoke that counts and names any of these grants."""
    said = [record for record in state.records().values() if record.author in state.genesis.maintainers]
    named = set(grants)
    found: dict[str, set[str]] = {one.id: set() for one in said if one.kind == Revoke.kind and named & {*one.names}}
    for one in said:
        if one.kind == Keep.kind and one.about in found:
            found[one.about].update(one.names)
    return found


def parts(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Ids in ascending order, at most as many at once as one operation is made to name [OS-10]."""
    ordered = sorted(names)
    return (tuple(ordered[at : at + MOST_NAMES]) for at in range(0, len(ordered), MOST_NAMES))


def owners(adds: Iterable[AnyRecord]) -> set[str]:
    """Whose keys signed these operations, as people see keys."""
    return {fingerprint(add.author) for add in adds if add.author is not None}


def _check_maintainer(state: ORSet, signer: Signer | None) -> None:
    if not state.genesis.is_signed:
        raise NotAllowed("this workspace is open: everybody can write, and nobody can be given or denied that")
    if permission(state.authority, signer)[0].key not in state.genesis.maintainers:
        known = listed(map(fingerprint, state.genesis.maintainers))
        raise NotAllowed(f"only maintainers of this workspace can do that: {known}")
