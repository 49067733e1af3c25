"""What a store takes on the disk: the system's sizes, by what the files are for."""

from __future__ import annotations

import os

import pytest

from mergealgebra.store.cache import AGGREGATE, FIGURES, THRESHOLDS
from mergealgebra.store.objects import Store
from mergealgebra.store.usage import Usage
from tests.crdt.strategies import GENESIS
from tests.store.stores import contribute


def test_each_file_counts_once_for_what_it_is_for(tmp_path, monkeypatch):
    store = Store.create(tmp_path / "alice", GENESIS)
    assert Usage.of(store, store.state()) == Usage(0, 0, 0, 0, 0, 0)
    ids = [contribute(store, number, tmp_path) for number in range(2)]
    roots = {id_: manifest.tensors for id_, manifest in store.state().visible().items()}
    for operation in store.state().remove(ids[0]).operations:
        store.write_operation(operation)
    for part, nbytes in ((THRESHOLDS, 10), (FIGURES, 7), (AGGREGATE, 300)):
        (store.path / part).mkdir(parents=True)
        (store.path / part / "x").write_bytes(bytes(nbytes))
        (store.path / part / "link").symlink_to(store.blob_path(roots[ids[1]]))
    store.report_damage(roots[ids[0]])
    state, operations = store.state(), sum(path.stat().st_size for path in (store.path / "operations").iterdir())
    blobs = [store.blob_path(roots[id_]).stat().st_size for id_ in ids]
    monkeypatch.setattr(os, "read", lambda *_: pytest.fail("a file is read"))
    assert Usage.of(store, state) == Usage(operations, blobs[1], blobs[0], 17, 300, 0)
