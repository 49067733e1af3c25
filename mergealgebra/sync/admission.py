"""What a blob's header must be before a byte of the blob is copied [SY-4].

A header may claim far more bytes than its contribution has. A sparse file makes such a claim cost nothing, and copying
it would cost hours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mergealgebra.crdt.manifest import Manifest
from mergealgebra.errors import BlobDamaged, MergeAlgebraError
from mergealgebra.store.blobs import Admit, Records
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.text import by_caller, location

#: Judges whether tensors can be those of a contribution; it raises a MergeAlgebraError if they cannot.
Fits = Callable[[Manifest, Path, Records], None]


def anything_fits(manifest: Manifest, path: Path, records: Records) -> None:
    """Accepts everything: for those who do not have the base."""


def admission(manifests: Sequence[Manifest], fits: Fits) -> Admit:
    """Admits the header of any of these contributions, which have one root."""
    # Anybody may name it ten thousand times, with other coefficients, which no header shows.
    meant: dict[int, dict[str, Manifest]] = {}
    for manifest in manifests:
        meant.setdefault(manifest.elements, {})[manifest.form] = manifest

    def admit(path: Path, records: Records) -> None:
        elements = sum(record.size for record in records.values())
        _refuse_whole_numbers(path, records)
        if elements not in meant:
            first, id_ = manifests[0], manifests[0].id[:12]
            retract = by_caller(f"retract {id_}", f"retract({id_!r})")
            raise BlobDamaged(
                f"{location(path)} has {elements:,} elements, but contribution {id_} has {first.elements:,}; "
                f"`{retract}` if nobody has the right file"
            )
        _refuse_unless_any(list(meant[elements].values()), lambda manifest: fits(manifest, path, records))

    return admit


def _refuse_whole_numbers(path: Path, records: Records) -> None:
    """A contribution has no integers [CT-5]; to compare them with the base's, a stranger's file would be read again."""
    for name, record in records.items():
        if not DTYPES[record.dtype].is_float:
            raise BlobDamaged(
                f"{location(path, name)} is {record.dtype}, but contributions hold floats alone; delete it"
            )


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
