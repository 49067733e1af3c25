"""Mistakes with blobs: some that are not checked, some that are missed, and what is made of them."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from mergealgebra import merge_input, resolution, resolve
from mergealgebra.errors import BlobDamaged, MergeAlgebraError
from mergealgebra.incremental import change
from mergealgebra.store import blob_store
from mergealgebra.store.blob_store import BlobWriter
from mergealgebra.store.blobs import discard
from mergealgebra.store.entries import ROOT, Entry
from mergealgebra.store.objects import Store
from mergealgebra.tensors import checkpoint
from mergealgebra.wanted import Wanted
from tests.simulation.faults.fault import Patches, fault


@fault("blobs are copied and not checked", "folders", "admission")
def blob_is_accepted_unchecked() -> Patches:
    def import_blob(self: Store, source: Entry, root: str, *_: Any) -> None:
        with self.blob_writer() as blob:
            blob.write(source.path.read_bytes())
            blob.commit(root)

    yield mock.patch.object(Store, "import_blob", import_blob)


@fault("a blob whose tensors have the right root may be any file", "folders", "admission")
def blob_need_not_be_canonical() -> Patches:
    real = blob_store.stream_blob

    def stream_blob(source: Entry, root: str, sink: Any, *admit: Any) -> None:
        with suppress(MergeAlgebraError), checkpoint.Checkpoint.open(source.path) as found:
            if found.root() == root:
                return sink(source.path.read_bytes())
        return real(source, root, sink, *admit)

    yield mock.patch.object(blob_store, "stream_blob", stream_blob)


@fault("a blob may go on behind its last tensor", "folders", "admission", "refusal")
def blob_may_go_on() -> Patches:
    real = blob_store.stream_blob

    def stream_blob(source: Entry, root: str, sink: Any, *admit: Any) -> None:
        whole = source.path.read_bytes() if source.path.exists() else b""
        for end in range(len(whole), max(0, len(whole) - 2), -1):
            with suppress(BlobDamaged), tempfile.TemporaryDirectory() as scratch:
                (Path(scratch) / source.name).write_bytes(whole[:end])
                real(Entry(Path(scratch), ROOT, source.name), root, discard)
                sink(whole)
                return
        real(source, root, sink, *admit)

    yield mock.patch.object(blob_store, "stream_blob", stream_blob)


@fault("a damaged blob is kept when its contribution is made again", "folders", "admission", "refusal")
def damaged_blob_is_never_replaced() -> Patches:
    yield mock.patch.object(BlobWriter, "_already_good", lambda self, root: self._store.has_blob(root))


@fault("resolve does not compare a blob with its root", "folders", "refusal", "model", "admission")
def resolve_trusts_blobs() -> Patches:
    yield mock.patch.object(merge_input, "check_blob_root", lambda *_: None)
    yield mock.patch.object(merge_input.Input, "manifest_for", lambda input_, *_: input_.manifest)


@fault("resolve leaves out a contribution whose blob is missing", "folders", "refusal", "admission")
def resolve_skips_what_is_missing() -> Patches:
    real = resolve.resolve

    def resolve_rest(wanted: Wanted, base: Path, blobs: Any, *rest: Any) -> Any:
        here = {id_: one for id_, one in wanted.contributions.items() if one.tensors in blobs}
        return real(replace(wanted, contributions=here), base, blobs, *rest)

    yield mock.patch.object(resolution, "resolve", resolve_rest)


@fault("sums that were kept go on holding what was retracted", "folders", "model")
def kept_sums_hold_what_was_retracted() -> Patches:
    real = change.Change.between
    yield mock.patch.object(change.Change, "between", lambda *sides: replace(real(*sides), retracted=[]))


@fault("the model card says when it was made", "folders", "model")
def card_tells_the_time() -> Patches:
    real = resolve.model_card
    yield mock.patch.object(resolve, "model_card", lambda *lock: real(*lock) + str(time.time()).encode())
