"""What the owner of a workspace sets for themselves, and what its maintainers say of who may write."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Self

from mergealgebra.addresses import PathLike
from mergealgebra.contents import Contents
from mergealgebra.crdt import permission
from mergealgebra.crdt.operations import Signer
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import KeyFileError
from mergealgebra.history import now
from mergealgebra.key_files import Passphrase, PrivateKey, public_key
from mergealgebra.members import Member, members
from mergealgebra.methods.method import Method
from mergealgebra.progress import Progress, quiet
from mergealgebra.signatures import fingerprint
from mergealgebra.signing import KeySource, signer_of
from mergealgebra.store import local
from mergealgebra.store.objects import Store
from mergealgebra.text import by_caller, command_in, shown


class Administration(Contents):
    """A workspace as its owner and its maintainers set it up. The examples go on from that of `Workspace`."""

    @staticmethod
    def init_share(
        path: PathLike,
        *,
        base: PathLike,
        recipe: Method,
        name: str = "",
        group: bool = False,
        maintainers: Iterable[PathLike] = (),
        progress: Progress | None = None,
    ) -> Store:
        """A share of the workspace that `init` makes of the same arguments: a folder to sync with, nobody's workspace.

        group: all members of the folder's group may write there [SY-16]. Raises as `init` does.

        >>> share = Workspace.init_share("team-share", base="base.safetensors", recipe=Mean(), name="team")
        >>> share.genesis.workspace_id == alice.store.genesis.workspace_id
        True
        """
        from mergealgebra.creation import new_share

        return new_share(path, base, recipe, name, group, progress or quiet, map(public_key, maintainers))

    @classmethod
    def succeed(
        cls,
        path: PathLike,
        old: PathLike,
        *,
        maintainers: Iterable[PathLike],
        key: KeySource | None = None,
        name: str | None = None,
        as_name: str | None = None,
        base: PathLike | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """A new signed workspace of the base and recipe of another one, with what is visible there [SG-14].

        key: the private key of one of its maintainers, who adds that. base: where it is, if not where `old` says.
        Raises NotAllowed, BlobMissing, and as `init` does.
        """
        from mergealgebra.succession import succeed

        signer = PrivateKey.read(key) if isinstance(key, str | os.PathLike) else key
        keys = map(public_key, maintainers)
        store = succeed(path, old, keys, signer, name, as_name, base, progress or quiet)
        return cls(store.path, store)

    def set_base(self, base: PathLike, *, progress: Progress | None = None) -> None:
        """Say where the base is on this machine now. Raises BaseMismatch for another model, and as `contribute`.

        >>> _ = Path("base.safetensors").rename("moved.safetensors")
        >>> alice.set_base("moved.safetensors")
        >>> alice.base.name
        'moved.safetensors'
        """
        from mergealgebra.creation import check_base_path

        local.refuse_exchange_folder(self.store)
        check_base_path(base, self.store.genesis, progress or quiet)
        local.write_local(self.store, base)

    def set_name(self, name: str | None) -> None:
        """Say under which name you contribute, retract and attest from now on; None for no name any more.

        Everybody who syncs can read it, and nothing proves it. Raises OperationError for what is not 1 to 256 bytes of
        text without control characters [OS-3].

        >>> alice.set_name("Alice")
        >>> alice.as_name
        'Alice'
        """
        local.write_name(self.store, name)

    def set_key(self, path: PathLike | None, *, passphrase: bytes | Passphrase | None = None) -> None:
        """Say where your private key is, by which you sign from now on; None to forget that. It stays where it is.

        Raises KeyFileError for what is not a private key that nobody else can read [SG-15].
        """
        if path is not None:
            PrivateKey.read(path, passphrase)
        local.write_key(self.store, path)

    def signer(self, key: KeySource | None = None, passphrase: bytes | Passphrase | None = None) -> Signer | None:
        """Who signs what you do here: in an open workspace nobody, and nobody where no key is known [SG-15].

        key: a private key or a file of one; left out, the environment's MERGEALGEBRA_KEY, or that of `set_key`.
        passphrase: asked for only where the file has one. Raises KeyFileError.

        >>> alice.signer() is None
        True
        """
        return signer_of(self.store, key, passphrase)

    def members(self, state: ORSet | None = None) -> tuple[Member, ...]:
        """The maintainers of a signed workspace, then who has or had a grant, by key [SG-13]. state: what is here.

        >>> alice.members()
        ()
        """
        return members(state or self.state)

    def grant(self, key: PathLike, name: str, *, signed_by: KeySource | None = None) -> str:
        """Let the owner of a key write from now on, as a maintainer; returns the id of the grant [SG-11].

        key: an OpenSSH line, a file of one, or the fingerprint of a member. name: what they are called. signed_by: as
        the key of `signer`. Raises NotAllowed, and KeyFileError.
        """
        state = self.state
        delta = permission.grant(state, self._named(key, state, "grant"), name, self.signer(signed_by), time=now())
        return self.store.write_delta(delta)

    def revoke(self, key: PathLike, *, note: str | None = None, signed_by: KeySource | None = None) -> ORSet:
        """Take back every grant to a key, as a maintainer, and keep what was done under them as it is here [SG-11].

        key, signed_by: as of `grant`. Returns what was said, of which the revoke is one operation. Raises as it does.
        """
        state = self.state
        delta = permission.revoke(
            state, self._named(key, state, "revoke"), self.signer(signed_by), time=now(), note=note
        )
        self.store.write_delta(delta)
        return delta

    def keep(
        self,
        key: PathLike,
        operations: Iterable[str] = (),
        *,
        note: str | None = None,
        signed_by: KeySource | None = None,
    ) -> ORSet:
        """Let operations of a key count although its grant was revoked, as a maintainer [SG-16].

        key, signed_by: as of `grant`. operations: ids of operations, or of contributions that they add, or beginnings
        of those that are here; all that a revoke hides here if there is none. Returns what was said. Raises as `grant`
        does, and OperationError.
        """
        state = self.state
        signer, chosen = self.signer(signed_by), tuple(operations)
        delta = permission.keep(state, self._named(key, state, "keep"), chosen, signer, time=now(), note=note)
        self.store.write_delta(delta)
        return delta

    def _named(self, key: PathLike, state: ORSet, verb: str) -> str:
        """The key that somebody names; a fingerprint may be that of whoever wrote something here."""
        found = members(state)
        self._refuse_name(key, found, verb)
        known = {one.key for one in found} | {one.author for one in state.operations if one.author}
        return public_key(key, {fingerprint(one): one for one in known})

    def _refuse_name(self, key: PathLike, found: Iterable[Member], verb: str) -> None:
        """Raise KeyFileError for what members are called, which says nothing certain of a key."""
        called = [one.fingerprint for one in found if key in one.names]
        if called and not os.path.lexists(key):
            command = by_caller(f"{command_in(self.path)} {verb}", f"Workspace.{verb} with")
            raise KeyFileError(
                f"{shown(key)} is a name, and a key is asked for: `{command} {called[0]}` names the key of "
                f"{'that member' if len(called) == 1 else f'one of the {len(called)} members of that name'}"
            )
