"""Every field in which a stranger's text can come to the command line, and texts that a terminal would act on.

A field takes the scene and a text, puts the text there, and gives the command that meets it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operations import Add, Operation
from mergealgebra.encoding import decode, encode, hash_id, model_root
from mergealgebra.store.objects import Store
from tests.cli.scene import operations
from tests.models import fine_tune, write_file, write_folder, write_raw

#: What a verdict that is well begins with; every hostile text would like to write it on a line of its own.
FORGED = "ok True"

#: Texts that a terminal, a log viewer or a browser acts on.
HOSTILE = {
    "colour": f"\x1b[31m\n{FORGED}",
    "erased line": f"\x1b[2K\x1b[1G{FORGED}\r",
    "C1 sequence": f"\x9b2K\x9b1G{FORGED}\x84",
    "link": f"\x1b]8;;http:x.y\x07{FORGED}\x1b]8;;\x07",
    "title and bell": f"\x1b]0;{FORGED}\x07",
    "backspaces": f"\x08\x08\x08\x7f{FORGED}",
    "carriage return": f"\r{FORGED}",
    "line separators": f"\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029{FORGED}",
    "overrides": f"\u202a\u202b\u202c\u202d\u202e{FORGED}",
    "isolates": f"\u2066\u2067\u2068\u2069\u200e\u200f\u061c{FORGED}",
    "invisible": f"\u200b\u00ad\ufeff\ue000\U000e0041{FORGED}",
    "lone surrogates": f"\ud800\udc1b\udfff{FORGED}",
}
#: Those that JSON can hold, which are all; those that UTF-8 can.
JSON = tuple(HOSTILE)
TEXTS = tuple(name for name in HOSTILE if name != "lone surrogates")
#: Those without control characters, which OS-1 lets a name hold.
NAMES = ("overrides", "isolates", "invisible")

Arrange = Callable[[Path, str], list[str]]


@dataclass(frozen=True)
class Field:
    """arrange: puts the text there. code: how the command ends. texts: those that can come there."""

    arrange: Arrange
    code: int = 1
    texts: tuple[str, ...] = TEXTS


# A model and its lock


def _lock(change: Callable[[dict[str, Any], str], object]) -> Arrange:
    """Change the content of a lock, whose model root then follows."""

    def arrange(scene: Path, text: str) -> list[str]:
        path = scene / "merged" / "merge.lock"
        lock = json.loads(path.read_text())
        change(lock, text)
        tensors = lock["tensors"].items()
        lock["model_root"] = model_root((name, t["dtype"], tuple(t["shape"]), t["root"]) for name, t in tensors)
        path.write_text(json.dumps(lock))
        return ["verify", "merged"]

    return arrange


def _renamed(lock: dict[str, Any], text: str) -> None:
    lock["tensors"] = {f" {text}" if name == "embed.weight" else name: t for name, t in lock["tensors"].items()}


def _header(change: Callable[[str], dict[str, Any]]) -> Arrange:
    """A model with a header of its own."""

    def arrange(scene: Path, text: str) -> list[str]:
        write_raw(scene / "merged" / "model.safetensors", json.dumps(change(text)), b"")
        return ["verify", "merged"]

    return arrange


def _index(change: Callable[[str], object]) -> Arrange:
    """A sharded model with an index of its own."""

    def arrange(scene: Path, text: str) -> list[str]:
        (scene / "merged" / "model.safetensors").unlink()
        (scene / "merged" / "model.safetensors.index.json").write_text(json.dumps(change(text)))
        return ["verify", "merged"]

    return arrange


def _empty(dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": [0], "data_offsets": [0, 0]}


def _another_merge(scene: Path, text: str) -> list[str]:
    """A model of other contributions, in a folder whose name the message has."""
    (scene / "merged").rename(scene / text)
    return ["verify", text, "--against", "other"]


MODELS: Mapping[str, Field] = {
    "dtype in a lock": Field(_lock(lambda lock, text: lock["tensors"]["embed.weight"].update(dtype=text))),
    "tensor in a lock": Field(_lock(_renamed)),
    "key of a lock": Field(_lock(lambda lock, text: lock.update({text: "x"}))),
    "key of a tensor in a lock": Field(_lock(lambda lock, text: lock["tensors"]["embed.weight"].update({text: "x"}))),
    "recipe's key in a lock": Field(_lock(lambda lock, text: lock["recipe"].update({text: "x"}))),
    "recipe's method in a lock": Field(_lock(lambda lock, text: lock["recipe"].update(method=text))),
    "recipe's density in a lock": Field(_lock(lambda lock, text: lock["recipe"].update(density=text))),
    "recipe's dialect in a lock": Field(_lock(lambda lock, text: lock["recipe"].update(dialect=text))),
    "achieved density in a lock": Field(_lock(lambda lock, text: lock.update(achieved_density=text))),
    "form in a lock": Field(_lock(lambda lock, text: lock["contributions"][0].update(form=text))),
    "coefficient in a lock": Field(_lock(lambda lock, text: lock["contributions"][0].update(coefficient=text))),
    "tensor in a header": Field(_header(lambda text: {f"\0{text}": _empty()}), texts=JSON),
    "dtype in a header": Field(_header(lambda text: {"w": _empty(text)}), texts=JSON),
    "key of a tensor in a header": Field(_header(lambda text: {"w": {**_empty(), text: 1}}), texts=JSON),
    "metadata in a header": Field(_header(lambda text: {"__metadata__": {text: 1}}), texts=JSON),
    "shard in an index": Field(_index(lambda text: {"weight_map": {"w": text}}), texts=JSON),
    "tensor in an index": Field(_index(lambda text: {"weight_map": {text: 1}}), texts=JSON),
    "an index": Field(_index(lambda text: text), texts=JSON),
    "name of a model folder": Field(_another_merge),
}


# A workspace and what is exchanged with it


def _genesis(name: str = "garden", **recipe: str) -> Arrange:
    def arrange(scene: Path, text: str) -> list[str]:
        known = Store.open(scene / "shared").genesis
        values = {key.replace("TEXT", text): value.replace("TEXT", text) for key, value in recipe.items()}
        Store.create(scene / "share", Genesis(known.base, name.replace("TEXT", text), {**known.recipe, **values}))
        return ["clone", "--yes", "share", "new", "--base", "base"]

    return arrange


def _named(scene: Path, text: str) -> list[str]:
    """A workspace with such a name."""
    known = Store.open(scene / "shared").genesis
    Store.create(scene / "share", Genesis(known.base, text, known.recipe))
    return ["-C", "share", "status"]


def _init(scene: Path, text: str) -> list[str]:
    return ["-C", "new", "init", "--base", "base", "--name", text]


def _operation(change: Callable[[dict[str, Any], str], object]) -> Arrange:
    """An operation in the exchange folder, under the id of what it now holds."""

    def arrange(scene: Path, text: str) -> list[str]:
        operation = decode(operations(scene, "shared")[0].read_bytes())
        change(operation["body"], text)
        data = encode(operation)
        (scene / "shared" / "operations" / hash_id("operation", data)).write_bytes(data)
        return ["-C", "bob", "sync", "shared"]

    return arrange


def _told(key: str, verb: str) -> Arrange:
    """A note or a name that came with a contribution of somebody else's, the only one that stands; then a verb."""

    def arrange(scene: Path, text: str) -> list[str]:
        store = Store.open(scene / "alice")
        add = next(o for o in store.state().operations if isinstance(o.payload, Add))
        store.operation_path(add.id).unlink()
        store.write_operation(Operation(add.workspace, add.payload, **{key: text}))
        return ["-C", "alice", *verb.replace("ID", add.payload.manifest.id).split()]

    return arrange


def _local(key: str) -> Arrange:
    def arrange(scene: Path, text: str) -> list[str]:
        (scene / "alice" / "local.json").write_text(json.dumps({"base": str(scene / "base"), key: text}))
        return ["-C", "alice", "resolve", "out"]

    return arrange


def _in_the_way(scene: Path, text: str) -> list[str]:
    (scene / "new").mkdir()
    (scene / "new" / text).touch()
    return ["clone", "--yes", "shared", "new", "--base", "base"]


WORKSPACES: Mapping[str, Field] = {
    "name of a peer's workspace": Field(_genesis("TEXT"), 0, NAMES),
    "name of a workspace": Field(_named, 0, NAMES),
    "name of a new workspace": Field(_init, 0, NAMES),
    "name that is refused": Field(_init, 1, tuple(name for name in TEXTS if name not in NAMES)),
    "recipe's key in a genesis": Field(_genesis(TEXT="x")),
    "recipe's density in a genesis": Field(_genesis(density="TEXT")),
    "recipe's method in a genesis": Field(_genesis(method="TEXT")),
    "key of an operation": Field(_operation(lambda body, text: body.update({text: 1}))),
    "kind of an operation": Field(_operation(lambda body, text: body.update(kind=text))),
    "field of an operation": Field(_operation(lambda body, text: body["fields"].update({text: 1}))),
    "note of an operation": Field(_told("note", "log"), 0),
    "note in status": Field(_told("note", "status"), 0),
    "note of what is shown": Field(_told("note", "show ID"), 0),
    "name in an operation": Field(_told("name", "log"), 0, NAMES),
    "name in status": Field(_told("name", "status"), 0, NAMES),
    "name of what is shown": Field(_told("name", "show ID"), 0, NAMES),
    "name of whose is retracted": Field(_told("name", "retract ID"), 0, NAMES),
    "id to show": Field(lambda scene, text: ["-C", "alice", "show", text]),
    "base in local.json": Field(_local("base")),
    "workspace in local.json": Field(_local("workspace")),
    "name in local.json": Field(_local("name"), 1, tuple(name for name in TEXTS if name not in NAMES)),
    "file where a clone goes": Field(_in_the_way),
    "id to retract": Field(lambda scene, text: ["-C", "alice", "retract", text]),
}


# Files that are contributed or merged


def _contributed(scene: Path, text: str) -> list[str]:
    write_file(scene / f"{text}.safetensors", {"elsewhere": np.ones(2, np.float32)})
    return ["-C", "alice", "contribute", f"{text}.safetensors"]


def _with_tensor(scene: Path, text: str) -> list[str]:
    write_file(scene / "more.safetensors", {**fine_tune(0), text: np.ones(2, np.float32)})
    return ["-C", "alice", "contribute", "more.safetensors"]


def _merge(change: Callable[[dict[str, Any], str], object]) -> Arrange:
    """A merge file; JSON is YAML."""

    def arrange(scene: Path, text: str) -> list[str]:
        entries: dict[str, Any] = {"method": "ties", "base": "base", "models": [{"path": "ft0.safetensors"}]}
        change(entries, text)
        (scene / "merge.yaml").write_text(json.dumps(entries))
        return ["merge", "merge.yaml", "out"]

    return arrange


def _no_yaml(scene: Path, text: str) -> list[str]:
    (scene / "merge.yaml").write_text(f"{FORGED}: [{text}", encoding="utf-8")
    return ["merge", "merge.yaml", "out"]


def _key_twice(scene: Path, text: str) -> list[str]:
    (scene / "merge.yaml").write_text(f"{json.dumps(text)}: 1\n" * 2)
    return ["merge", "merge.yaml", "out"]


def _cache(scene: Path, text: str) -> list[str]:
    """The outer folder of a Hugging Face cache, with a snapshot of such a name."""
    write_folder(scene / "cache" / "snapshots" / text.replace("/", "-"), fine_tune(0))
    (scene / "cache" / "refs").mkdir()
    return ["-C", "alice", "contribute", "cache"]


FILES: Mapping[str, Field] = {
    "name of a checkpoint": Field(_contributed),
    "tensor of a checkpoint": Field(_with_tensor),
    "snapshot of a cache": Field(_cache),
    "a file that is not YAML": Field(_no_yaml, 1, ("overrides", "isolates")),
    "key that stands twice": Field(_key_twice, texts=JSON),
    "key of a merge file": Field(_merge(lambda entries, text: entries.update({text: "x"})), texts=JSON),
    "method of a merge file": Field(_merge(lambda entries, text: entries.update(method=text)), texts=JSON),
    "density of a merge file": Field(_merge(lambda entries, text: entries.update(density=text)), texts=JSON),
    "base of a merge file": Field(_merge(lambda entries, text: entries.update(base=text)), texts=JSON),
    "path of a model": Field(_merge(lambda entries, text: entries["models"][0].update(path=text)), texts=JSON),
    "key of a model": Field(_merge(lambda entries, text: entries["models"][0].update({text: "x"})), texts=JSON),
    "coefficient of a model": Field(_merge(lambda entries, text: entries["models"][0].update(coefficient=text))),
    "name of an output": Field(lambda scene, text: ["-C", "alice", "resolve", text], 0),
    "argument too many": Field(lambda scene, text: ["-C", "alice", "resolve", "out", text], 2),
    "option": Field(lambda scene, text: ["-C", "alice", "resolve", f"--{text}"], 2),
    "verb": Field(lambda scene, text: [text], 2),
}

FIELDS = {**MODELS, **WORKSPACES, **FILES}
