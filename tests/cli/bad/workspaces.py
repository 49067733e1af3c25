"""Workspaces and exchange folders in which something is damaged, missing, or not theirs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.store.objects import Store
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.cli.bad.case import Case, Step
from tests.cli.commands import call
from tests.cli.scene import blobs, flip, operations, truncate
from tests.models import fine_tune, with_value, write_file

Spoil = Callable[[Path], object]


def _first_blob(scene: Path, workspace: str = "alice") -> Path:
    return blobs(scene, workspace)[0]


def _first_operation(scene: Path, workspace: str = "alice") -> Path:
    return operations(scene, workspace)[0]


def _blob(spoil: Spoil) -> Step:
    return lambda scene: spoil(_first_blob(scene))


def _operation(spoil: Spoil) -> Step:
    return lambda scene: spoil(_first_operation(scene))


def _remake(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _recipe(entries: dict[str, str]) -> Step:
    def change(scene: Path) -> None:
        genesis = Genesis("0" * 64, "garden", entries)
        (scene / "alice" / "genesis").write_bytes(genesis.encode())
        for operation in (scene / "alice" / "operations").iterdir():
            operation.unlink()
        (scene / "alice" / "local.json").write_text(json.dumps({"base": str(scene / "base")}))

    return change


def _local(text: str) -> Step:
    return lambda scene: (scene / "alice" / "local.json").write_text(text)


def _say_in_local(scene: Path, **more: object) -> None:
    path = scene / "alice" / "local.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | more))


def _empty_workspace(scene: Path) -> None:
    call(scene, "-C", "new", "init", "--base", "base").lines()


def _other_base(scene: Path) -> None:
    write_file(scene / "base" / "model.safetensors", fine_tune(0))


def _named(find: Callable[[Path], Path]) -> Callable[[Path], Mapping[str, str]]:
    return lambda scene: {"file": str(find(scene).relative_to(scene))}


# Blobs and operations that a peer offers


def _offer(scene: Path) -> list[Path]:
    """Let bob publish two contributions that alice lacks; returns their blobs in the exchange folder."""
    call(scene, "-C", "bob", "contribute", write_file(scene / "ft3.safetensors", fine_tune(3))).lines()
    call(scene, "-C", "bob", "sync", "shared").lines()
    ours = {path.name for path in blobs(scene, "alice")}
    return [path for path in blobs(scene, "shared") if path.name not in ours]


def _damaged_offer(spoil: Spoil) -> Step:
    return lambda scene: spoil(_offer(scene)[0])


def _offered(scene: Path) -> Mapping[str, str]:
    ours = {path.name for path in blobs(scene, "alice")}
    (first, *_) = [path for path in blobs(scene, "shared") if path.name not in ours]
    return {"file": str(first.relative_to(scene))}


def _only_the_good_one_came(scene: Path) -> None:
    status = call(scene, "-C", "alice", "status", "--json").printed()
    assert [entry["here"] for entry in status["visible"]].count(False) == 1
    assert len(status["visible"]) == 4
    assert len(blobs(scene, "alice")) == 3


def _foreign_operation(scene: Path) -> None:
    shutil.copy(_first_operation(scene, "others"), scene / "shared" / "operations")


def _foreign_to_alice(scene: Path) -> list[str]:
    """The operations in the exchange folder that alice lacks."""
    ours = {path.name for path in operations(scene, "alice")}
    return [path.name for path in operations(scene, "shared") if path.name not in ours]


def _damaged_operation_offer(scene: Path) -> None:
    _offer(scene)
    flip(scene / "shared" / "operations" / _foreign_to_alice(scene)[0], 5)


def _alice_gave_her_attest(scene: Path) -> None:
    ours = {path.name for path in operations(scene, "alice")}
    assert ours <= {path.name for path in operations(scene, "shared")}


def _repeated_prefix(scene: Path) -> None:
    """Publish two contributions whose ids begin with the same four digits."""
    store = Store.open(scene / "alice")
    state = store.state()
    some = next(iter(state.visible().values()))
    found: dict[str, Manifest] = {}
    for bits in range(0x3F800001, 0x40000000):
        manifest = replace(some, coefficient=f"{bits:08x}")
        twin = found.setdefault(manifest.id[:4], manifest)
        if twin != manifest:
            break
    for made in (manifest, twin):
        store.write_operation(*state.add(made).operations)


def _prefix(scene: Path) -> Mapping[str, str]:
    visible = call(scene, "-C", "alice", "status", "--json").printed()["visible"]
    firsts = [entry["contribution"][:4] for entry in visible]
    return {"prefix": next(first for first in firsts if firsts.count(first) > 1)}


def _retracted(scene: Path) -> None:
    for entry in call(scene, "-C", "alice", "status", "--json").printed()["visible"]:
        call(scene, "-C", "alice", "retract", entry["contribution"]).lines()


def _lock(change: Callable[[dict[str, object]], object]) -> Step:
    """Change the content of the merged model's lock."""

    def arrange(scene: Path) -> None:
        path = scene / "merged" / "merge.lock"
        lock = json.loads(path.read_text())
        change(lock)
        path.write_text(json.dumps(lock))

    return arrange


def _lock_text(text: str) -> Step:
    return lambda scene: (scene / "merged" / "merge.lock").write_text(text)


def _model(change: Callable[[dict[str, object]], object]) -> Step:
    """Merge one model, then write it again as `change` would have it."""
    return lambda scene: write_file(scene / "merged" / "model.safetensors", change(_merged(scene)))


def _merged(scene: Path) -> dict[str, object]:
    from safetensors.numpy import load_file

    return load_file(scene / "merged" / "model.safetensors")


def _forged(scene: Path) -> None:
    """A model whose lock agrees with itself, and which nobody computed."""
    call(scene, "merge", "merge.yaml", "forged").lines()
    write_file(scene / "forged" / "model.safetensors", with_value(_merged(scene), "layer.0.bias", (1,), 77))
    lock = json.loads((scene / "forged" / "merge.lock").read_text())
    with Checkpoint.open(scene / "forged") as model:
        lock["tensors"]["layer.0.bias"]["root"] = model.tensor_root("layer.0.bias")
        lock["model_root"] = model.root()
    (scene / "forged" / "merge.lock").write_text(json.dumps(lock))


RESOLVE = "-C alice resolve out"
SYNC = "-C alice sync shared"

OWN_STORE = {
    "a truncated blob here": Case(
        RESOLVE,
        ("alice/blobs/", "contribution", "delete the file and sync again"),
        _blob(truncate),
        ("SY-3", "SY-6"),
        _named(_first_blob),
    ),
    "a flipped bit in a blob here": Case(
        RESOLVE,
        ("root", "expected", "delete the file and sync again"),
        _blob(lambda path: flip(path, -1)),
        ("SY-6",),
        _named(_first_blob),
    ),
    "a flipped bit in the header of a blob here": Case(
        RESOLVE, ("contribution", "delete the file"), _blob(lambda path: flip(path, 20)), ("SY-6",), _named(_first_blob)
    ),
    "another sound file in a blob's place": Case(
        RESOLVE,
        ("root", "expected"),
        lambda scene: shutil.copy(*reversed(blobs(scene, "alice"))),
        ("SY-6",),
        _named(_first_blob),
    ),
    "an empty blob here": Case(
        RESOLVE, ("0 bytes",), _blob(lambda path: path.write_bytes(b"")), ("SY-6",), _named(_first_blob)
    ),
    "a folder in a blob's place": Case(RESOLVE, ("alice/blobs/",), _blob(_remake), ("SY-6",)),
    "a missing blob": Case(
        RESOLVE,
        ("contribution", "not here", "sync with a peer"),
        _blob(Path.unlink),
        ("SY-5", "SY-6"),
        lambda scene: {
            "root": ({path.name for path in blobs(scene, "shared")} - {path.name for path in blobs(scene, "alice")})
            .pop()
            .removesuffix(".safetensors")
        },
    ),
    **{
        f"a damaged operation here, {verb.split()[0]}": Case(
            f"-C alice {verb}",
            ("is damaged", "delete it and sync again"),
            _operation(lambda path: flip(path, 30)),
            ("SY-3",),
            _named(_first_operation),
        )
        for verb in ("resolve out", "status", "log", "contribute ft2.safetensors", "retract cccc")
    },
    "an empty operation here": Case(
        RESOLVE, ("is damaged",), _operation(lambda path: path.write_bytes(b"")), ("SY-3",), _named(_first_operation)
    ),
    "a folder in an operation's place": Case(
        RESOLVE,
        ("it is a folder, not a file", "move it away"),
        _operation(_remake),
        ("SY-3",),
        _named(_first_operation),
    ),
    "an operation here under another's name": Case(
        RESOLVE,
        ("is damaged",),
        lambda scene: shutil.copy(*reversed(operations(scene, "alice")[:2])),
        ("SY-3",),
        _named(_first_operation),
    ),
    "an operation of another workspace here": Case(
        "-C alice status",
        ("refused", "workspace", "move it away"),
        lambda scene: shutil.copy(_first_operation(scene, "other"), scene / "alice" / "operations"),
        ("OS-6", "SY-3"),
        lambda scene: {"file": f"alice/operations/{_first_operation(scene, 'other').name}"},
    ),
    **{
        f"a damaged genesis, {verb.split()[0]}": Case(
            f"-C alice {verb}",
            ("alice/genesis", "damaged", "--repair PEER"),
            lambda scene: flip(scene / "alice" / "genesis", 3),
            ("SY-3",),
        )
        for verb in ("resolve out", "status", "sync shared")
    },
    "the genesis of another workspace": Case(
        "-C alice status",
        ("alice/genesis", "damaged", "alice/local.json", "--repair PEER"),
        lambda scene: shutil.copy(scene / "other" / "genesis", scene / "alice"),
        ("SY-3",),
    ),
    "an empty genesis": Case(
        "-C alice status",
        ("alice was a workspace", "fsck alice --repair PEER"),
        lambda scene: (scene / "alice" / "genesis").write_bytes(b""),
        ("SY-7",),
    ),
    "a missing genesis": Case(
        "-C alice status",
        ("alice was a workspace", "fsck alice --repair PEER"),
        lambda scene: (scene / "alice" / "genesis").unlink(),
        ("SY-1",),
    ),
    "a recipe that no method could have": Case(
        "-C alice status", ("alice", "'swirl'", "unknown"), _recipe({"method": "swirl", "Key": "1"}), ("RC-12",)
    ),
    "a recipe that this version does not know": Case(
        RESOLVE, ("'swirl'", "is not known", "pip install --upgrade"), _recipe({"method": "swirl"}), ("RC-12",)
    ),
    "no local.json": Case(
        RESOLVE,
        ("alice", "shared folder", "run its init or clone again"),
        lambda scene: (scene / "alice" / "local.json").unlink(),
        ("SY-1",),
    ),
    **{
        f"a local.json that holds {name}": Case(RESOLVE, ("alice/local.json", "where the base is"), _local(text))
        for name, text in {
            "nothing": "",
            "no JSON": "{",
            "a list": "[]",
            "no base": "{}",
            "a number": '{"base": 7}',
            "null": "null",
            "an empty path": '{"base": ""}',
            "a NUL": '{"base": "a\\u0000b"}',
        }.items()
    },
    "the base is gone": Case(
        RESOLVE,
        ("base is not there", "local.json", "set-base PATH"),
        lambda scene: shutil.rmtree(scene / "base"),
        ("SY-6",),
    ),
    "the base is gone, contribute": Case(
        "-C alice contribute ft2.safetensors",
        ("base is not there", "local.json"),
        lambda scene: shutil.rmtree(scene / "base"),
        ("SY-6",),
    ),
    "the base has changed": Case(RESOLVE, ("base", "is not the base", "expected"), _other_base, ("SY-6",)),
    "the base has changed, contribute": Case(
        "-C alice contribute ft2.safetensors", ("base", "is not the base", "expected"), _other_base, ("SY-6",)
    ),
    "a bit of the base has flipped": Case(
        RESOLVE, ("base", "is not the base"), lambda scene: flip(scene / "base" / "model.safetensors", -1), ("SY-6",)
    ),
    "nothing is visible": Case(
        "-C new resolve out", ("nothing to merge", "contribute one, or sync"), _empty_workspace, ("MG-11",)
    ),
    "all is retracted": Case(RESOLVE, ("nothing to merge",), _retracted, ("MG-11", "OS-9")),
}

NO_WORKSPACE = {
    f"no workspace, {verb.split()[0]}": Case(
        f"-C nowhere {verb}", ("there is no folder nowhere", "check the path"), clauses=("SY-1",)
    )
    for verb in ("contribute ft0.safetensors", "retract a", "log", "status", "sync shared", "resolve out")
}

MAKING = {
    "init over a workspace": Case("-C alice init --base base", ("alice", "workspace already", "another folder")),
    "init over an exchange folder": Case("-C shared init --base base", ("shared", "holds workspace")),
    "init in a folder of something else": Case(
        "-C base init --base base", ("base", "something other", "another folder")
    ),
    "init where a file is": Case("-C merge.yaml init --base base", ("merge.yaml",)),
    "init without a base": Case("-C new init --base nowhere", ("nowhere", "No such file")),
    "init on a truncated base": Case(
        "-C new init --base base",
        ("base/model.safetensors", "end"),
        lambda scene: truncate(scene / "base" / "model.safetensors"),
        ("EN-13",),
    ),
    "a name that is too long": Case(
        f"-C new init --base base --name {'n' * 257}", ("name", "257 bytes"), clauses=("OS-1",)
    ),
    "a name with a line break": Case(
        "-C new init --base base --name 'a\nb'", ("name", "control character"), clauses=("OS-1",)
    ),
    "clone with another base": Case(
        "clone --yes shared new --base ft0.safetensors",
        ("ft0.safetensors", "is not the base", "expected"),
        clauses=("SY-6",),
    ),
    "clone over a workspace": Case("clone --yes shared bob --base base", ("bob", "workspace already")),
    "clone into a folder of something else": Case(
        "clone --yes shared merged --base base", ("merged", "something other")
    ),
    "clone from nowhere": Case(
        "clone --yes nowhere new --base base", ("nowhere is not there", "if a share is mounted there")
    ),
    "clone from a model": Case("clone --yes base new --base base", ("base", "not a workspace")),
    "clone without a base": Case("clone --yes shared new --base nowhere", ("nowhere", "No such file")),
    "clone of a damaged genesis": Case(
        "clone --yes shared new --base base",
        ("shared/genesis", "damaged"),
        lambda scene: flip(scene / "shared" / "genesis", 1),
    ),
}

NOTES = {
    "an empty note": Case("-C alice contribute ft2.safetensors --note ''", ("note", "0 bytes"), clauses=("OS-3",)),
    "a note that is too long": Case(
        f"-C alice contribute ft2.safetensors --note {'n' * 4097}", ("note", "4097 bytes"), clauses=("OS-3",)
    ),
    "an empty note to a retract": Case("-C alice retract c2d2 --note ''", ("note", "0 bytes"), clauses=("OS-3",)),
}

NAMES = {
    "an empty name": Case("-C alice set-name ''", ("your name", "0 bytes"), clauses=("OS-3",)),
    "a name that nobody sees": Case("-C alice set-name '  '", ("your name", "write some letters")),
    "a name that is too long": Case(f"-C alice set-name {'n' * 257}", ("your name", "257 bytes"), clauses=("OS-3",)),
    "a name with a line break": Case("-C alice set-name 'a\nb'", ("your name", "control character"), clauses=("OS-3",)),
    "a name for a shared folder": Case("-C shared set-name Ada", ("shared", "name your workspace")),
    "a name with a line break at init": Case("-C new init --base base --as 'a\nb'", ("your name", "control character")),
    "a name with a line break at clone": Case("clone --yes shared new --base base --as 'a\nb'", ("your name",)),
    "a written name that is a number": Case(
        "-C alice contribute ft2.safetensors",
        ("local.json", "your name is 3", "not a string", "set-name NAME"),
        lambda scene: _say_in_local(scene, name=3),
    ),
}

RETRACTING = {
    "an unknown id": Case(
        f"-C alice retract {'0' * 64}", ("no visible contribution", "0" * 64, "status"), clauses=("OS-10",)
    ),
    "no id at all": Case("-C alice retract ''", ("''", "too short", "4 digits"), clauses=("OS-10",)),
    "an id that is no id": Case("-C alice retract zebra", ("no visible contribution", "'zebra'"), clauses=("OS-10",)),
    "a prefix of several": Case(
        "-C alice retract {prefix}",
        ("visible contributions begin with", "give more digits"),
        _repeated_prefix,
        ("OS-10",),
        _prefix,
    ),
    "a contribution that was retracted": Case(
        "-C alice retract cccc", ("no visible contribution",), _retracted, ("OS-10",)
    ),
}

SYNCING = {
    **{
        f"a blob that is {name}, offered": Case(
            SYNC,
            ("1 file refused; the rest was synced", "the sync of a member who has it mends it"),
            _damaged_offer(spoil),
            ("CT-6", "SY-3", "SY-4", "SY-5"),
            _offered,
            frozenset({"alice", "shared"}),
            _only_the_good_one_came,
        )
        for name, spoil in {
            "truncated": truncate,
            "flipped": lambda path: flip(path, -1),
            "flipped in its header": lambda path: flip(path, 9),
            "empty": lambda path: path.write_bytes(b""),
            "longer": lambda path: path.write_bytes(path.read_bytes() + b" "),
        }.items()
    },
    "an operation of another workspace, offered": Case(
        SYNC,
        ("shared/operations/", "refused", "workspace", "move it away", "1 file refused"),
        _foreign_operation,
        ("OS-6", "SY-3", "SY-4"),
        lambda scene: {"file": _first_operation(scene, "others").name},
        frozenset({"alice", "shared"}),
        _alice_gave_her_attest,
    ),
    "a damaged operation that nobody here holds, offered": Case(
        SYNC,
        ("damaged", "delete it and sync again", "1 file refused"),
        _damaged_operation_offer,
        ("SY-3", "SY-4"),
        lambda scene: {"file": f"shared/operations/{_foreign_to_alice(scene)[0]}"},
        frozenset({"alice", "shared"}),
        _alice_gave_her_attest,
    ),
    "sync with a file": Case("-C alice sync merge.yaml", ("merge.yaml", "not a folder"), clauses=("SY-7",)),
    "sync with something below a file": Case("-C alice sync merge.yaml/x", ("merge.yaml",), clauses=("SY-7",)),
    "sync with a model folder": Case(
        "-C alice sync base", ("base", "something other", "another folder"), clauses=("SY-7",)
    ),
    "sync with another workspace": Case("-C alice sync other", ("other", "holds workspace"), clauses=("OS-7",)),
    "sync with another's exchange folder": Case(
        "-C alice sync others", ("others", "holds workspace"), clauses=("OS-7",)
    ),
    "sync with a damaged genesis": Case(
        SYNC, ("shared/genesis", "damaged"), lambda scene: flip(scene / "shared" / "genesis", 0), ("SY-3",)
    ),
}

VERIFY = "verify merged"

VERIFYING = {
    "no lock": Case("verify base", ("base/merge.lock", "is not there", "that a merge wrote"), clauses=("LK-5",)),
    "no folder": Case("verify nowhere", ("nowhere is not there", "check the path")),
    "a file": Case("verify merge.yaml", ("merge.yaml",)),
    **{
        f"a lock that is {name}": Case(VERIFY, ("merged/merge.lock", word), _lock_text(text), ("LK-2",))
        for name, (text, word) in {
            "empty": ("", "merge again"),
            "no JSON": ("{", "merge again"),
            "a list": ("[]", "merge again"),
            "an empty object": ("{}", "field required"),
            "a key twice": ('{"base": 1, "base": 2}', "'base'"),
            "deeply nested": ("[" * 100_000, "merge again"),
        }.items()
    },
    **{
        f"a lock with {name}": Case(VERIFY, ("merged/merge.lock", word, "merge again"), _lock(change), clauses)
        for name, (change, word, clauses) in {
            "another coefficient": (
                lambda lock: lock["contributions"][0].update(coefficient="40000000"),
                "does not follow",
                ("LK-4",),
            ),
            "another merge id": (lambda lock: lock.update(merge_id="0" * 64), "merge id", ("LK-4",)),
            "another recipe": (lambda lock: lock["recipe"].update(density="0.25"), "merge id", ("LK-4",)),
            "an impossible recipe": (lambda lock: lock["recipe"].update(density="7"), "density", ("LK-4",)),
            "another model root": (lambda lock: lock.update(model_root="0" * 64), "model root", ("LK-4",)),
            "another tensor root": (
                lambda lock: lock["tensors"]["layer.0.bias"].update(root="0" * 64),
                "model root",
                ("LK-4",),
            ),
            "contributions the other way round": (lambda lock: lock["contributions"].reverse(), "order", ("LK-2",)),
            "a contribution twice": (
                lambda lock: lock["contributions"].append(lock["contributions"][-1]),
                "order",
                ("LK-2",),
            ),
            "an unknown key": (lambda lock: lock.update(author="me"), "author", ("LK-2",)),
            "a missing key": (lambda lock: lock.pop("uncertified"), "uncertified", ("LK-2",)),
            "a future format": (lambda lock: lock.update(format=2), "format", ("LK-2",)),
            "a number where a root is": (lambda lock: lock.update(base=7), "base", ("LK-2",)),
        }.items()
    },
    "a flipped byte in a tensor": Case(
        VERIFY,
        ("merged", "'norm.scale'", "root", "merge.lock"),
        lambda scene: flip(scene / "merged" / "model.safetensors", -130),
        ("LK-5",),
    ),
    "a missing tensor": Case(
        VERIFY,
        ("merged", "'layer.0.bias'", "missing"),
        _model(lambda model: {name: array for name, array in model.items() if name != "layer.0.bias"}),
        ("LK-5",),
    ),
    "a tensor too many": Case(
        VERIFY,
        ("merged", "'another'", "is not one"),
        _model(lambda model: {**model, "another": model["mask"]}),
        ("LK-5",),
    ),
    "a tensor of another shape": Case(
        VERIFY,
        ("merged", "'embed.weight'", "shape", "[4, 16]", "[16, 4]"),
        _model(lambda model: {**model, "embed.weight": model["embed.weight"].reshape(4, 16)}),
        ("LK-5",),
    ),
    "a tensor of another dtype": Case(
        VERIFY,
        ("merged", "'embed.weight'", "dtype", "F64", "F32"),
        _model(lambda model: {**model, "embed.weight": model["embed.weight"].astype("f8")}),
        ("LK-5",),
    ),
    "a model that was deleted": Case(
        VERIFY, ("merged", "model.safetensors"), lambda scene: (scene / "merged" / "model.safetensors").unlink()
    ),
    "a truncated model": Case(
        VERIFY, ("merged/model.safetensors", "end"), lambda scene: truncate(scene / "merged" / "model.safetensors")
    ),
    "another workspace": Case(
        "verify merged --against other", ("merged", "is unknown to the workspace", "sync"), clauses=("LK-6",)
    ),
    "no workspace": Case(
        "verify merged --against shared/blobs", ("shared/blobs", "not a workspace"), clauses=("LK-6",)
    ),
    "a workspace without its blob": Case(
        "verify merged --against alice", ("not here", "sync"), _blob(Path.unlink), ("LK-6", "SY-6")
    ),
    "a model that nobody computed": Case(
        "verify forged --against alice",
        ("alice computes another model", "'layer.0.bias'", "forged"),
        _forged,
        ("LK-6",),
    ),
}

WORKSPACES = {
    **OWN_STORE,
    **NO_WORKSPACE,
    **MAKING,
    **NOTES,
    **NAMES,
    **RETRACTING,
    **{f"{name}, to sync" if name in OWN_STORE else name: case for name, case in SYNCING.items()},
    **{f"verify: {name}": case for name, case in VERIFYING.items()},
}
