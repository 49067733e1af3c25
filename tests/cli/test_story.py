"""The command line as its users type it: a workspace from its first day to its last."""

from __future__ import annotations

import io
import json
import shutil
from contextlib import redirect_stderr

import numpy as np
import pytest
from safetensors.numpy import load_file

from mergealgebra import __version__
from mergealgebra.cli import VERBS
from mergealgebra.cli.progress import progress_bar
from mergealgebra.store.objects import Store
from tests.cli.commands import call, shell
from tests.cli.objects import typed
from tests.models import base, fine_tune, task_vector, write_file, write_folder, write_sharded

#: How a model is computed, which must never change what it is.
WAYS = {
    "one thread": "--threads 1",
    "many threads": "--threads 7",
    "tiny blocks": "--block 1 --threads 2",
    "odd blocks": "--block 7 --threads 3",
    "one block": "--block 1000000",
    "numpy": "--backend numpy",
    "torch": "--backend torch",
    "numba": "--backend numba",
    "numba, odd blocks": "--backend numba --block 5 --threads 2",
    "little memory": "--memory 8M --threads 3",
    "torch, odd blocks": "--backend torch --block 5 --threads 2",
}


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """Three replicas that saw the same contributions in three orders; what they printed is in `town.json`."""
    town = tmp_path_factory.mktemp("town")
    write_folder(town / "base", base("BF16"))
    write_file(town / "ft0.safetensors", fine_tune(0, "BF16"))
    write_sharded(town / "ft1", fine_tune(1, "F32"))
    write_folder(town / "ft2", fine_tune(2, "F16"))
    (town / "recipe.yaml").write_text('method: ties\ndensity: "0.50"  # of all elements\nlambda: 0.75\n')
    said = {}
    for line in (
        "-C alice init --base base --recipe recipe.yaml --name garden",
        "-C alice contribute ft0.safetensors --note first",
        "-C alice sync shared --create",
        "clone --yes shared bob --base base",
        "clone --yes alice carol --base base",
        "-C bob contribute ft1 --coefficient 0.50",
        "-C carol contribute ft2",
        "-C carol sync bob",
        "-C bob sync shared",
        "-C alice sync shared",
        "-C alice resolve alice-model",
        "-C bob resolve bob-model --backend numpy --threads 1 --block 3",
        "-C carol resolve carol-model --backend torch",
        "verify alice-model",
        "verify bob-model --against carol",
        "-C alice status",
        "-C bob status",
        "-C carol log",
    ):
        said[line] = typed(town, line)
    (town / "said.json").write_text(json.dumps(said))
    return town


@pytest.fixture(scope="module")
def said(town):
    """What each command of the town's story printed."""
    return json.loads((town / "said.json").read_text())


@pytest.mark.clause("MG-8", "LK-3", "OS-7", "SY-4", "CL-2")
def test_three_replicas_get_one_model(said, town):
    models = [found for line, found in said.items() if " resolve " in line]
    assert len({found["model_root"] for found in models}) == 1
    assert len({found["merge_id"] for found in models}) == 1
    assert [found["backend"] for found in models] == ["numba", "numpy", "torch"]
    files = [(town / f"{who}-model" / "model.safetensors").read_bytes() for who in ("alice", "bob", "carol")]
    assert files[0] == files[1] == files[2]
    locks = [json.loads((town / f"{who}-model" / "merge.lock").read_text()) for who in ("alice", "bob", "carol")]
    assert all({**lock, "backend": ""} == {**locks[0], "backend": ""} for lock in locks)


def _shared(status):
    """What a status says that all replicas say; each has measured its own contributions."""
    visible = [{**entry, "difference": None, "changed": None} for entry in status["visible"]]
    nbytes = {**status["bytes"], "operations": 0, "cache": 0}
    return {**status, "operations": 0, "bytes": nbytes, "visible": visible}


@pytest.mark.clause("OS-1", "OS-11", "CL-2", "EN-4")
def test_replicas_agree_on_what_they_are_before_a_tensor_moves(said):
    assert len({found["workspace"] for found in said.values() if "workspace" in found}) == 1
    alice, bob = said["-C alice status"], said["-C bob status"]
    assert _shared(alice) == _shared(bob)
    assert alice["default_recipe"] == {
        "method": "ties",
        "lambda": "0.75",
        "density": "0.5",
        "scope": "model",
        "boundary": "keep_all",
    }
    assert alice["merge_id"] == said["-C alice resolve alice-model"]["merge_id"]
    assert [entry["coefficient"] for entry in alice["visible"]].count("0.5") == 1
    assert all(entry["here"] for entry in alice["visible"])
    assert alice["warnings"] == []
    ids = [alice["workspace"], alice["base"], alice["merge_id"], *(e["contribution"] for e in alice["visible"])]
    assert all(len(id_) == 64 and set(id_) <= set("0123456789abcdef") for id_ in ids)
    assert ids[3:] == sorted(ids[3:])


@pytest.mark.clause("OS-3", "OS-4", "OS-12")
def test_the_log_tells_who_added_what(said):
    operations = said["-C carol log"]["operations"]
    assert sorted(entry["kind"] for entry in operations) == ["add", "add", "add", "attest"]
    notes = {entry["contribution"]: entry.get("note") for entry in operations if entry["kind"] == "add"}
    assert notes[said["-C alice contribute ft0.safetensors --note first"]["contribution"]] == "first"
    (attest,) = (entry for entry in operations if entry["kind"] == "attest")
    assert attest["model_root"] == said["verify alice-model"]["model_root"]


@pytest.mark.clause("LK-1", "LK-5", "LK-6")
def test_the_models_verify_and_stand_beside_the_files_of_the_base(said, town):
    assert said["verify alice-model"]["ok"] is True
    assert said["verify bob-model --against carol"]["ok"] is True
    assert {path.name for path in (town / "alice-model").iterdir()} == {
        "model.safetensors",
        "merge.lock",
        "README.md",
        "config.json",
        "tokenizer.json",
        "LICENSE",
    }
    assert {path.name for path in town.iterdir() if path.name.startswith(".")} == set()


@pytest.mark.clause("MG-8")
@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
def test_the_way_a_model_is_computed_never_changes_it(options, said, town, tmp_path):
    found = call(town, "-C", "alice", "resolve", tmp_path / "out", *options.split(), "--json").printed()
    assert found["model_root"] == said["-C alice resolve alice-model"]["model_root"]
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (
        town / "alice-model" / "model.safetensors"
    ).read_bytes()


@pytest.mark.clause("RC-7", "RC-8", "MG-10")
def test_a_one_shot_merge_of_the_same_models_is_the_same_merge(said, town):
    (town / "merge.yaml").write_text("""\
        method: ties
        density: 0.5
        lambda: "0.75"
        base: base
        models:
          - path: ft2
          - {path: ft1, coefficient: 0.5}
          - {path: ft0.safetensors, coefficient: "1.0"}
        """)
    once = typed(town, "merge merge.yaml once --threads 2")
    resolved = said["-C alice resolve alice-model"]
    assert once == {**resolved, "out": "once"}
    assert (town / "once" / "merge.lock").read_bytes() == (town / "alice-model" / "merge.lock").read_bytes()
    assert typed(town, "verify once --against bob")["ok"] is True


@pytest.mark.clause("OS-9", "OS-10", "SY-4", "CL-1", "CL-2")
def test_a_contribution_is_retracted_by_prefix_and_comes_back(scene):
    before = typed(scene, "-C alice status")
    gone = before["visible"][0]["contribution"]
    retracted = typed(scene, f"-C alice retract {gone[:8]} --note mistaken")
    assert retracted["retracted"] == [gone]
    assert retracted["merge_id"] != before["merge_id"]
    typed(scene, "-C alice sync shared")
    assert typed(scene, "-C bob sync shared")["merge_id"] != before["merge_id"]
    assert gone not in [entry["contribution"] for entry in typed(scene, "-C bob status")["visible"]]
    again = call(scene, *["-C", "alice", "contribute", "ft1.safetensors", "--coefficient", "0.5", "--json"])
    assert json.loads(again.stdout)["contribution"] == gone
    assert "took it back" in again.stderr
    assert typed(scene, "-C alice status")["merge_id"] == before["merge_id"]
    assert typed(scene, "-C alice resolve again")["merge_id"] == before["merge_id"]
    assert (scene / "again" / "model.safetensors").read_bytes() == (scene / "merged" / "model.safetensors").read_bytes()
    log = typed(scene, "-C alice log")["operations"]
    assert [entry["kind"] for entry in log if "contribution" in entry or "removes" in entry].count("remove") == 1
    assert [entry["note"] for entry in log if "note" in entry] == ["mistaken"]


@pytest.mark.clause("CT-7", "CT-8", "MG-2")
def test_a_contribution_may_hold_some_of_the_tensors_only(scene):
    call(scene, "-C", "part", "init", "--base", "base").lines()
    options = ["--take", "layer.*", "--take", "embed.*", "--leave", "*.bias"]
    made = call(scene, "-C", "part", "contribute", "ft0.safetensors", *options, "--json").printed()
    assert made["form"] == "finetuned"
    call(scene, "-C", "part", "resolve", "out").lines()
    merged, start, tuned = (
        load_file(scene / at) for at in ("out/model.safetensors", "base/model.safetensors", "ft0.safetensors")
    )
    for name, array in merged.items():
        taken = name in ("embed.weight", "layer.0.weight")
        np.testing.assert_array_equal(array, (tuned if taken else start)[name], name)
    (held,) = call(scene, "-C", "part", "status", "--json").printed()["visible"]
    assert held["elements"] == 16 * 4 + 3 * 4


@pytest.mark.clause("CT-8", "TV-8")
def test_a_resized_vocabulary_can_be_left_out(scene):
    write_file(scene / "grown.safetensors", {**fine_tune(2), "embed.weight": np.zeros((18, 4), np.float32)})
    assert "resized vocabulary" in call(scene, "-C", "alice", "contribute", "grown.safetensors").complaint()
    assert call(scene, "-C", "alice", "contribute", "grown.safetensors", "--leave", "embed.*").lines()
    assert call(scene, "-C", "alice", "resolve", "out").lines()


@pytest.mark.clause("CT-1", "TV-5", "MG-3")
def test_a_task_vector_is_contributed_as_it_is(scene):
    partial = {name: array for name, array in task_vector(2).items() if name != "embed.weight"}
    write_file(scene / "vector.safetensors", partial)
    call(scene, "-C", "vectors", "init", "--base", "base").lines()
    made = typed(scene, "-C vectors contribute vector.safetensors --task-vector --coefficient 2")
    assert made["form"] == "task_vector"
    call(scene, "-C", "vectors", "resolve", "out").lines()
    merged, start = load_file(scene / "out" / "model.safetensors"), base()
    for name, array in merged.items():
        np.testing.assert_array_equal(array, start[name] + partial.get(name, np.zeros_like(start[name])), name)


@pytest.mark.clause("RC-6", "TA-1")
def test_task_arithmetic_forgets_with_a_negative_coefficient(scene):
    (scene / "forget.yaml").write_text("""\
        method: task_arithmetic
        base: base
        models: [{path: ft0.safetensors}, {path: ft1.safetensors, coefficient: -2}]
        """)
    typed(scene, "merge forget.yaml out")
    merged = load_file(scene / "out" / "model.safetensors")
    for name, moved in task_vector(0).items():
        np.testing.assert_array_equal(merged[name], base()[name] + moved - 2 * task_vector(1)[name], name)
    (scene / "recipe.yaml").write_text("method: task_arithmetic\n")
    call(scene, "-C", "forget", "init", "--base", "base", "--recipe", "recipe.yaml").lines()
    call(scene, "-C", "forget", "contribute", "ft1.safetensors", "--coefficient", "-2").lines()
    call(scene, "-C", "forget", "contribute", "ft0.safetensors").lines()
    resolved = call(scene, "-C", "forget", "resolve", "out2", "--json").printed()
    assert resolved["model_root"] == typed(scene, "verify out")["model_root"]


@pytest.mark.clause("ME-1")
def test_the_mean_of_two_models_is_half_way_between_them(scene):
    (scene / "mean.yaml").write_text(
        "method: mean\nbase: base\nmodels: [path: ft0.safetensors, path: ft1.safetensors]\n"
    )
    call(scene, "merge", "mean.yaml", "out").lines()
    merged = load_file(scene / "out" / "model.safetensors")
    for name in task_vector(0):
        np.testing.assert_array_equal(merged[name], (fine_tune(0)[name] + fine_tune(1)[name]) / 2, name)


@pytest.mark.clause("OS-13")
def test_the_same_tensors_under_two_ids_are_a_warning(scene):
    assert call(scene, "-C", "alice", "contribute", "ft0.safetensors", "--coefficient", "3").code == 0
    (warning,) = call(scene, "-C", "alice", "status", "--json").printed()["warnings"]
    assert "hold the same tensors" in warning
    outcome = call(scene, "-C", "alice", "status")
    assert (outcome.code, outcome.stderr) == (0, f"warning: {warning}\n")


@pytest.mark.clause("SY-5")
def test_a_blob_that_was_lost_is_a_warning_and_comes_back_with_the_next_sync(scene):
    blob = next((scene / "alice" / "blobs").iterdir())
    blob.unlink()
    status = call(scene, "-C", "alice", "status", "--json").printed()
    assert [entry["here"] for entry in status["visible"]].count(False) == 1
    assert "not here" in status["warnings"][0]
    moved = call(scene, "-C", "alice", "sync", "shared", "--json").printed()
    assert moved["taken_blobs"] == [blob.name.removesuffix(".safetensors")]
    assert call(scene, "-C", "alice", "resolve", "out").lines()


@pytest.mark.clause("SY-1")
def test_files_that_do_not_belong_are_ignored_and_named(scene):
    (scene / "shared" / "operations" / ".nfs0001").write_bytes(b"?")
    (scene / "shared" / "blobs" / "thesis.safetensors").write_bytes(b"?")
    moved = call(scene, "-C", "alice", "sync", "shared", "--json").printed()
    assert moved["ignored"] == ["blobs/thesis.safetensors", "operations/.nfs0001"]


@pytest.mark.clause("OS-7", "SY-4")
def test_syncing_again_moves_nothing(scene):
    call(scene, "-C", "alice", "sync", "shared").lines()
    moved = call(scene, "-C", "alice", "sync", "shared", "--json").printed()
    assert [ids for key, ids in moved.items() if key != "merge_id"] == [[]] * 8


@pytest.mark.clause("OS-12")
def test_a_machine_that_computes_another_model_is_found_out(scene):
    store = Store.open(scene / "alice")
    state = store.state()
    (attest,) = state.attest(state.merge_id, "0" * 64).operations
    store.write_operation(attest)
    (warning,) = call(scene, "-C", "alice", "status", "--json").printed()["warnings"]
    assert "2 unsigned roots differ" in warning
    assert "0" * 64 in warning
    outcome = call(scene, "-C", "alice", "resolve", "out", "--json")
    assert outcome.code == 0
    assert outcome.stderr == f"warning: {warning}\n"


@pytest.mark.clause("CL-1")
def test_lines_for_people_name_what_happened(scene):
    made = call(scene, "-C", "other", "log", "--json").printed()["operations"][0]["contribution"]
    for line, first in {
        "-C new init --base base": "workspace",
        "-C new contribute ft0.safetensors": "contribution",
        "-C new status": "workspace",
        "-C new sync exchange --create": "received",
        "clone --yes exchange new2 --base base": "workspace",
        "-C new2 sync new": "received",
        "-C new resolve out": "model",
        "verify out": "out is the model",
        "merge merge.yaml out2": "model",
        f"-C new retract {made[:4]}": "retracted",
    }.items():
        lines = call(scene, *line.split()).lines()
        assert lines[0].startswith(f"{first} "), line
    log = call(scene, "-C", "new", "log").lines()
    assert [verb for line in log for verb in ("contribute", "retract", "resolve") if f" {verb} " in line] == [
        "contribute",
        "retract",
        "resolve",
    ]


@pytest.mark.clause("CL-1")
def test_the_workspace_is_the_folder_one_stands_in(scene):
    assert call(scene / "alice", "status").lines() == call(scene, "-C", "alice", "status").lines()


@pytest.mark.clause("CL-1", "CL-2")
def test_paths_and_notes_may_have_any_characters(scene):
    shutil.copytree(scene / "base", scene / "bäse 基")
    for line in (
        ["-C", "wörk späce", "init", "--base", "bäse 基", "--name", "gärten 🌱"],
        ["-C", "wörk späce", "contribute", "ft0.safetensors", "--note", "für 🌱\n\x1b[31mred"],
        ["-C", "wörk späce", "resolve", "aus gang"],
    ):
        shell(scene, *line).lines()
    assert shell(scene, "-C", "wörk späce", "status", "--json").printed()["name"] == "gärten 🌱"
    (line,) = [line for line in shell(scene, "-C", "wörk späce", "log").lines() if "contribute" in line]
    assert r"für 🌱\n\x1b[31mred" in line


@pytest.mark.clause("CL-1", "CL-2")
def test_a_path_that_is_no_text_is_a_path_all_the_same(scene):
    odd = "b\udcffse"  # the byte FF, as Python holds it
    try:
        shutil.copytree(scene / "base", scene / odd)
    except (OSError, UnicodeEncodeError) as error:
        pytest.skip(f"this file system has no such names: {error}")
    call(scene, "-C", "new", "init", "--base", odd).lines()
    call(scene, "-C", "new", "contribute", "ft0.safetensors").lines()
    assert call(scene, "-C", "new", "resolve", f"{odd}1", "--json").printed()["out"] == f"{odd}1"
    assert call(scene, "-C", "new", "resolve", f"{odd}2").lines()[0].endswith(r"'b\udcffse2'")


@pytest.mark.clause("CL-1")
def test_help_and_version(tmp_path):
    assert shell(tmp_path, "--version").lines() == [f"mergealgebra {__version__}"]
    text = "\n".join(shell(tmp_path, "--help").lines())
    for verb, line in VERBS.items():
        assert verb in text
        assert line in text
        assert call(tmp_path, verb, "-h").lines()[0].startswith("Usage: mergealgebra")


@pytest.mark.clause("CL-4")
def test_progress_is_drawn_on_a_terminal_only(scene, monkeypatch):
    assert call(scene, "-C", "alice", "resolve", "out").stderr == ""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    with redirect_stderr(terminal), progress_bar() as show:
        for done in range(4):
            show("thresholds", done, 3)
            show("merge", done, 6)
    last = terminal.getvalue().split("thresholds")[-1]
    assert "100%" in last
    assert "merge" in last
    assert " 50%" in last
