"""A process may die at any moment: what is left opens, and shows the state before the command or after it [SY-8].

Every command is killed before and after each of its writes, flushes, renames and new folders, and in the middle of
each write. What it was then run again on must come to the same end as if nothing had happened.
"""

from __future__ import annotations

import os
import shutil

import pytest

import mergealgebra as ma
from mergealgebra.model_folder import leftovers
from mergealgebra.model_folder.unfinished import MARK
from mergealgebra.store import operation_store
from mergealgebra.store.garbage import unfinished_models
from tests.crash import fault_points, kill_points
from tests.engine.scenes import names_in
from tests.models import fine_tune, with_value, write_file
from tests.workspace.replicas import RECIPE, make_workspace, visible_in

#: The first reads all again for its thresholds, the second for dot products, before it merges.
RECIPES = (RECIPE, ma.ModelStock())
#: How many of the calls of a resolve are the cache's, at most; what fails there is no failure.
CACHE_CALLS = 11
#: The first of them record where it writes; the others keep thresholds.
RECORD_CALLS = 3


def no_parts_in(folder):
    """Nothing torn stands under a name that counts, and what is visible has its blob [SY-2]."""
    blobs_are_whole_in(folder)
    workspace = ma.Workspace.open(folder)
    for manifest in workspace.visible().values():
        assert workspace.store.has_blob(manifest.tensors)


def blobs_are_whole_in(folder):
    """Nothing torn stands under a name that counts; in the middle of a sync a blob may still lack [SY-2, SY-8]."""
    store = ma.Workspace.open(folder).store
    assert store.ignored() == ()
    for root in store.blob_roots():
        store.check_blob(root)


@pytest.mark.clause("SY-8", "SY-2")
class TestKilled:
    def test_contribute(self, root):
        alice = make_workspace(root, "alice", 0)
        before = visible_in(alice.path)

        def contribute(folder):
            return ma.Workspace.open(folder).contribute(root / "ft1.safetensors", threads=1)

        after = before | {make_workspace(root, "reference", 1).contribute(root / "ft1.safetensors")}
        for moment, folder in kill_points(alice.path, contribute, root / "scratch"):
            assert visible_in(folder) in (before, after), moment
            no_parts_in(folder)
            contribute(folder)
            assert visible_in(folder) == after, moment
            ma.Workspace.open(folder).resolve(folder.parent / "out", threads=1)

    def test_retract(self, root):
        alice = make_workspace(root, "alice", 0, 1)
        before, gone = visible_in(alice.path), min(alice.visible())

        for moment, folder in kill_points(
            alice.path, lambda folder: ma.Workspace.open(folder).retract(gone), root / "scratch"
        ):
            found = visible_in(folder)
            assert found in (before, before - {gone}), moment
            if found == before:
                ma.Workspace.open(folder).retract(gone)
            assert visible_in(folder) == before - {gone}, moment

    @pytest.mark.parametrize("side", ["ours", "theirs", "a new one"])
    def test_sync(self, root, side):
        """Both folders, whichever is looked at: a subset of what both know, and everything after another sync."""
        both = root / "both"
        both.mkdir()
        ours = ma.Workspace.init(both / "ours", base=root / "base", recipe=RECIPE)
        theirs = ma.Workspace.init(both / "theirs", base=root / "base", recipe=RECIPE)
        first = ours.contribute(root / "ft0.safetensors")
        second = theirs.contribute(root / "ft1.safetensors")
        for workspace in (ours, theirs):  # and what is retracted shows at no moment
            changed = with_value(fine_tune(2), "norm.scale", (), 10 + (workspace is ours))
            workspace.retract(workspace.contribute(write_file(root / "retracted.safetensors", changed)))
        peer = {"ours": "theirs", "theirs": "ours", "a new one": "new"}[side]
        runner = "theirs" if side == "theirs" else "ours"
        known = {first, second} if peer != "new" else {first}

        def sync(folder):
            ma.Workspace.open(folder / runner).sync(folder / peer, create=peer == "new")

        for moment, folder in kill_points(both, sync, root / "scratch"):
            for name in (runner, peer):
                if (folder / name / "genesis").exists():
                    assert visible_in(folder / name) <= known, moment
                    blobs_are_whole_in(folder / name)
            assert visible_in(folder / runner) >= {second if runner == "theirs" else first}, moment
            sync(folder)
            assert visible_in(folder / runner) == visible_in(folder / peer) == known, moment
            assert names_in(folder / runner / "operations") == names_in(folder / peer / "operations"), moment

    @pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
    def test_resolve(self, root, monkeypatch, recipe):
        """OUT is there whole or not at all, and whatever was left beside it is on record, and removed from there."""
        place = root / "place"
        place.mkdir()
        alice = ma.Workspace.init(place / "alice", base=root / "base", recipe=recipe)
        for number in (0, 1):
            alice.contribute(root / f"ft{number}.safetensors")
        expected = alice.resolve(root / "expected", threads=1)
        for path in (alice.path / "operations").iterdir():  # as if nobody had resolved yet
            if alice.store.read_operation(path.name).kind == "attest":
                path.unlink()

        def resolve(folder):
            return ma.Workspace.open(folder / "alice").resolve(folder / "out", threads=1, block=16)

        monkeypatch.setattr(leftovers, "STARTING_SECONDS", 0)  # nobody else is at work here
        outcomes = set()
        for moment, folder in kill_points(place, resolve, root / "scratch"):
            workspace = ma.Workspace.open(folder / "alice")
            attested = workspace.state.attestations(workspace.merge_id)
            assert attested <= {expected.model_root}, moment
            whole = (folder / "out").exists()
            outcomes.add((whole, bool(attested)))
            if whole:
                assert ma.verify(folder / "out", workspace.path).ok, moment
                assert names_in(folder / "out") - {MARK} == names_in(root / "expected"), moment
                with pytest.raises(ma.MergeAlgebraError, match="exists and is not an empty folder"):
                    resolve(folder)
                again = workspace.resolve(folder / "again", threads=1)
            else:
                assert not attested, moment
                again = resolve(folder)
            assert again.model_root == expected.model_root, moment
            assert workspace.state.attestations(workspace.merge_id) == {expected.model_root}, moment
            for left in unfinished_models(workspace.path):
                left.remove()
            assert names_in(folder) <= {"alice", "out", "again"}, moment
        assert outcomes == {(False, False), (True, False), (True, True)}

    def test_init(self, root):
        """Dead before `local.json`, it is run again, and completes what is there."""

        def init(folder):
            return ma.Workspace.init(folder, base=root / "base", recipe=RECIPE)

        for moment, folder in kill_points(root / "new", init, root / "scratch"):
            if not (folder / "local.json").exists():
                if (folder / "genesis").exists():
                    with pytest.raises(ma.MergeAlgebraError, match="is a shared folder: name your workspace instead"):
                        ma.Workspace.open(folder).contribute(root / "ft0.safetensors")
                init(folder)
            workspace = ma.Workspace.open(folder)
            workspace.contribute(root / "ft0.safetensors", threads=1)
            assert len(workspace.visible()) == 1, moment


class Unwritten(Exception):
    """A model was made, and the result warns that the attest to it could not be written down."""


@pytest.mark.clause("SY-8", "CL-1")
class TestRefusedBySystem:
    """The same calls, each failing once with a full disk: one error, and the state before or after."""

    def test_contribute(self, root):
        alice = make_workspace(root, "alice", 0)
        before = visible_in(alice.path)

        def contribute(folder):
            return ma.Workspace.open(folder).contribute(root / "ft1.safetensors", threads=1)

        for moment, folder, error in fault_points(alice.path, contribute, root / "scratch"):
            if error is None:  # only the figures were refused, which nobody has to know
                assert len(visible_in(folder)) == 2, moment
            else:
                assert isinstance(error, ma.MergeAlgebraError), (moment, error)
                assert len(str(error).splitlines()) == 1
            assert visible_in(folder) >= before, moment
            assert names_in(folder / "tmp") == set(), moment
            no_parts_in(folder)
            contribute(folder)
            assert len(visible_in(folder)) == 2, moment

    def test_resolve(self, root):
        place = root / "place"
        place.mkdir()
        alice = ma.Workspace.init(place / "alice", base=root / "base", recipe=RECIPE)
        alice.contribute(root / "ft0.safetensors")
        shutil.rmtree(alice.path / "cache")  # where its figures are: of a new cache all calls are counted

        def resolve(folder):
            result = ma.Workspace.open(folder / "alice").resolve(folder / "out", threads=1)
            if any("could not be written down" in line for line in result.warnings):
                raise Unwritten

        # The first resolve of a process loads the kernels, and may write them: the calls are those of a later one.
        make_workspace(root, "loader", 0).resolve(root / "loaded", threads=1)
        unharmed = 0
        for moment, folder, error in fault_points(place, resolve, root / "scratch"):
            assert names_in(folder) <= {"alice", "out"}, moment
            workspace = ma.Workspace.open(folder / "alice")
            if isinstance(error, Unwritten):
                assert (folder / "out").exists(), moment
            elif error is None:  # only the cache was refused, which nobody has to know
                unharmed += 1
                kept = list((workspace.path / "cache").glob("thresholds/*"))
                assert not kept or "fsync" in moment or unharmed <= RECORD_CALLS, moment
                assert not list((workspace.path / "runs").glob("*")), moment
                assert workspace.state.attestations(workspace.merge_id), moment
            else:
                assert isinstance(error, ma.MergeAlgebraError), (moment, error)
                assert len(str(error).splitlines()) == 1
            no_parts_in(folder / "alice")
            if (folder / "out").exists():
                assert ma.verify(folder / "out").ok, moment
            else:
                assert error, moment
                resolve(folder)
        assert 0 < unharmed <= CACHE_CALLS


def test_the_test_notices_a_torn_write(root, monkeypatch):
    """If operations were written in place, a death halfway would be seen."""

    def write_in_place(entry, data):
        with entry.path.open("wb", buffering=0) as file:
            os.write(file.fileno(), data)

    monkeypatch.setattr(operation_store, "write_atomically", write_in_place)
    alice = make_workspace(root, "alice", 0)

    def contribute(folder):
        return ma.Workspace.open(folder).contribute(root / "ft1.safetensors", threads=1)

    with pytest.raises(ma.MergeAlgebraError, match="is damaged"):
        for _, folder in kill_points(alice.path, contribute, root / "scratch"):
            visible_in(folder)
