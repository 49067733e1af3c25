"""A workspace: one replica's folder, with everything its owner does to it.

The operation set decides what is visible, the store holds it, `resolve` turns it into a model. Other modules do the
work of each verb. What reads tensors is imported when needed, so that all else is quick.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Unpack

from mergealgebra.addresses import PathLike, local_path
from mergealgebra.administration import Administration
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import MergeAlgebraError, MergeAlgebraWarning, UnknownContribution
from mergealgebra.interrupts import standing
from mergealgebra.key_files import public_key
from mergealgebra.methods.method import Method
from mergealgebra.progress import Progress, quiet
from mergealgebra.retraction import Retraction, retract
from mergealgebra.signing import KeySource, signer_when_needed
from mergealgebra.sizes import byte_count
from mergealgebra.store import local
from mergealgebra.store.objects import Store
from mergealgebra.text import address, shown, sync_again, syncing

if TYPE_CHECKING:
    from mergealgebra.merge_result import MergeResult
    from mergealgebra.publication import ContributionId
    from mergealgebra.sync.folder import SyncOptions, SyncResult
    from mergealgebra.tensors.task_vector import Tensors


@dataclass(frozen=True, repr=False)
class Workspace(Administration):
    """One replica. Nothing is kept in memory, so several processes may use one workspace at once.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> from safetensors.numpy import save_file
    >>> from mergealgebra import Mean, Ties, Workspace
    >>> save_file({"w": np.array([1, 2, 3, 4], np.float32)}, "base.safetensors")
    >>> save_file({"w": np.array([1, 2, 3, 5], np.float32)}, "math.safetensors")
    >>> save_file({"w": np.array([0.5, 2, 3, 4], np.float32)}, "code.safetensors")
    >>> alice = Workspace.init("alice", base="base.safetensors", recipe=Mean(), name="team")
    >>> math = alice.contribute("math.safetensors", note="three epochs")
    """

    # Making and opening

    @classmethod
    def init(
        cls,
        path: PathLike,
        *,
        base: PathLike,
        recipe: Method,
        name: str = "",
        as_name: str | None = None,
        maintainers: Iterable[PathLike] = (),
        progress: Progress | None = None,
    ) -> Workspace:
        """A new workspace for improving `base`; equal arguments give one workspace id on every machine [OS-1].

        as_name: as in `set_name`; no part of the id. maintainers: their public keys, as OpenSSH lines or files; with
        any, the workspace is signed, and they say who may write [SG-3]. progress: called as the base is read. Raises
        WorkspaceError when something is there already, OperationError for `as_name`, KeyFileError, and as
        `Checkpoint.open` does.

        >>> Workspace.init("trim", base="base.safetensors", recipe=Ties(density="0.2"), name="team").recipe
        Ties(density='0.2')
        """
        from mergealgebra.creation import new_workspace

        keys = map(public_key, maintainers)
        store = new_workspace(path, base, recipe, name, as_name, progress or quiet, keys)
        return cls(store.path, store)

    @classmethod
    def clone(
        cls,
        peer: PathLike,
        path: PathLike,
        *,
        base: PathLike,
        workspace_id: str | None = None,
        as_name: str | None = None,
        key: KeySource | None = None,
        progress: Progress | None = None,
    ) -> Workspace:
        """A new replica of the workspace that a peer holds, synced with it [SY-12]. base: where the base is here.

        workspace_id: what the peer must hold, the whole id from somebody you trust; whatever it holds if None.
        as_name: as in `set_name`. key: as of `sync`; a file is written down, as by `set_key`, if the workspace is
        signed. Raises WrongWorkspace for another workspace, BaseMismatch when it is not the peer's base, and as `init`
        and `sync` do.

        >>> bob = Workspace.clone("alice", "bob", base="base.safetensors", as_name="Bob")
        >>> bob.merge_id == alice.merge_id
        True
        """
        from mergealgebra.creation import clone

        store = clone(peer, path, base, workspace_id, as_name, progress or quiet, key)
        return cls(store.path, store)

    @classmethod
    def open(cls, path: PathLike) -> Workspace:
        """The workspace in a folder. Raises WorkspaceError when there is none, or its genesis is damaged.

        >>> Workspace.open("alice") == alice
        True
        """
        local.refuse_no_workspace(local_path(path))
        store = Store.open(path)
        local.check_genesis(store)
        local.default_recipe(store)
        return cls(store.path, store)

    # What its owner does

    def contribute(
        self,
        checkpoint: Tensors,
        coefficient: str = "1",
        *,
        form: str | None = None,
        take: Sequence[str] = (),
        leave: Sequence[str] = (),
        force: bool = False,
        note: str | None = None,
        auxiliary: Mapping[str, Tensors] = MappingProxyType({}),
        key: KeySource | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> ContributionId:
        """Publish a fine-tuned checkpoint, or with form "task_vector" a difference, for everyone to merge.

        With form "low_rank" its tensors' names say how each is stored, as factors or whole [CT-13].
        checkpoint: a path, of a LoRA adapter too, or name -> array, NumPy or torch; a TaskVector is a difference.
        coefficient: a decimal. take, leave: patterns of tensor names [CT-8]. auxiliary: what some methods need beside
        it, "fisher", or "gram", which none reads yet, each a path or name -> array [CT-15]. key: as of `signer`. All is
        read and checked first: raises NamesError, ShapeError, DtypeError, NonFinite and the like, naming file, tensor
        and index, and Implausible for what can only be a mistake, unless `force` insists [CT-11, CT-12]. Warns, also of
        a visible contribution that is nearly the same [OS-15], and of what was here before [OS-16]; what comes back has
        the same lines in `warnings`.

        >>> code = alice.contribute("code.safetensors", "0.5")
        >>> code, code.measure.changed, code.warnings
        (ContributionId('fb3d0ff62917...'), 1, ())
        """
        from mergealgebra.publication import Offer, publish

        offer = Offer(checkpoint, form, coefficient, take, leave, force, auxiliary)
        contribution = publish(self.store, offer, note, threads, progress or quiet, self.signer(key))
        for line in contribution.warnings:
            warnings.warn(line, MergeAlgebraWarning, stacklevel=2)
        return contribution

    def retract(self, contribution: str, *, note: str | None = None, key: KeySource | None = None) -> str:
        """Take a visible contribution back; returns its id. contribution: the id or a unique prefix of it.

        key: as of `signer`. Raises NotAllowed, and UnknownContribution, also when it was taken back already.

        >>> alice.retract(math[:12]) == math
        True
        >>> alice.visible()
        {}
        """
        if retracted := self.retract_all([contribution], note=note, key=key).contributions:
            return retracted[0]
        raise UnknownContribution(f"contribution {shown(contribution)} was taken back already")

    def retract_all(
        self,
        contributions: Iterable[str],
        *,
        note: str | None = None,
        key: KeySource | None = None,
        state: ORSet | None = None,
    ) -> Retraction:
        """Take several visible contributions back, all or none.

        contributions: their ids or unique prefixes of them; those taken back already are passed over [OS-10]. state:
        what was read here a moment ago; read now if None. Raises UnknownContribution for one that is not known here.

        >>> alice.retract_all([math], note="a mistake").contributions == (math,)
        True
        >>> alice.retract_all([math]).gone == (math,)
        True
        """
        return retract(self.store, contributions, note, state, self.signer(key))

    def sync(
        self,
        peer: PathLike,
        *,
        create: bool | Literal["group"] = False,
        retracted: bool = False,
        auxiliary: bool = False,
        give: bool = True,
        key: KeySource | None = None,
        progress: Progress | None = None,
    ) -> SyncResult:
        """Exchange operations and blobs with another workspace or a share, both ways [SY-4].

        peer: its folder, or the address of one that is served: http://HOST:PORT, https://HOST:PORT, ssh://HOST/PATH
        [PR-13, PR-15] or s3://BUCKET/PREFIX [PR-17]. create: make a share there first, if nothing is there, with
        "group" one in which all members of the folder's group may write [SY-16]; otherwise it must be there [SY-7].
        retracted: also take the tensors of contributions that were taken back, for old merges. auxiliary: also take
        auxiliary tensors that the workspace's recipe does not need. give: False takes and gives nothing, for a peer
        that takes nothing [PR-24]. key: as of `signer`, for a server that wants a
        member's signature [PR-21]. Raises AddressError for what is neither, PeerError for a peer that is not reached,
        and SyncIncomplete when something was refused; the good rest has then been exchanged. That it was incomplete is
        written down here, until a sync with that peer is complete. progress: called as blobs are copied and checked.

        >>> result = alice.sync("share", create=True)
        >>> len(result.given_operations), len(result.given_blobs), len(result.taken_operations)
        (1, 1, 0)
        """
        from mergealgebra.creation import check_peers
        from mergealgebra.sync.remote import share_at
        from mergealgebra.sync.replica import sync_replica

        what = f"{address(peer)} is shared now" if create else "what was exchanged so far stays"
        with syncing(self.path):
            check_peers(self.path, [peer], group=create == "group")
        if create:
            share_at(peer, self.store.genesis, group=create == "group")
        again = sync_again(self.path, peer, retracted=retracted, auxiliary=auxiliary, give=give)
        with standing(f"{what}; `{again}` completes it"), syncing(self.path):
            signer = signer_when_needed(self.store, key)
            options = {"retracted": retracted, "auxiliary": auxiliary, "give": give}
            return sync_replica(self.store, peer, progress or quiet, signer=signer, **options)

    def sync_all(
        self,
        peers: Sequence[PathLike],
        *,
        key: KeySource | None = None,
        progress: Progress | None = None,
        **options: Unpack[SyncOptions],
    ) -> list[SyncResult | MergeAlgebraError]:
        """What `sync` returns or raises for each of several peers; servers in a row give tensors at once [BL-10]."""
        from mergealgebra.creation import check_peers
        from mergealgebra.sync.replica import sync_with_all

        if len(peers) == 1:
            try:
                return [self.sync(peers[0], key=key, progress=progress, **options)]
            except MergeAlgebraError as error:
                return [error]
        with standing("what was exchanged so far stays; the same command again completes it"), syncing(self.path):
            check_peers(self.path, peers, group=options.get("create") == "group")
            signer = signer_when_needed(self.store, key)
            return sync_with_all(self.store, peers, progress or quiet, signer=signer, **options)

    def resolve(
        self,
        out: PathLike,
        *,
        recipe: Method | None = None,
        lock: PathLike | None = None,
        backend: str = "auto",
        threads: int | None = None,
        block: int | None = None,
        memory: int | str | None = None,
        keep_aggregate: bool | Literal["always"] = False,
        attest: bool = True,
        key: KeySource | None = None,
        progress: Progress | None = None,
        state: ORSet | None = None,
    ) -> MergeResult:
        """Merge the visible contributions into a new folder or file NAME.safetensors, and attest to it [OS-12].

        recipe: another one than the workspace's. lock: a `merge.lock`, to make the model that it describes once more.
        backend, threads, block, memory: how it is computed, never what [MG-8]. keep_aggregate: keep the sums in the
        cache, so that the next merge reads little but what changed [SY-9]; where that saves no time they are not kept,
        unless it is "always" [SY-15]. attest, key: whether to attest, and as of `signer` [SG-12]. progress: called as
        the work goes on. state: what was read here a moment ago; it is read now if None. Warns of the result's
        `warnings`, such as an attest that cannot be written.
        Raises NothingVisible, BaseMismatch, BlobMissing, BlobDamaged, NonFinite, OutputError, UnknownContribution or
        VerificationFailed for a lock; then nothing is written.

        >>> alice.resolve("merged.safetensors", backend="numpy")
        MergeResult('merged.safetensors', contributions=1, model_root=43413a05ac19...)
        """
        from mergealgebra.execution import Execution
        from mergealgebra.resolution import Request, resolve_and_attest

        request = Request(out, recipe, lock, keep_aggregate, attest, self.signer(key) if attest else None)
        limit = byte_count(memory) if isinstance(memory, str) else memory
        execution = Execution(backend, threads, block, progress or quiet, limit)
        result = resolve_and_attest(self.store, request, execution, state)
        for line in result.warnings:
            warnings.warn(line, MergeAlgebraWarning, stacklevel=2)
        return result
