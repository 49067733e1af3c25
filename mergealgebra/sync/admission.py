"""What a blob's header must be before a byte of the blob is copied [SY-4].

A header may claim far more bytes than its contribution has. A sparse file makes such a claim cost nothing, and copying
it would cost hours.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mergealgebra.crdt.manifest import KINDS, Manifest
from mergealgebra.errors import BlobDamaged, MergeAlgebraError
from mergealgebra.store.blobs import Admit, Records
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.forms import of_form
from mergealgebra.text import by_caller, location


@dataclass(frozen=True)
class Claim:
    """That a root is the one of a contribution's tensors, or, with a kind, of its auxiliary ones [CT-2]."""

    manifest: Manifest
    kind: str | None = None

    @property
    def elements(self) -> int:
        """How many elements the contribution says there are."""
        entry = self.manifest.auxiliary_of(self.kind) if self.kind else None
        return entry.elements if entry else self.manifest.elements

    @property
    def by_header(self) -> tuple[str, int]:
        """What a header can show of it: anybody may name a root ten thousand times, with other coefficients."""
        return self.kind or self.manifest.form, self.elements

    @property
    def what(self) -> str:
        """What the blob is, for messages."""
        return self.kind or "tensors"


#: Judges whether tensors can be those that are claimed; it raises a MergeAlgebraError if they cannot.
Fits = Callable[[Claim, Path, Records], None]


def anything_fits(claim: Claim, path: Path, records: Records) -> None:
    """Accepts everything: for those who do not have the base."""


def claims_of(manifests: Iterable[Manifest], kinds: Container[str] = KINDS) -> dict[str, list[Claim]]:
    """What is claimed of each root, ascending. kinds: of auxiliary tensors that are looked at."""
    found: dict[str, list[Claim]] = {}
    for manifest in manifests:
        found.setdefault(manifest.tensors, []).append(Claim(manifest))
        for entry in manifest.auxiliary:
            if entry.kind in kinds:
                found.setdefault(entry.root, []).append(Claim(manifest, entry.kind))
    return dict(sorted(found.items()))


def is_taken(claims: Iterable[Claim], kinds: Container[str]) -> bool:
    """Whether a blob is taken: the tensors of a contribution, and auxiliary ones of these kinds."""
    return any(claim.kind is None or claim.kind in kinds for claim in claims)


def admission(claims: Sequence[Claim], fits: Fits) -> Admit:
    """Admits a header that is that of one of these claims, which are about one root."""
    meant = {claim.by_header: claim for claim in reversed(claims)}

    def admit(path: Path, records: Records) -> None:
        @cache
        def elements(form: str | None) -> int:
            return _elements(form, path, records)

        def judge(claim: Claim) -> None:
            if claim.kind is None:
                _refuse_whole_numbers(path, records)
            found = elements(None if claim.kind else claim.manifest.form)
            if found != claim.elements:
                raise _of_other_size(claim, path, found)
            fits(claim, path, records)

        _refuse_unless_any(list(meant.values()), judge)

    return admit


def _elements(form: str | None, path: Path, records: Records) -> int:
    """How many elements the task vector of tensors in a form has; with no form, the tensors themselves."""
    if form is None:
        return sum(record.size for record in records.values())
    try:
        return sum(record.size for record in of_form(form, Checkpoint(path, dict(records))).records.values())
    except MergeAlgebraError as error:
        raise BlobDamaged(f"{error}; delete it") from None


def _of_other_size(claim: Claim, path: Path, found: int) -> BlobDamaged:
    short = claim.manifest.id[:12]
    has = f"contribution {short} has" if claim.kind is None else f"the {claim.kind} of contribution {short} has"
    return BlobDamaged(
        f"{location(path)} has {found:,} elements, but {has} {claim.elements:,}; "
        f"`{by_caller(f'retract {short}', f'retract({short!r})')}` if nobody has the right file"
    )


def _refuse_whole_numbers(path: Path, records: Records) -> None:
    """A contribution has no integers [CT-5]; to compare them with the base's, a stranger's file would be read again."""
    for name, record in records.items():
        if not DTYPES[record.dtype].is_float:
            raise BlobDamaged(
                f"{location(path, name)} is {record.dtype}, but contributions hold floats alone; delete it"
            )


def _refuse_unless_any(claims: Sequence[Claim], judge: Callable[[Claim], None]) -> None:
    """Raise what the judge says of the last one, if it says something of each."""
    refusals = []
    for claim in claims:
        try:
            judge(claim)
        except MergeAlgebraError as error:
            refusals.append(error)
    if len(refusals) == len(claims):
        raise refusals[-1]
