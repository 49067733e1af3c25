"""The blobs of a contribution: opened, held against its manifest and the base, and handed to the engine [SY-6, CT-6].

Whoever merges or measures what is stored asks here, so that what a manifest and its blobs mean is said once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from mergealgebra.algebra import decimals
from mergealgebra.contribution import names_of
from mergealgebra.crdt.manifest import Manifest, joined_form
from mergealgebra.engine.sources import Contribution, Source
from mergealgebra.errors import (
    AuxiliaryError,
    BlobDamaged,
    BlobMissing,
    CheckpointError,
    HeaderError,
    MergeAlgebraError,
    NamesError,
)
from mergealgebra.tensors import auxiliary
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.files import opened
from mergealgebra.tensors.form_names import FINETUNED, TASK_VECTOR
from mergealgebra.tensors.forms import Formed, Held, forms_of, of_form
from mergealgebra.tensors.safetensors_file import canonical_header, read_header
from mergealgebra.text import by_caller, location

_GET_AGAIN: Final = "delete the file and sync again, or retract it"


@dataclass(frozen=True)
class OpenContribution:
    """A contribution as the engine takes it, and the open blobs behind it. kinds: auxiliary ones, by kind."""

    contribution: Contribution
    held: Held
    kinds: Mapping[str, Checkpoint]


def open_contribution(
    manifest: Manifest,
    blobs: Mapping[str, Path],
    base: Checkpoint,
    closing: ExitStack,
    needed: Iterable[str] = (),
) -> OpenContribution:
    """A contribution as the engine takes it, from its manifest and its blobs; headers are checked, values are not yet.

    blobs: where blobs are, by root. closing: closes them. needed: the kinds of auxiliary tensors to open [CT-16].
    Raises as `open_blob` and `open_auxiliary` do.
    """
    held = open_blob(manifest, blobs.get(manifest.tensors), base)
    closing.callback(held.close)
    kinds = {}
    for kind in sorted(needed):
        entry = manifest.auxiliary_of(kind)
        path = None if entry is None else blobs.get(entry.root)
        kinds[kind] = closing.enter_context(open_auxiliary(manifest, kind, path, held))
    coefficient = decimals.from_hex(manifest.coefficient)
    label = f"contribution {manifest.id[:12]}"
    one = as_contribution(label, manifest.form, coefficient, held, held.records, manifest.tensors, kinds)
    return OpenContribution(replace(one, id=manifest.id), held, kinds)


def as_contribution(
    label: str,
    form: str,
    coefficient: float,
    held: Held,
    names: Iterable[str],
    tensors: str | None = None,
    kinds: Mapping[str, Source] = MappingProxyType({}),
) -> Contribution:
    """These tensors as the engine takes them, to which factors are a task vector [CT-14]. kinds: auxiliary ones."""
    names = frozenset(names)
    if not isinstance(held, Formed):
        return Contribution(label, form, coefficient, held, names, tensors, auxiliary=kinds)
    differences = {name: TASK_VECTOR for name in names if held.forms[name] != FINETUNED}
    one, others = (TASK_VECTOR, {}) if len(differences) == len(names) else (FINETUNED, differences)
    return Contribution(label, one, coefficient, held, names, tensors, others, held.computed & names, kinds)


def open_blob(manifest: Manifest, path: Path | None, base: Checkpoint) -> Held:
    """A contribution's tensors, their headers checked; what they hold is for `check_blob_root` to check [SY-6].

    path: where the blob is; None if it is not here. Raises BlobMissing or BlobDamaged [CT-6], and CheckpointError
    when a file, which may be good, could not be read.
    """
    short = f"contribution {manifest.id[:12]}"
    if path is None or not path.exists():
        raise BlobMissing(f"{short}: its tensors {manifest.tensors} are not here; sync with a peer that has them")
    blob = _opened(short, path)
    check_fit(manifest, blob, base)
    return _held(manifest, blob)


def open_auxiliary(manifest: Manifest, kind: str, path: Path | None, held: Held) -> Checkpoint:
    """A contribution's auxiliary tensors of a kind, their headers checked as those of its tensors are [CT-16, SY-6].

    held: its tensors. Raises AuxiliaryError where it has none of this kind, and as `open_blob` does.
    """
    short, entry = f"contribution {manifest.id[:12]}", manifest.auxiliary_of(kind)
    if entry is None:
        raise AuxiliaryError(
            f"{short} has no {kind}, which the method needs: `retract` it and contribute it with "
            f"{by_caller(f'--{kind}', f'auxiliary={{{kind!r}: ...}}')}, or merge by a recipe that needs none"
        )
    if path is None or not path.exists():
        raise BlobMissing(
            f"{short}: its {kind} {entry.root} is not here; "
            f"`{by_caller('sync PEER --auxiliary', 'sync(PEER, auxiliary=True)')}` takes it from a peer"
        )
    blob = _opened(short, path)
    shapes = {name: record.shape for name, record in held.records.items()}
    check_auxiliary_fit(manifest, kind, blob, shapes, whole=True)
    return blob


def _opened(short: str, path: Path) -> Checkpoint:
    """A blob whose header is the canonical one. short: whose it is."""
    try:
        blob = Checkpoint(path, read_header(path))
        _check_canonical(blob)
    except CheckpointError:
        raise
    except MergeAlgebraError as error:
        raise BlobDamaged(f"{short}: {location(path)}: {error}; {_GET_AGAIN}") from None
    return blob


def _held(manifest: Manifest, blob: Checkpoint) -> Held:
    """What is reduced of a blob. Raises as `of_form` does, and NamesError for other forms than the manifest's."""
    held = of_form(manifest.form, blob)
    found = joined_form(forms_of(manifest.form, held, held.records).values())
    if found != manifest.form:
        raise NamesError(f"its tensors are {found or 'none'}, its manifest says {manifest.form}; {_GET_AGAIN}")
    return held


def check_fit(manifest: Manifest, blob: Checkpoint, base: Checkpoint) -> None:
    """Refuse tensors that cannot be those of a contribution to this base, by their headers alone [CT-5, CT-13].

    Raises BlobDamaged, and CheckpointError when a file, which may be good, could not be read.
    """
    with _damaged_unless_fit(manifest, blob):
        if not blob.records:
            raise NamesError(f"it holds no tensor; {_GET_AGAIN}")
        held = _held(manifest, blob)
        names = names_of(manifest.form, held, base, held.records, lambda *_: _GET_AGAIN)
    elements = sum(record.size for record in held.records.values())
    if (len(names), elements) != (len(held.records), manifest.elements):
        raise _of_other_size(manifest, blob, elements, manifest.elements)


def check_auxiliary_fit(
    manifest: Manifest, kind: str, blob: Checkpoint, shapes: Mapping[str, tuple[int, ...]], *, whole: bool
) -> None:
    """The same of auxiliary tensors [CT-15]. shapes, whole: as of `auxiliary.check_headers`."""
    with _damaged_unless_fit(manifest, blob):
        auxiliary.check_headers(kind, blob, shapes, whole=whole)
    entry, elements = manifest.auxiliary_of(kind), sum(record.size for record in blob.records.values())
    if entry is None or elements != entry.elements:
        raise _of_other_size(manifest, blob, elements, entry.elements if entry else 0)


@contextmanager
def _damaged_unless_fit(manifest: Manifest, blob: Checkpoint) -> Iterator[None]:
    """What does not fit is BlobDamaged; what could not be read may be good."""
    try:
        yield
    except CheckpointError:
        raise
    except MergeAlgebraError as error:
        raise BlobDamaged(f"contribution {manifest.id[:12]}: {location(blob.path)}: {error}") from None


def _of_other_size(manifest: Manifest, blob: Checkpoint, elements: int, expected: int) -> BlobDamaged:
    short = manifest.id[:12]
    return BlobDamaged(
        f"contribution {short}: {location(blob.path)} holds {elements} elements, expected {expected}; `fsck` says "
        f"whether the file is damaged: if it is not, the contribution is false, `retract {short}`"
    )


def check_blob_root(manifest: Manifest, blob: Held, found: str, kind: str | None = None) -> None:
    """Raise BlobDamaged unless the root that a blob was found to have is that of the manifest [SY-6, CT-16].

    kind: of auxiliary tensors; None for those that are merged.
    """
    entry = manifest.auxiliary_of(kind) if kind else None
    expected = entry.root if entry else manifest.tensors
    if found != expected:
        raise BlobDamaged(
            f"contribution {manifest.id[:12]}: {location(blob.path)} holds tensors with root {found}, expected "
            f"{expected}; delete the file and sync again; if nobody has it, contribute the checkpoint again"
        )


def _check_canonical(blob: Checkpoint) -> None:
    """Refuse a file that is not the one in which its tensors are written: there is one blob under a root [CT-6]."""
    header = canonical_header((r.name, r.dtype, r.shape, r.nbytes) for r in blob.records.values())
    with opened(blob.path) as file:
        if file.read(len(header)) != header:
            raise HeaderError("its header is not the canonical one for its tensors")
