"""The folders of a history: replicas `r0`, exchange folders `x0`, copies `s7`, on disk and as they are known to be."""

from __future__ import annotations

import shutil
from pathlib import Path

import mergealgebra as ma
from tests.simulation.disk import PowerDisk
from tests.simulation.files import Files
from tests.simulation.scenery import Scenery

NOTHING: Files = {}


class Places:
    """Where the folders of one history are and what each holds; what the simulation itself does to them."""

    def __init__(self, scenery: Scenery, disk: PowerDisk, root: Path) -> None:
        self._scenery, self._disk, self._root = scenery, disk, root
        self._files: dict[str, Files] = {}  # what every folder holds
        self._cut_off: set[str] = set()
        self._kept: set[str] = set()  # replicas with an aggregate in their cache

    def _path(self, name: str) -> Path:
        return self._root / name

    def _open(self, name: str) -> ma.Workspace:
        return ma.Workspace.open(self._path(name))

    def _replica(self, name: str) -> Files:
        """The files of a replica; equal arguments give one workspace [OS-1], so that a new one is a copy."""
        if name not in self._files:
            self._files[name] = {}
            for folder in ("operations", "blobs", "tmp"):
                (self._path(name) / folder).mkdir(parents=True)
            self._put(name, "genesis", self._scenery.genesis.encode())
            (self._path(name) / "local.json").write_bytes(self._scenery.local)
        return self._files[name]

    def _put(self, name: str, file: str, data: bytes | None) -> None:
        """Let somebody else than the product write a file, or remove it."""
        if data is None:
            (self._path(name) / file).unlink()
            del self._files[name][file]
        else:
            (self._path(name) / file).parent.mkdir(exist_ok=True)
            (self._path(name) / file).write_bytes(data)
            self._files[name][file] = data

    def _throw_away(self, name: str) -> None:
        if name in self._files:
            shutil.rmtree(self._path(name))
            self._disk.forget(self._path(name))
            del self._files[name]
            self._kept.discard(name)

    def _are_apart(self, name: str, peer: str) -> bool:
        return (name in self._cut_off) != (peer in self._cut_off)
