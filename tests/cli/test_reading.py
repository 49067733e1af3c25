"""How often a verb reads the operations of a workspace: that takes longest, once there are a thousand."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest

from mergealgebra.store.objects import Store
from tests.cli.commands import call

VERBS = {
    "status": "status",
    "log": "log",
    "show": "show ID",
    "retract": "retract ID",
    "retract what is missing": "retract --missing",
    "resolve": "resolve new",
    "gc": "gc",
}


@pytest.mark.parametrize("words", VERBS.values(), ids=VERBS)
def test_each_operation_is_read_once(scene, monkeypatch, words):
    (id_, *_) = (entry["contribution"] for entry in call(scene, "-C", "alice", "status", "--json").printed()["visible"])
    if "--missing" in words:
        shutil.rmtree(scene / "alice" / "blobs")
    real, read = Store._bytes, Counter()

    def _bytes(store, name):
        read[name] += 1
        return real(store, name)

    monkeypatch.setattr(Store, "_bytes", _bytes)
    assert call(scene, "-C", "alice", *words.replace("ID", id_).split()).code == 0
    assert set(read.values()) == {1}
