"""The folders of a history of stores: replicas `r0`, shares `x0`, copies `s7`, on disk and as they are known to be."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from mergealgebra.crdt.manifest import Manifest
from mergealgebra.store.objects import Store
from tests.simulation.blob_files import Tensors, canonical_file
from tests.simulation.contributions import MORE_TENSORS, TENSORS
from tests.simulation.damage import OUTER, flip, operation_name
from tests.simulation.disk import PowerDisk
from tests.simulation.history import insist
from tests.simulation.holdings import DAY, Holdings, holdings, pack_name, pack_of, unduly_gone
from tests.simulation.people import GENESIS
from tests.simulation.seams import World
from tests.simulation.team import Team
from tests.simulation.team_model import Facts

#: The values of the tensors in contributions.py.
_VALUES = {"another value": bytes(range(1, 25))}


def blobs_of(manifests: dict[str, Manifest]) -> dict[str, bytes]:
    """The file of tensors of each root that contributions.py names."""
    return {root: canonical_file(tensors) for root, tensors in tensors_of(manifests).items()}


def tensors_of(manifests: dict[str, Manifest]) -> dict[str, Tensors]:
    """The tensors of each root."""
    more = {tensor: (dtype, shape, bytes(range(24))) for tensor, dtype, shape, _ in MORE_TENSORS}
    return {
        manifests[f"c{number}"].tensors: {tensor: (dtype, shape, _VALUES.get(what, bytes(range(24)))), **more}
        for number, (what, [(tensor, dtype, shape, _)]) in enumerate(TENSORS.items())
    }


class StorePlaces(Team):
    """Where the folders of one history are and what each holds; what others than the product do to them."""

    def __init__(self, manifests: dict[str, Manifest], world: World, disk: PowerDisk, root: Path) -> None:
        super().__init__(manifests, world)
        self._disk, self._root = disk, root
        self._blobs = blobs_of(manifests)
        self._held: dict[str, Holdings] = {}  # what every folder holds
        self._cut_off: set[str] = set()
        self._staying: dict[str, Store] = {}  # processes that go on running
        self._gone: set[str] = set()  # the files that went while another command ran, and was judged by itself
        self._days = 0  # by how many the clock of all processes is wrong

    def time(self) -> float:
        """In place of `time.time`, where it is asked how old packs are."""
        return time.time() + self._days * DAY

    def time_ns(self) -> int:
        """In place of `time.time_ns`, likewise."""
        return int(self.time() * 1e9)

    def _path(self, name: str) -> Path:
        return self._root / name

    def _open(self, name: str) -> Store:
        """The store as a new process opens it, or as the one has it that goes on running."""
        self._there(name)
        return self._staying.get(name) or Store.open(self._path(name), peer=name[0] != "r")

    def _there(self, name: str) -> Holdings:
        """What a folder holds, which is made when it is not there; a replica has its owner's file."""
        if name not in self._held:
            for folder in ("operations", "packs", "blobs", "tmp"):
                (self._path(name) / folder).mkdir(parents=True)
            (self._path(name) / "genesis").write_bytes(GENESIS.encode())
            if name[0] == "r":
                (self._path(name) / "local.json").write_text("{}")
            self._look_at(name)
        return self._held[name]

    def _look_at(self, name: str) -> Holdings:
        (self._path(name) / "blobs").mkdir(exist_ok=True)
        self._held[name] = holdings(self._path(name), self._fact_of)
        return self._held[name]

    def _fact_of(self, data: bytes) -> str | None:
        return self._facts.get(operation_name(data))

    def _are_apart(self, name: str, peer: str) -> bool:
        return (name in self._cut_off) != (peer in self._cut_off)

    # What others do

    def _put(self, name: str, data: list[bytes]) -> None:
        """Somebody writes operations straight into a folder; several as a pack that claims to replace all others."""
        held = self._there(name)
        if len(data) > 1 or name[0] == "o":
            packs = sorted(file.removeprefix("packs/") for file in held.files if file.startswith("packs/"))
            pack = pack_of(data, packs[:256])
            path = self._path(name) / "packs" / pack_name(pack)
            path.write_bytes(pack)
            os.utime(path, (self._store_time(name),) * 2)
        else:
            (self._path(name) / "operations" / operation_name(data[0])).write_bytes(data[0])
        self._look_at(name)

    def _age(self, name: str, mask: str = "65535") -> None:
        """Some packs were written days ago, by the file system's word."""
        self._there(name)
        packs = sorted(self._path(name).glob("packs/*"))
        long_ago = self._store_time(name) - 3 * DAY
        for number, path in enumerate(packs):
            if int(mask) >> number % 16 & 1:
                os.utime(path, (long_ago, long_ago))
        self._look_at(name)

    def _store_time(self, name: str) -> float:
        """What the clock of whoever keeps a folder shows."""
        return time.time()

    def _clock(self, days: str) -> None:
        self._days = int(days)

    def _stay(self, name: str) -> None:
        """A process goes on running there, and remembers what it has read; or it ends."""
        if name in self._staying:
            del self._staying[name]
        else:
            self._staying[name] = self._open(name)

    def _copy(self, name: str, copy: str) -> None:
        if name in self._held and name != copy and name[0] != "o":
            self._throw_away(copy)
            shutil.copytree(self._path(name), self._path(copy))
            self._look_at(copy)

    def _restore(self, name: str, copy: str) -> None:
        if copy in self._held:
            self._copy(copy, name)
            if name[0] == "r":
                (self._path(name) / "local.json").write_text("{}")

    def _throw_away(self, name: str) -> None:
        self._staying.pop(name, None)
        if name in self._held:
            shutil.rmtree(self._path(name))
            self._disk.forget(self._path(name))
            del self._held[name]

    def _ferry(self, source: str, target: str, mask: str) -> None:
        """Some other program copies some files of one folder to another."""
        if source not in self._held or target not in self._held or "o" in (source[0], target[0]):
            return
        paths = sorted(
            path for part in ("operations", "packs", "blobs") for path in self._path(source).glob(f"{part}/*")
        )
        for number, path in enumerate(paths):
            there = self._path(target) / path.relative_to(self._path(source))
            if int(mask) >> number % 16 & 1 and not there.exists():
                shutil.copy(path, there)
        self._look_at(target)

    def _damage(self, name: str, how: str, number: str) -> None:
        """A pack or a file of one operation is no longer what it was."""
        files = sorted(self._there(name).files)
        if files:
            self._spoil(self._path(name) / files[int(number) % len(files)], OUTER[how], int(number))
            self._look_at(name)

    @staticmethod
    def _spoil(path: Path, damage: Callable[[bytes, int], bytes], number: int) -> None:
        data, told = path.read_bytes() or b"\x00", path.stat()  # a forgery may be empty
        path.write_bytes(damage(data, number))
        os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))  # bits rot without a word

    def _rot(self, name: str, number: str) -> None:
        """A bit of a blob in the making is another one."""
        paths = sorted((self._path(name) / "partial").glob("*.part"))
        if paths:
            self._spoil(
                paths[int(number) % len(paths)], lambda data, at: flip(data, len(data) * 8 - 1 - at), int(number)
            )

    def _mend(self, name: str) -> None:
        """Its owner deletes what the error messages name."""
        for file in self._there(name).damaged:
            (self._path(name) / file).unlink()
        self._look_at(name)

    def _cut(self, name: str) -> None:
        self._cut_off ^= {name}

    def _power(self, mask: str) -> None:
        self._staying.clear()
        self._disk.cut(int(mask))

    # What must hold

    def _judge(self, name: str, before: Holdings, expected: Facts, whole: bool, law: str) -> None:
        """A folder holds what it should, and the product reads in it what is there."""
        held = self._held[name]
        lost = before.facts - held.facts
        insist("durable", not lost, f"{name} has lost {sorted(lost)}")
        differ = sorted(held.facts ^ expected if whole else held.facts - expected)
        insist(law if whole else "between", not differ, f"{name} holds {differ} more or less than it should")
        insist("admission", held.damaged <= before.damaged, f"{name} has what is not what its name promises")
        bad = [root for root in held.blobs - before.blobs if not self._is_good_blob(name, root)]
        insist("blobs", not bad, f"{name} has {bad}")
        gone = set(self._unduly_gone(name, before)) - self._gone
        insist("packs", not gone, f"from {name} went {gone}")
        if held != before:
            self._judge_reading(name, held)

    def _unduly_gone(self, name: str, before: Holdings) -> list[str]:
        """Elsewhere than in a replica, packs are as old as what was written last there says [PK-10]."""
        after = self._held[name]
        return unduly_gone(before, after, self.time() if name[0] == "r" else max(before.newest, after.newest))

    def _is_good_blob(self, name: str, file: str) -> bool:
        return self._blobs.get(file.removesuffix(".safetensors")) == (self._path(name) / "blobs" / file).read_bytes()

    def _judge_reading(self, name: str, held: Holdings) -> None:
        reading = Store.open(self._path(name), peer=name[0] != "r").read(anew=True)
        refused = len(reading.refusals)
        insist(
            "admission", refused == len(held.damaged), f"{name}: {refused} files are refused, damaged: {held.damaged}"
        )
        passed = bool(reading.foreign)
        insist("admission", passed == bool(held.foreign), f"{name}: {held.foreign} forgeries, passed over {passed}")
        self._judge_state(name, reading.state, held.facts)
