"""Whose key signs what is done in a workspace: the one that is named, or that the owner has set [SG-15]."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from threading import Lock

from mergealgebra.addresses import PathLike
from mergealgebra.crdt.operations import Signer
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.permission import permission
from mergealgebra.errors import KeyFileError, NotAllowed
from mergealgebra.key_files import VARIABLE, Passphrase, PrivateKey, public_key
from mergealgebra.store.local import own_key
from mergealgebra.store.objects import Store

#: A private key, as callers give it: a file of one without a passphrase, or what was read.
KeySource = PathLike | Signer


def signer_of(store: Store, key: KeySource | None, passphrase: bytes | Passphrase | None = None) -> Signer | None:
    """Who signs in a workspace: in an open one nobody, and nobody either where no key is named.

    key: named first; else MERGEALGEBRA_KEY, else what `set-key` wrote down. Raises KeyFileError, and NotAllowed for a
    key that is named in an open workspace.
    """
    if not store.genesis.is_signed:
        if key is not None:
            raise NotAllowed("this workspace is open, and nothing in it is signed: leave the key out")
        return None
    if key is None:
        key = os.environ.get(VARIABLE) or own_key(store)
    if key is None:
        return None
    return PrivateKey.read(Path(key), passphrase) if isinstance(key, str | os.PathLike) else key


def own_public_key(store: Store) -> str | None:
    """The public key of who signs in a workspace, by the `.pub` beside the private one; None where that is not told."""
    with suppress(KeyFileError):
        if named := os.environ.get(VARIABLE) or own_key(store):
            return public_key(f"{named}.pub")
    return None


@dataclass(frozen=True)
class SignerWhenNeeded:
    """A private key in a file that is read when something is first signed: nobody is asked for a passphrase in vain.

    named: the file, where it was named and not found in the environment or in what `set-key` wrote down.
    """

    read: Callable[[], Signer]
    named: Path | None = None
    _lock: Lock = field(default_factory=Lock)

    @cached_property
    def _known(self) -> list[Signer]:
        return []

    @property
    def _signer(self) -> Signer:
        with self._lock:  # threads that sign at once ask for one passphrase
            if not self._known:
                self._known.append(self.read())
            return self._known[0]

    @property
    def key(self) -> str:
        """The public key. Raises KeyFileError."""
        return self._signer.key

    def sign(self, message: bytes) -> bytes:
        """The signature of these bytes. Raises KeyFileError."""
        return self._signer.sign(message)


def signer_when_needed(
    store: Store | None, key: KeySource | None, passphrase: bytes | Passphrase | None = None
) -> Signer | None:
    """Who signs what is asked of servers: as `signer_of`, but a file is not read before it must be.

    store: None where there is none yet. Raises NotAllowed for a key that is named in an open workspace.
    """
    if store is not None and not store.genesis.is_signed:
        return signer_of(store, key)
    found = key or os.environ.get(VARIABLE) or (own_key(store) if store is not None else None)
    if isinstance(found, str | os.PathLike):
        path = Path(found)
        return SignerWhenNeeded(partial(PrivateKey.read, path, passphrase), path if key else None)
    return found


def check_may_write(state: ORSet, signer: Signer | None) -> None:
    """Raise NotAllowed before work that its maker could not publish [SG-8]."""
    if state.genesis.is_signed:
        permission(state.authority, signer)
