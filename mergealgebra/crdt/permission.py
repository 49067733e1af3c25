"""What a signer may do: write under a grant, or as a maintainer let others write and take that back [SG-8, SG-11]."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mergealgebra.crdt.authority import Grant, Keep, Revoke
from mergealgebra.crdt.operations import MOST_NAMES, NONCE_BYTES, Signer
from mergealgebra.crdt.policy import Authority, Record
from mergealgebra.errors import NotAllowed
from mergealgebra.signatures import fingerprint, openssh_line
from mergealgebra.text import by_caller, listed

if TYPE_CHECKING:
    from mergealgebra.crdt.orset import ORSet


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
    asks = by_caller(f"mergealgebra grant {line} --name YOU", f"grant({line}, name=YOU)")
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
    keeps = [Keep(id_, part) for part in parts(done)]
    return revoked.join(state.said(keeps, time=time, signer=signer))


def parts(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Ids in ascending order, at most as many at once as one operation is made to name [OS-10]."""
    ordered = sorted(names)
    return (tuple(ordered[at : at + MOST_NAMES]) for at in range(0, len(ordered), MOST_NAMES))


def owners(adds: Iterable[Record]) -> set[str]:
    """Whose keys signed these operations, as people see keys."""
    return {fingerprint(add.author) for add in adds if add.author is not None}


def _check_maintainer(state: ORSet, signer: Signer | None) -> None:
    if not state.genesis.is_signed:
        raise NotAllowed("this workspace is open: everybody can write, and nobody can be given or denied that")
    if permission(state.authority, signer)[0].key not in state.genesis.maintainers:
        known = listed(map(fingerprint, state.genesis.maintainers))
        raise NotAllowed(f"only maintainers of this workspace can do that: {known}")
