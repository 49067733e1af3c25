"""What a blob's header must be before a byte of the blob is taken: small lies cost little [SY-4].

A header may claim more than its contribution has, and a sparse file backs the claim at no cost to whoever made it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mergealgebra.crdt.manifest import Manifest
from mergealgebra.errors import BlobDamaged, MergeAlgebraError
from mergealgebra.store.blobs import Admit, Records
from mergealgebra.text import place

#: Judges whether tensors can be those of a contribution; it raises a MergeAlgebraError if they cannot.
Fits = Callable[[Manifest, Path, Records], None]


def anything_fits(manifest: Manifest, path: Path, records: Records) -> None:
    """The judge of those who do not have the base at hand."""


def admission(manifests: Sequence[Manifest], fits: Fits) -> Admit:
    """Admits a header that is that of one of these contributions, which name one root."""

    def admit(path: Path, records: Records) -> None:
        elements = sum(record.size for record in records.values())
        meant = [manifest for manifest in manifests if manifest.elements == elements]
        if not meant:
            raise BlobDamaged(
                f"{place(path)} has {elements:,} elements, but contribution {manifests[0].id[:12]} has "
                f"{manifests[0].elements:,}; `retract {manifests[0].id[:12]}` if nobody has the right file"
            )
        _refuse_unless_any(meant, lambda manifest: fits(manifest, path, records))

    return admit


def _refuse_unless_any(manifests: Sequence[Manifest], judge: Callable[[Manifest], None]) -> None:
    """Raise what the judge says of the last one, if it says something of each."""
    refusals = []
    for manifest in manifests:
        try:
            judge(manifest)
        except MergeAlgebraError as error:
            refusals.append(error)
    if len(refusals) == len(manifests):
        raise refusals[-1]
