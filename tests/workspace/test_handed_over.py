"""A whole workspace folder from a stranger, unpacked from an archive: what is in it does nothing for its maker."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest

import mergealgebra as ma
from mergealgebra.incremental.folder import HEADER
from mergealgebra.incremental.header import Header
from mergealgebra.incremental.outcome import Outcome
from mergealgebra.incremental.seals import Seal
from mergealgebra.store.private import KEY, private_key
from tests.workspace.replicas import make_workspace, write_models


@pytest.fixture
def root(tmp_path):
    write_models(tmp_path)
    return tmp_path


def aggregate(folder):
    return folder / "cache" / "aggregate"


def header(folder):
    return Header.decode((aggregate(folder) / HEADER).read_bytes(), Seal(private_key(folder)))


@pytest.fixture
def forged(root):
    """A workspace with the aggregate of other contributions under the names of its own, sealed with the key in it."""
    mallory, other = root / "mallory", root / "other"
    made = [make_workspace(root, "mallory", 0, 1), make_workspace(root, "other", 1, 2)]
    private_key(other)
    (mallory / KEY).unlink()
    os.link(other / KEY, mallory / KEY)  # one key for both
    for workspace in made:
        workspace.resolve(root / f"by {workspace.path.name}", keep_aggregate="always")
    theirs = zip(header(other).entries, header(mallory).entries, strict=True)
    forged = replace(header(other), entries=tuple(replace(sums, manifest=of.manifest) for sums, of in theirs))
    shutil.rmtree(aggregate(mallory))
    shutil.copytree(aggregate(other), aggregate(mallory))
    return mallory, forged


def seal(mallory, forged, key):
    (aggregate(mallory) / HEADER).write_bytes(forged.encode(Seal(key)))


@pytest.mark.clause("SY-9")
def test_the_key_in_it_opens_no_aggregate_of_its_maker(root, forged):
    mallory, header = forged
    for key in (private_key(mallory), (mallory / KEY).read_bytes()):
        seal(mallory, header, key)
        shutil.rmtree(root / "mine", ignore_errors=True)
        shutil.copytree(mallory, root / "mine")  # with modes and times, as `tar` unpacks it
        mine = ma.Workspace.open(root / "mine")
        result = mine.resolve(root / f"out {key.hex()}", keep_aggregate="always")
        honest = make_workspace(root, f"honest {key.hex()}", 0, 1).resolve(root / f"true {key.hex()}")
        assert (result.merge_id, result.model_root) == (honest.merge_id, honest.model_root)
        assert result.aggregate == Outcome("", None)
        assert mine.state.attestations(result.merge_id) == {honest.model_root}


@pytest.mark.clause("SY-9")
def test_the_forgery_is_one_that_a_workspace_with_that_key_would_believe(root, forged):
    """So the test before this one shows what it says."""
    mallory, header = forged
    seal(mallory, header, private_key(mallory))
    result = ma.Workspace.open(mallory).resolve(root / "out", keep_aggregate="always")
    assert result.aggregate == Outcome("", 0)
    assert result.model_root == ma.Workspace.open(root / "other").resolve(root / "theirs").model_root
