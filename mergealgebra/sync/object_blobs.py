"""The blobs of a sync with an object store: each goes to the side that lacks it [PR-18].

A store has a blob as a map and parts, or whole, as in a share whose files somebody serves or copied there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from mergealgebra.crdt.manifest import KINDS
from mergealgebra.errors import BlobDamaged, MergeAlgebraError, PeerError
from mergealgebra.progress import Progress, counter, quiet
from mergealgebra.store.base_leaves import Base, BaseLeaves
from mergealgebra.store.entries import BLOB_SUFFIX, BLOBS
from mergealgebra.store.holdings import needed_kinds
from mergealgebra.store.maps import Maps
from mergealgebra.store.partial_blob import PartialBlob
from mergealgebra.sync.admission import Claim, Fits, admission, claims_of, is_taken
from mergealgebra.sync.blob_parts import MAP_SUFFIX, DamagedObject, fetch_parts, map_key, read_map, write_blob
from mergealgebra.sync.damage_reports import is_reported, report, withdraw
from mergealgebra.sync.exchange import Moved
from mergealgebra.sync.object_store import Listed, NotThere, ObjectStore, TooLong, has
from mergealgebra.wanted import known_manifests

_LENGTH_BYTES: Final = 8
_STEP: Final = "copying blobs"


def exchange_blobs(
    moved: Moved,
    objects: ObjectStore,
    fits: Fits,
    progress: Progress,
    *,
    base: Base,
    retracted: bool,
    auxiliary: bool,
) -> tuple[str, ...]:
    """Carry each blob of what is visible to the side that lacks it, and take retracted ones.

    base: the base, whose leaves need not be fetched [BL-9]. Returns the roots of retracted ones that nobody has. Raises
    PeerError.
    """
    state = moved.holder.look().state
    kinds = KINDS if auxiliary else needed_kinds(moved.store.genesis)
    wanted = claims_of(state.visible().values())
    known = claims_of(known_manifests(state).values(), kinds) if retracted else {}
    asked = {root: claims for root, claims in known.items() if root not in wanted}
    if not wanted and not asked:
        return ()
    leaves = BaseLeaves(Maps(moved.store), base)
    blobs = _Blobs(moved, objects, objects.list(BLOBS), fits, progress, leaves)
    for root, claims in wanted.items():
        try:
            here = moved.store.blob_bytes(root) is not None
        except MergeAlgebraError as error:  # something else stands in its place
            moved.refused.append(error)
            continue
        if here:
            blobs.give(root)
        elif is_taken(claims, kinds):
            blobs.take(root, claims)
    return tuple(root for root, claims in asked.items() if not blobs.have(root) and not blobs.take(root, claims))


def take_blob(
    moved: Moved, objects: ObjectStore, listed: Mapping[str, Listed] | None, fits: Fits, root: str, claims: list[Claim]
) -> bool:
    """Take a blob in place of what is here; False if the store does not have it. What is wrong with it is a refusal.

    listed: what the store lists of blobs, None without a list. Raises PeerError.
    """
    return _Blobs(moved, objects, listed, fits, quiet, BaseLeaves(Maps(moved.store))).take(root, claims)


@dataclass(frozen=True)
class _Blobs:
    """The blobs of one sync. listed: what the store lists of them, by the rest of their keys; None without a list."""

    moved: Moved
    objects: ObjectStore
    listed: Mapping[str, Listed] | None
    fits: Fits
    progress: Progress
    base: BaseLeaves

    def have(self, root: str) -> bool:
        """Whether a blob is here, or something in its place."""
        try:
            return self.moved.store.blob_bytes(root) is not None
        except MergeAlgebraError:
            return True

    def take(self, root: str, claims: list[Claim]) -> bool:
        """Take a blob; False if the store does not have it. What is wrong with it is a refusal."""
        if self.moved.closed is not None:
            return True
        try:
            taken = self._take_parts(root, claims) or self._take_whole(root, claims)
        except MergeAlgebraError as error:
            if isinstance(error, PeerError) and not isinstance(error, TooLong):
                raise
            self.moved.refused.append(error)
            if isinstance(error, DamagedObject) and self.listed is not None and self.moved.gives:
                with suppress(PeerError):
                    report(self.objects, f"{BLOBS}/{root}")
            return True
        if taken:
            self.moved.taken_blobs.append(root)
        return taken

    def _take_parts(self, root: str, claims: list[Claim]) -> bool:
        if self.listed is not None and f"{root}{MAP_SUFFIX}" not in self.listed:
            return False
        blob_map = read_map(self.objects, root, max(claim.elements for claim in claims))
        if blob_map is None:
            return False
        more = counter(self.progress, _STEP, blob_map.nbytes - len(blob_map.header))
        blob = PartialBlob.begin(self.moved.store, root, blob_map, admission(claims, self.fits), more)
        try:
            self.base.copy_equal(blob, more)
            fetch_parts(self.objects, blob, more)
            blob.finish()
        except FileNotFoundError:
            if not self.moved.store.has_blob(root):  # else another process was first
                raise blob.went_away() from None
        return True

    def _take_whole(self, root: str, claims: list[Claim]) -> bool:
        if self.listed is not None and f"{root}{BLOB_SUFFIX}" not in self.listed:
            return False
        try:
            with self.objects.opened(f"{BLOBS}/{root}{BLOB_SUFFIX}") as (nbytes, read):
                if nbytes is None:
                    raise BlobDamaged("it does not say how long they are; choose another server")
                more = counter(self.progress, _STEP, nbytes)
                self.moved.store.receive_blob(root, nbytes, read, admission(claims, self.fits), more)
        except NotThere:
            return False
        except BlobDamaged as error:
            what = str(error).split("; ", maxsplit=1)[0]  # what follows is said of a file that lies here
            raise BlobDamaged(
                f"{self.objects.name} serves damaged tensors: {what}; sync with another peer that has them"
            ) from error
        return True

    def give(self, root: str) -> None:
        """Give a blob that is here, unless the store has it, or takes nothing; write it again if it was reported."""
        if self.moved.not_given or not self.moved.gives or self._is_there(root):
            return
        reported = is_reported(self.listed, root)
        there = {f"{BLOBS}/{name}": told.nbytes for name, told in (self.listed or {}).items() if not reported}
        entry = self.moved.store.blob(root)
        more = counter(self.progress, _STEP, self.moved.store.blob_bytes(root) or 0)
        try:
            write_blob(self.objects, entry, root, there, more)
        except PeerError as error:
            self.moved.give_nothing(error)
            return
        except MergeAlgebraError as error:  # the file here
            self.moved.refused.append(error)
            return
        if reported:
            self.moved.mended.append(f"{self.objects.name}/{map_key(root)}")
            withdraw(self.objects, f"{BLOBS}/{root}")
        else:
            self.moved.given_blobs.append(root)

    def _is_there(self, root: str) -> bool:
        """Whether the store has a blob, and nobody reported it; where there is a list, all of its parts."""
        if self.listed is None:
            return has(self.objects, map_key(root)) or has(self.objects, f"{BLOBS}/{root}{BLOB_SUFFIX}")
        if is_reported(self.listed, root):
            return False
        if f"{root}{BLOB_SUFFIX}" in self.listed:
            return True
        return f"{root}{MAP_SUFFIX}" in self.listed and self._parts_bytes(root) == self._data_bytes(root)

    def _parts_bytes(self, root: str) -> int:
        """The bytes of all parts that are listed."""
        total, number = 0, 0
        while self.listed and (told := self.listed.get(f"{root}.{number}")) is not None:
            total, number = total + told.nbytes, number + 1
        return total

    def _data_bytes(self, root: str) -> int | None:
        """The bytes behind the header of a blob that is here; None where it cannot be read."""
        with suppress(OSError), self.moved.store.blob(root).opened() as descriptor:
            length = os.pread(descriptor, _LENGTH_BYTES, 0)
            return os.fstat(descriptor).st_size - int.from_bytes(length, "little") - _LENGTH_BYTES
        return None
