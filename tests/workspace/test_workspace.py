"""A workspace as a program uses it: the calls of the public API, and what they leave behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra import publication as module
from mergealgebra.crdt.operations import Add, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import (
    BlobDamaged,
    BlobMissing,
    CheckpointError,
    CoefficientError,
    NothingVisible,
    OperationError,
    OutputError,
    UnknownContribution,
    WorkspaceError,
    WrongWorkspace,
)
from mergealgebra.store.objects import Store
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.cli.commands import call
from tests.engine.scenes import names_in, tensors_of
from tests.models import base, fine_tune, with_value, write_file, write_sharded
from tests.workspace.replicas import RECIPE, make_workspace


class TestApi:
    """The ten lines that a user writes."""

    @pytest.mark.clause("OS-1", "OS-11", "SY-4", "LK-3", "LK-6")
    def test_two_replicas_compute_one_model(self, root):
        alice = ma.Workspace.init(root / "alice", base=root / "base", recipe=ma.Ties(density="0.2"), name="team")
        first = alice.contribute(root / "ft0.safetensors", note="the first")
        assert isinstance(first, ma.ContributionId)
        assert isinstance(first, str)
        assert re.fullmatch("[0-9a-f]{64}", first)
        assert first.operation in alice.state.by_id()
        result = alice.sync(root / "exchange", create=True)
        assert result.given_operations == (first.operation,)

        bob = ma.Workspace.clone(root / "exchange", root / "bob", base=root / "base")
        second = bob.contribute(root / "ft1.safetensors", "0.5")
        bob.sync(root / "exchange")
        alice.sync(root / "exchange")
        assert alice.merge_id == bob.merge_id
        assert set(alice.visible()) == set(bob.visible()) == {first, second}
        assert list(alice.visible()) == sorted(alice.visible())
        assert isinstance(alice.state, ORSet)
        assert alice.state == bob.state

        ours, theirs = alice.resolve(root / "ours", threads=1), bob.resolve(root / "theirs", backend="torch", block=5)
        assert isinstance(ours, ma.MergeResult)
        assert ours.out == root / "ours"
        assert (
            (ours.merge_id, ours.model_root)
            == (theirs.merge_id, theirs.model_root)
            == (alice.merge_id, ours.model_root)
        )
        assert (ours.backend, theirs.backend) == ("numba", "torch")
        for against in (None, alice.path, str(bob.path)):
            verified = ma.verify(root / "theirs", against)
            assert isinstance(verified, ma.Verification)
            assert (verified.ok, verified.problem, verified.model_root) == (True, "", ours.model_root)

    @pytest.mark.clause("OS-1")
    def test_equal_arguments_make_one_workspace_anywhere(self, root, tmp_path_factory):
        elsewhere = write_sharded(tmp_path_factory.mktemp("x") / "base", base())
        ids = [
            ma.Workspace.init(root / str(i), base=path, recipe=RECIPE, name="n").store.genesis.workspace_id
            for i, path in enumerate((root / "base", elsewhere, str(elsewhere)))
        ]
        assert len(set(ids)) == 1
        other = ma.Workspace.init(root / "other", base=root / "base", recipe=RECIPE, name="m")
        assert other.store.genesis.workspace_id != ids[0]

    @pytest.mark.clause("OS-9", "OS-10")
    def test_retract_and_contribute_again(self, root, alice):
        gone = alice.contribute(root / "ft2.safetensors")
        three = alice.merge_id
        assert alice.retract(gone[:8]) == gone
        assert gone not in alice.visible()
        assert alice.merge_id != three
        again = alice.contribute(root / "ft2.safetensors")
        assert again == gone
        assert again.operation != gone.operation
        assert alice.merge_id == three

    @pytest.mark.clause("OS-9", "OS-10")
    def test_what_was_contributed_twice_counts_once_and_goes_at_once(self, root, alice):
        merge_id, before = alice.merge_id, len(alice.state.operations)
        alice.contribute(root / "ft0.safetensors")
        assert (alice.merge_id, len(alice.state.operations)) == (merge_id, before + 1)
        alice.retract(alice.contribute(root / "ft0.safetensors"))
        assert len(alice.visible()) == 1

    @pytest.mark.parametrize("prefix", ["", "abc", " ", "..", "zzzz", "0" * 64, "f" * 65, "****", "[0-9a-f]*"])
    def test_retract_needs_the_beginning_of_one_id(self, alice, prefix):
        before = alice.state
        complaint = "is too short; give 4 digits" if len(prefix) < 4 else "no visible contribution begins with"
        with pytest.raises(UnknownContribution, match=complaint):
            alice.retract(prefix)
        assert alice.state == before

    def test_retract_refuses_a_prefix_of_several(self, root, alice, monkeypatch):
        monkeypatch.setattr("mergealgebra.ids.LEAST", 1)
        for number in range(16):  # seventeen ids: two of them begin alike
            changed = with_value(fine_tune(0), "norm.scale", (), number + 50)
            alice.contribute(write_file(root / "x.safetensors", changed))
        firsts = [id_[0] for id_ in alice.visible()]
        shared = next(digit for digit in firsts if firsts.count(digit) > 1)
        with pytest.raises(UnknownContribution, match=f"{firsts.count(shared)} visible contributions begin with"):
            alice.retract(shared)
        longest = min(alice.visible())
        assert alice.retract(longest[:63].upper()) == longest

    def test_log_has_everything_in_order_of_time(self, root, alice):
        alice.retract(min(alice.visible()), note="a mistake")
        alice.resolve(root / "out")
        log = alice.log()
        assert {operation.id for operation in log} == set(alice.state.by_id())
        assert log[-1].kind == "attest"  # it has no time
        times = [operation.time for operation in log[:-1]]
        assert times == sorted(times)
        assert [operation.note for operation in log if operation.kind == "remove"] == ["a mistake"]

    def test_open_needs_a_workspace(self, root):
        complaints = {
            root: f"{root} is not a workspace, it has no file `genesis`: check the path, or init or clone one there",
            root / "nowhere": f"there is no folder {root}/nowhere: check the path",
            root / "ft0.safetensors": "ft0.safetensors is not a folder, so not a workspace",
        }
        for path, complaint in complaints.items():
            with pytest.raises(WorkspaceError, match=complaint):
                ma.Workspace.open(path)

    def test_init_and_clone_need_a_new_folder(self, root, alice):
        before = alice.state
        with pytest.raises(WorkspaceError, match="is a workspace already"):
            ma.Workspace.init(alice.path, base=root / "base", recipe=RECIPE)
        with pytest.raises(WorkspaceError, match="is a workspace already"):
            ma.Workspace.clone(alice.path, alice.path, base=root / "base")
        with pytest.raises(WorkspaceError, match="something other than a workspace"):
            ma.Workspace.init(root, base=root / "base", recipe=RECIPE)
        assert ma.Workspace.open(alice.path).state == before

    @pytest.mark.clause("SY-1")
    def test_init_and_clone_complete_a_store_without_local_json(self, root, alice):
        """Whether the making of it was interrupted, or it is an exchange folder that becomes a workspace."""
        alice.sync(root / "exchange", create=True)
        (alice.path / "local.json").unlink()
        ma.Workspace.init(alice.path, base=root / "base", recipe=RECIPE).resolve(root / "one")
        ma.Workspace.clone(alice.path, root / "exchange", base=root / "base").resolve(root / "two")
        assert len(ma.Workspace.open(root / "exchange").visible()) == 2

    @pytest.mark.clause("OS-7")
    def test_init_and_clone_complete_no_store_of_another_workspace(self, root, alice):
        (alice.path / "local.json").unlink()
        other = ma.Workspace.init(root / "other", base=root / "base", recipe=RECIPE, name="other")
        with pytest.raises(WrongWorkspace, match="alice holds workspace"):
            ma.Workspace.init(alice.path, base=root / "base", recipe=RECIPE, name="other")
        with pytest.raises(WrongWorkspace, match="alice holds workspace"):
            ma.Workspace.clone(other.path, alice.path, base=root / "base")
        assert not (alice.path / "local.json").exists()

    def test_an_unknown_form_is_refused_before_anything_is_read(self, root, alice):
        shutil.rmtree(root / "base")
        with pytest.raises(
            OperationError, match=r"'delta' is not a form .*; choose finetuned, low_rank or task_vector"
        ):
            alice.contribute(root / "nowhere", form="delta")

    @pytest.mark.parametrize("changed", ["base/model.safetensors", "ft2.safetensors"])
    def test_what_changed_while_it_was_contributed_is_refused(self, root, alice, monkeypatch, changed):
        """Even when it did so after its last byte was read; no blob is left."""
        real, before = module.write_blob, names_in(alice.path / "blobs")

        def write(source, names, sink, progress):
            left = [name for name in names if source.records[name].size] + ["the header"]

            def change(data):
                sink(data)
                left.pop()
                if not left:
                    os.truncate(root / changed, 1)

            return real(source, names, change, progress)

        monkeypatch.setattr(module, "write_blob", write)
        with pytest.raises(CheckpointError, match=f"{changed} changed while it was read"):
            alice.contribute(root / "ft2.safetensors")
        assert names_in(alice.path / "blobs") == before
        assert len(alice.visible()) == 2

    @pytest.mark.clause("OS-1", "EN-8")
    def test_a_base_that_changes_while_it_is_read_names_no_workspace(self, root, monkeypatch):
        """Its root would be that of no file that ever was: half of the one, half of the other."""
        real, hashed = Checkpoint.tensor_root, []

        def tensor_root(checkpoint, name):
            found = real(checkpoint, name)
            hashed.append(name)
            if len(hashed) == 1:
                with (root / "base" / "model.safetensors").open("r+b") as file:
                    file.seek(-1, os.SEEK_END)
                    file.write(b"\x7f")
                os.utime(root / "base" / "model.safetensors", ns=(1, 1))
            return found

        monkeypatch.setattr(Checkpoint, "tensor_root", tensor_root)
        with pytest.raises(CheckpointError, match=r"model\.safetensors changed while it was read; run it again"):
            ma.Workspace.init(root / "new", base=root / "base", recipe=RECIPE)
        assert len(hashed) > 1
        assert not (root / "new").exists()

    def test_status_reads_the_operations_once(self, root, alice, monkeypatch):
        alice.store.write_operation(*alice.state.attest(alice.merge_id, "0" * 64).operations)
        alice.resolve(root / "out")
        read, real = [], Store.read_operation
        monkeypatch.setattr(Store, "read_operation", lambda store, name: (read.append(name), real(store, name))[1])
        assert "2 unsigned roots differ" in call(root, "-C", "alice", "status").stderr
        assert sorted(read) == list(alice.store.operation_ids())

    @pytest.mark.clause("MG-11")
    def test_nothing_visible_is_nothing_to_merge(self, root, alice):
        for id_ in alice.visible():
            alice.retract(id_)
        with pytest.raises(NothingVisible, match="contribute one, or sync"):
            alice.resolve(root / "out")
        assert not (root / "out").exists()

    def test_an_occupied_out_is_refused_before_anything_is_read(self, root, alice):
        (root / "out").write_bytes(b"")
        shutil.rmtree(root / "base")
        (root / "base").mkdir()
        with pytest.raises(OutputError, match="exists"):
            alice.resolve(root / "out")

    @pytest.mark.clause("RC-4", "OS-1")
    def test_a_genesis_with_a_recipe_that_is_not_in_full_is_refused(self, root, alice):
        """Its merge ids would differ from those of everyone who fills the defaults in."""
        genesis = replace(alice.store.genesis, recipe={"method": "ties"})
        (alice.path / "genesis").write_bytes(genesis.encode())
        (alice.path / "local.json").write_text(json.dumps({"base": str(root / "base")}))
        with pytest.raises(ma.MergeAlgebraError, match="recipe"):
            ma.Workspace.open(alice.path)
        with pytest.raises(ma.MergeAlgebraError, match="recipe"):
            ma.Workspace.clone(alice.path, root / "clone", base=root / "base")
        assert not (root / "clone").exists()


_CONTRIBUTE_FIFTY = """
import sys
from pathlib import Path
import numpy as np
import mergealgebra as ma
from tests.models import fine_tune, with_value, write_file

folder, first = Path(sys.argv[1]), int(sys.argv[2])
for number in range(first, first + 50):
    tensors = with_value(fine_tune(0), "norm.scale", (), 1000 + number)
    path = write_file(folder / f"{number}.safetensors", tensors)
    print(ma.Workspace.open(folder / "alice").contribute(path, threads=1), flush=True)
"""


@pytest.mark.clause("SY-2", "OS-7")
def test_two_processes_contribute_to_one_workspace_at_once(root):
    """Fifty each, without locks: all hundred are visible, and nothing is left under `tmp`."""
    alice = make_workspace(root, "alice")
    repository = Path(__file__).parent.parent.parent
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _CONTRIBUTE_FIFTY, str(root), str(first)], stdout=subprocess.PIPE, cwd=repository
        )
        for first in (0, 50)
    ]
    printed = [process.communicate(timeout=120)[0].decode().split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert list(map(len, printed)) == [50, 50]
    assert set(alice.visible()) == {*printed[0], *printed[1]}
    assert len(alice.visible()) == 100
    assert names_in(alice.path / "tmp") == set()
    assert alice.resolve(root / "out", threads=1).lock.contributions[99].elements == 81


@pytest.mark.clause("OS-12")
class TestAttestations:
    def test_resolve_attests_once(self, root, alice):
        assert alice.state.attestations(alice.merge_id) == frozenset()
        result = alice.resolve(root / "one")
        operations = alice.state.operations
        alice.resolve(root / "two", backend="torch")
        assert alice.state.operations == operations
        assert alice.state.attestations(alice.merge_id) == {result.model_root}
        assert alice.state.disagreements() == frozenset()

    def test_replicas_that_agree_attest_with_one_operation(self, root, alice):
        alice.resolve(root / "one")
        bob = ma.Workspace.clone(alice.path, root / "bob", base=root / "base")
        before = bob.state.operations
        bob.resolve(root / "two")
        assert bob.state.operations == before

    def test_that_differ_are_told_by_status_and_resolve(self, root, alice):
        result = alice.resolve(root / "one")
        alice.store.write_operation(*alice.state.attest(alice.merge_id, "0" * 64).operations)
        assert alice.state.disagreements() == {"0" * 64, result.model_root}
        merge_id = alice.merge_id
        status = call(root, "-C", "alice", "status", "--json").printed()
        assert any("2 unsigned roots differ" in warning and "0" * 64 in warning for warning in status["warnings"])
        resolved = call(root, "-C", "alice", "resolve", "two")
        assert resolved.code == 0
        assert "warning: 2 unsigned roots differ for this merge id" in resolved.stderr
        assert alice.merge_id == merge_id

    def test_for_other_merge_ids_are_no_disagreement(self, alice):
        alice.store.write_operation(*alice.state.attest("1" * 64, "2" * 64).operations)
        alice.store.write_operation(*alice.state.attest("1" * 64, "3" * 64).operations)
        assert alice.state.disagreements() == frozenset()
        assert alice.state.attestations("1" * 64) == {"2" * 64, "3" * 64}


@pytest.mark.clause("OS-13")
def test_one_tensors_root_in_two_contributions_is_a_warning(root, alice):
    second = alice.contribute(root / "ft0.safetensors", "0.5")
    first = next(
        id_ for id_, m in alice.visible().items() if m.tensors == alice.visible()[second].tensors and id_ != second
    )
    warnings = call(root, "-C", "alice", "status", "--json").printed()["warnings"]
    both = f"contributions {min(first, second)[:12]} and {max(first, second)[:12]} hold the same tensors"
    assert [warning.split(";")[0] for warning in warnings] == [both]
    shown = call(root, "-C", "alice", "status")
    assert "hold the same tensors" in shown.stderr
    assert len(list((alice.path / "blobs").iterdir())) == 2  # one blob serves both
    alice.retract(second)
    assert call(root, "-C", "alice", "status", "--json").printed()["warnings"] == []


@pytest.mark.clause("SY-5", "SY-6", "SY-3")
class TestBlobs:
    """What is visible and not here, or not sound, stops `resolve` and is named; nothing is skipped."""

    def test_missing(self, root, alice):
        id_, manifest = min(alice.visible().items())
        alice.sync(root / "exchange", create=True)
        alice.store.blob_path(manifest.tensors).unlink()
        with pytest.raises(BlobMissing, match=f"contribution {id_[:12]}: its tensors {manifest.tensors} are not here"):
            alice.resolve(root / "out")
        assert not (root / "out").exists()
        status = call(root, "-C", "alice", "status", "--json").printed()
        assert [entry["here"] for entry in status["visible"]] == [False, True]
        (warning,) = status["warnings"]
        assert warning.startswith(f"contribution {id_[:12]}: its tensors are not here, so nothing can be merged: sync")
        alice.sync(root / "exchange")
        assert alice.resolve(root / "out").lock.contributions[0].id == id_

    def test_damaged(self, root, alice):
        id_, manifest = min(alice.visible().items())
        path = alice.store.blob_path(manifest.tensors)
        alice.sync(root / "exchange", create=True)
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(BlobDamaged, match=f"contribution {id_[:12]}: {path}"):
            alice.resolve(root / "out")
        path.unlink()
        alice.sync(root / "exchange")
        assert path.read_bytes() == good

    def test_with_another_header(self, root, alice):
        """The same tensors, but not the one file that its name promises [CT-6]."""
        manifest = min(alice.visible().items())[1]
        path = alice.store.blob_path(manifest.tensors)
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        path.write_bytes((length + 8).to_bytes(8, "little") + data[8 : 8 + length] + b" " * 8 + data[8 + length :])
        with pytest.raises(BlobDamaged, match="not the canonical one"):
            alice.resolve(root / "out")

    def test_of_retracted_contributions_are_not_needed(self, root, alice):
        id_, manifest = min(alice.visible().items())
        alice.store.blob_path(manifest.tensors).unlink()
        alice.retract(id_)
        assert len(alice.resolve(root / "out").lock.contributions) == 1


@pytest.mark.clause("RC-6", "SY-6")
def test_a_coefficient_that_the_recipe_cannot_use_stops_resolve(root, alice):
    """Nothing stops a stranger from publishing it; it is named, and never skipped."""
    manifest = replace(min(alice.visible().items())[1], coefficient="bf800000")
    alice.store.write_operation(*alice.state.add(manifest).operations)
    with pytest.raises(CoefficientError, match=f"contribution {manifest.id[:12]}: coefficient -1.0 is negative"):
        alice.resolve(root / "out")
    alice.retract(manifest.id)
    alice.resolve(root / "out")


@pytest.mark.clause("OS-8")
def test_an_add_for_another_base_never_counts(root, alice):
    manifest = replace(min(alice.visible().items())[1], base="0" * 64)
    alice.store.write_operation(Operation(alice.store.genesis.workspace_id, Add(manifest, bytes(16))))
    assert manifest.id not in alice.visible()
    assert len(alice.resolve(root / "out").lock.contributions) == 2


def test_a_contribution_is_what_was_read_not_what_the_file_became(root, alice):
    """The blob and its id agree, though the checkpoint is written over right after."""
    made = alice.contribute(root / "ft2.safetensors")
    write_file(root / "ft2.safetensors", fine_tune(7))
    alice.store.check_blob(alice.visible()[made].tensors)
    with_third = alice.resolve(root / "out").model_root
    alice.retract(made)
    assert alice.contribute(root / "ft2.safetensors") != made
    assert alice.resolve(root / "other").model_root != with_third


def test_merging_by_hand_gives_the_same(root, alice):
    """`resolve` against `merge` on arrays in memory."""
    alice.resolve(root / "out")
    start = {name: array for name, array in base().items() if array.dtype.kind == "f"}
    taus = [ma.TaskVector.between(root / "base", root / f"ft{number}.safetensors") for number in (0, 1)]
    for name, array in ma.merge(start, taus, RECIPE).items():
        assert array.tobytes() == tensors_of(root / "out")[name].tobytes(), name
    assert np.array_equal(tensors_of(root / "out")["positions"], base()["positions"])
