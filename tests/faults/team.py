"""Three machines with a signed workspace each, a share and servers: what is promised, and what must hold in the end.

A command that ended with 0 has promised what its workspace then held. Only a restored backup takes promises back, of
what nobody else had yet.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import mergealgebra as ma
from mergealgebra.crdt.orset import ORSet
from mergealgebra.fsck import inspect
from mergealgebra.store.objects import Store
from tests.faults.processes import Command, start
from tests.models import base, fine_tune, write_file, write_folder
from tests.workspace.replicas import RECIPE

#: Alice and Bob are maintainers, Carol writes under a grant.
PEOPLE = ("alice", "bob", "carol")
#: Who is granted and revoked beside Carol, and never writes.
GUESTS = ("dave", "erin")
SHARE = "share"
MODELS = 6


@dataclass(frozen=True)
class Server:
    """A server that runs. wired: a socket for a bad wire to it, by whose name it is known too."""

    process: Command
    address: str
    wired: socket.socket


@dataclass
class Team:
    """root: the folder of all machines. promised: the ids of operations that must not be lost. backups: by person."""

    root: Path
    promised: set[str] = field(default_factory=set)
    backups: dict[str, set[str]] = field(default_factory=dict)
    _servers: dict[str, Server] = field(default_factory=dict)

    @classmethod
    def made(cls, root: Path) -> Team:
        """A team at its beginning, which has contributions already."""
        write_folder(root / "base", base())
        for number in range(MODELS):
            write_file(root / f"ft{number}.safetensors", fine_tune(number))
        for name in (*PEOPLE, *GUESTS):
            ma.PrivateKey.make(root / f"{name}-key")
        keys = [root / f"{name}-key.pub" for name in PEOPLE[:2]]
        alice = ma.Workspace.init(root / "alice", base=root / "base", recipe=RECIPE, maintainers=keys)
        alice.set_key(root / "alice-key")
        alice.grant(root / "carol-key.pub", "carol")
        alice.contribute(root / "ft0.safetensors")
        alice.sync(root / SHARE, create=True)
        for name in PEOPLE[1:]:
            other = ma.Workspace.clone(root / SHARE, root / name, base=root / "base")
            other.set_key(root / f"{name}-key")
        return cls(root)

    # What is there

    def state(self, name: str) -> ORSet:
        return Store.open(self.root / name, peer=True).state()

    def ids(self, name: str) -> set[str]:
        return set(self.state(name).by_id())

    def others(self, name: str) -> set[str]:
        """The operations that anybody but this one holds."""
        return set().union(*(self.ids(other) for other in (*PEOPLE, SHARE) if other != name))

    # What happens

    def promise(self, name: str) -> None:
        """A command of this person ended with 0."""
        self.promised |= self.ids(name)

    def back_up(self, name: str) -> None:
        shutil.rmtree(self.root / f"{name}.backup", ignore_errors=True)
        shutil.copytree(self.root / name, self.root / f"{name}.backup")
        self.backups[name] = self.ids(name)

    def restore(self, name: str) -> None:
        """What nobody else had, and the backup has not, is lost, and nobody can be blamed for it."""
        if name not in self.backups:
            return
        self.kill_server(name)
        self.promised &= self.others(name) | self.backups[name]
        shutil.rmtree(self.root / name)
        shutil.copytree(self.root / f"{name}.backup", self.root / name)

    def server(self, name: str) -> Server:
        """The person's server, which is started unless it runs."""
        if name not in self._servers:
            listening = socket.create_server(("127.0.0.1", 0))
            wired = f"127.0.0.1:{listening.getsockname()[1]}"
            process = start(self.root, "serve", name, "--port", "0", "--name", wired, "--name", "127.0.0.1")
            line = process.line()
            assert " at http" in line, line
            self._servers[name] = Server(process, line.split(" at ")[1].split(",")[0], listening)
        return self._servers[name]

    def kill_server(self, name: str) -> None:
        if name in self._servers:
            server = self._servers.pop(name)
            server.process.end(after=0)
            server.wired.close()

    @contextlib.contextmanager
    def closing(self) -> Iterator[None]:
        try:
            yield
        finally:
            for name in list(self._servers):
                self.kill_server(name)

    # What must be true in the end

    def heal(self) -> None:
        """Everybody syncs with everybody, over servers and the share, until nothing is new."""
        for _ in range(2):
            for name in PEOPLE:
                for peer in PEOPLE:
                    if peer != name:
                        start(self.root, "-C", name, "sync", self.server(peer).address).end()
                code, said = start(self.root, "-C", name, "sync", SHARE).end()
                assert code == 0, said

    def check(self) -> None:
        """All replicas have one state, one root, all tensors, no damage; and what was promised."""
        states = {name: self.state(name) for name in (*PEOPLE, SHARE)}
        admissible = {name: set(state.admissible.by_id()) for name, state in states.items()}
        for name in (*PEOPLE, SHARE):
            assert admissible[name] == admissible["alice"], f"{name} differs from alice"
            assert states[name].visible() == states["alice"].visible()
            found = inspect(self.root / name)
            assert found.ok, (name, found.damaged, found.missing)
        everything = set().union(*(state.by_id() for state in states.values()))
        assert self.promised <= everything, f"lost: {self.promised - everything}"
        maintainers = states["alice"].genesis.maintainers
        lasting = {one.id for state in states.values() for one in state.operations if one.author in maintainers}
        assert self.promised & lasting <= admissible["alice"]
        roots = set()
        for name in PEOPLE:
            out = self.root / "out" / name
            shutil.rmtree(out, ignore_errors=True)
            opened = ma.Workspace.open(self.root / name)
            roots.add(opened.resolve(out, attest=False, backend="numpy", threads=1).model_root)
        assert len(roots) == 1, roots
