"""What every command of a workspace must leave, byte for byte, foretold from the files before it.

The files of a folder are a mapping from `genesis`, `operations/ID` and `blobs/ROOT.safetensors` to bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

from tests.simulation.blob_files import BLOB_DAMAGES
from tests.simulation.damage import DAMAGES, damaged, operation_name
from tests.simulation.model import Model
from tests.simulation.scenery import Scenery
from tests.simulation.seams import World

Files = dict[str, bytes]

#: The end of the name of a report that a blob is damaged, and what is in it.
REPORTED = ".safetensors.damaged"
REPORT = b"damaged\n"


def as_read(folder: Path) -> Files:
    """The files of a store [SY-1], read by nobody's code but this."""
    found = {}
    for kind in ("operations", "blobs"):
        path = folder / kind
        if path.is_dir():
            found |= {f"{kind}/{entry.name}": Path(entry.path).read_bytes() for entry in os.scandir(path)}
    genesis = folder / "genesis"
    return {**found, "genesis": genesis.read_bytes()} if genesis.exists() else found


def blob_file(root: str) -> str:
    """Where the blob of these tensors lies."""
    return f"blobs/{root}.safetensors"


def genesis_is_good(scenery: Scenery, files: Files) -> bool:
    """Whether the genesis is there and undamaged."""
    return files.get("genesis") == scenery.genesis.encode()


def damage_file(files: Mapping[str, bytes], how: str, number: int) -> dict[str, bytes | None]:
    """What becomes of a folder that is damaged so: file -> its bytes, or None when it goes.

    how: one of DAMAGES, or `blob-HOW` with one of BLOB_DAMAGES, or `genesis`.
    """
    kind = {"genesis": "genesis", "blob": "blobs/"}.get(how.split("-", maxsplit=1)[0], "operations/")
    names = sorted(file for file in files if file.startswith(kind))
    if not names:
        return {}
    file, other = names[number % len(names)], names[(number + 1) % len(names)]
    try:
        spoilt = _spoilt(kind, file, (files[file], files[other]), how, number)
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
    ):  # what has no form any more takes no finer damage
        return {}
    return {} if spoilt is None else {file: None, kind + spoilt[0]: spoilt[1]}


def _spoilt(kind: str, file: str, data: tuple[bytes, bytes], how: str, number: int) -> tuple[str, bytes] | None:
    name = file.removeprefix(kind)
    if kind == "operations/":
        return damaged(name, *data, how, number)
    return name, BLOB_DAMAGES["flip" if kind == "genesis" else how.removeprefix("blob-")](data[0], number)


@dataclass(frozen=True)
class Synced:
    """What a sync leaves on both sides, and how many entries it refuses."""

    ours: Files
    theirs: Files
    refused: int


@dataclass(frozen=True)
class Resolved:
    """What a resolve leaves; files is None when it must refuse. may_refuse: it need not see the damage [SY-6]."""

    files: Files | None
    may_refuse: bool


class Foretold:
    """What commands leave. It learns the operations of a history as they are said."""

    def __init__(self, scenery: Scenery) -> None:
        self._scenery = scenery
        self._model = Model()
        self._said: dict[str, bytes] = {}  # file -> bytes of every operation that somebody said
        self._workspace = bytes.fromhex(scenery.genesis.workspace_id)
        self.empty: Files = {"genesis": scenery.genesis.encode()}

    # What is there

    def is_good(self, file: str, data: bytes) -> bool:
        """Whether a file is what its name promises."""
        if file == "genesis":
            return data == self._scenery.genesis.encode()
        if file.startswith("operations/"):
            return self._said.get(file) == data
        if file.endswith(REPORTED):
            return data == REPORT
        root = file.removeprefix("blobs/").removesuffix(".safetensors")
        return self._scenery.blobs.get(root) == data

    def bad_files(self, files: Files) -> list[str]:
        """Those that are not what their names promise, the genesis apart."""
        return sorted(file for file, data in files.items() if file != "genesis" and not self.is_good(file, data))

    def is_sound(self, files: Files) -> bool:
        """Whether commands that need the state can run [SY-3]: blobs do not count."""
        return genesis_is_good(self._scenery, files) and not any(
            file.startswith("operations/") for file in self.bad_files(files)
        )

    def visible(self, files: Files) -> frozenset[str]:
        """The contributions that the good operations among these show."""
        return frozenset(self._model.visible(self._facts(files)))

    def _facts(self, files: Files) -> frozenset[str]:
        """Operations are facts; here their files are their names."""
        return frozenset(file for file, data in files.items() if self._said.get(file) == data)

    # What commands leave: None when they must refuse

    def contribute(self, files: Files, contribution: str, fact: str, now: int) -> Files | None:
        """Blob and add [CT-6, OS-4]; a damaged blob is replaced by the right one [SY-2]."""
        if not self.is_sound(files):
            return None
        manifest = self._scenery.manifests[contribution]
        nonce = _nonce_of(fact)
        add = self._say("add", {"manifest": manifest.to_map(), "nonce": nonce}, now)
        self._model.adds[add] = contribution
        blob = {blob_file(manifest.tensors): self._scenery.blobs[manifest.tensors]}
        return files | blob | {add: self._said[add]}

    def retract(self, files: Files, contribution: str, _: str, now: int) -> Files | None:
        """A remove of the standing adds that are known here [OS-10]."""
        if not self.is_sound(files):
            return None
        observed = self._model.observed(self._facts(files), contribution)
        if not observed:
            return None
        ids = sorted(file.removeprefix("operations/") for file in observed)
        remove = self._say("remove", {"operations": [bytes.fromhex(id_) for id_ in ids]}, now)
        self._model.removes[remove] = observed
        return files | {remove: self._said[remove]}

    def resolve(self, files: Files, kept: bool) -> Resolved:
        """An attest [OS-12], when all that is visible is here and good [SY-6]."""
        visible = self.visible(files)
        if not self.is_sound(files) or not visible:
            return Resolved(None, False)
        blobs = [blob_file(self._scenery.manifests[one].tensors) for one in visible]
        if any(blob not in files for blob in blobs):
            return Resolved(None, False)
        damaged_ones = [blob for blob in blobs if not self.is_good(blob, files[blob])]
        if damaged_ones and not kept:
            return Resolved(None, False)
        outcome = self._scenery.outcome(visible)
        roots = {"merge_id": bytes.fromhex(outcome.merge_id), "model_root": bytes.fromhex(outcome.model_root)}
        attest = self._say("attest", roots, None)
        return Resolved(files | {attest: self._said[attest]}, bool(damaged_ones))

    def sync(self, ours: Files, theirs: Files) -> Synced | None:
        """Both sides with all good operations, and with the good blobs of what is then visible [SY-4, SY-5]."""
        if not genesis_is_good(self._scenery, ours) or (theirs and not genesis_is_good(self._scenery, theirs)):
            return None
        theirs = theirs or self.empty
        both = {file: self._said[file] for side in (ours, theirs) for file in self._facts(side)}
        refused = sum(file not in both for side in (ours, theirs) for file in _operations(self.bad_files(side)))
        after = ours | both, theirs | both
        if not both and not _operations(self.bad_files(theirs)):
            refused += any(file.startswith("blobs/") for file in theirs)  # it is half there
        for blob in sorted({blob_file(self._scenery.manifests[one].tensors) for one in self.visible(both)}):
            refused += self._sync_blob(blob, *after)
        return Synced(*after, refused)

    def lacks(self, files: Files) -> bool:
        """Whether the blob of something visible is not there."""
        return any(blob_file(self._scenery.manifests[one].tensors) not in files for one in self.visible(files))

    def _sync_blob(self, blob: str, ours: Files, theirs: Files) -> int:
        """What becomes of a blob on both sides; how often it is refused.

        What one side lacks is carried, or its damage is reported where it is; where the two differ in size, or one is
        reported, a good copy mends a damaged one, and a report goes when both are good [SY-4].
        """
        report = blob.removesuffix(".safetensors") + REPORTED
        holders = [side for side in (ours, theirs) if blob in side]
        bad = [side for side in holders if not self.is_good(blob, side[blob])]
        if len(holders) == 1:
            if bad:
                bad[0][report] = REPORT
            else:
                ours[blob] = theirs[blob] = holders[0][blob]
            return len(bad)
        doubtful = len(holders) == 2 and (len(ours[blob]) != len(theirs[blob]) or report in {*ours, *theirs})
        if not doubtful or len(bad) == 2:
            return 2 if doubtful else 0
        good = next(side[blob] for side in holders if side not in bad)
        for side in (ours, theirs):
            side[blob] = good
            side.pop(report, None)
        return 0

    def _say(self, kind: str, fields: dict[str, Any], now: int | None) -> str:
        """The file of an operation, whose bytes are written here and not by what is tested [OS-2 to OS-4]."""
        body = {"fields": fields, "kind": kind, "time": now, "version": 1, "workspace": self._workspace}
        if now is None:
            del body["time"]
        data = msgpack.packb({"body": body})
        file = f"operations/{operation_name(data)}"
        self._said[file] = data
        return file


def _operations(files: list[str]) -> list[str]:
    return [file for file in files if file.startswith("operations/")]


def _nonce_of(fact: str) -> bytes:
    """The nonce that the world gives to a fact."""
    world = World()
    world.fact = fact
    return world.token_bytes(16)


#: All that may befall a folder.
FOLDER_DAMAGES = (*DAMAGES, *(f"blob-{how}" for how in BLOB_DAMAGES), "genesis")
