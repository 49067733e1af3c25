"""Rounds of commands of three people, of which any process may die at any moment, and much else goes wrong."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults.processes import start
from tests.faults.team import GUESTS, MODELS, PEOPLE, SHARE, Team
from tests.faults.wires import Change, cut_at, delayed, flipped, lost_at, wire_apart

#: How often each verb is drawn.
VERBS = {"contribute": 5, "retract": 2, "grant": 1, "revoke": 1, "keep": 1, "sync": 8, "resolve": 1, "gc": 1, "fsck": 1}
#: Seconds by which a clock may jump: a day, a century back and forth, and to before 1970.
JUMPS = (86_400.0, 3_000_000_000.0, -1_000_000_000.0, -3_000_000_000.0)
YEAR_2100 = 4_102_444_800
#: What a command may end with: done, one clear line, killed.
ENDS = (0, 1, -9)


@dataclass
class Campaign:
    """One history. ended: how often commands ended with each status. happened: what went wrong how often."""

    team: Team
    random: Random
    usual: dict[str, float] = field(default_factory=dict)
    ended: Counter[int] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)

    def run(self, events: int) -> None:
        """Let so many things happen, then heal and check."""
        with self.team.closing():
            for _ in range(events):
                self._event()
            for name in PEOPLE:
                self.team.kill_server(name)
            self.team.heal()
            self.team.check()

    def _event(self) -> None:
        name = self.random.choice(PEOPLE)
        match self.random.choices(("command", "twice", "backup", "restore", "server dies"), (16, 3, 1, 1, 2))[0]:
            case "command":
                self._command(name)
            case "twice":
                self._command(name, at_once=2)
            case "backup":
                self.team.back_up(name)
            case "restore":
                self.happened["restored"] += name in self.team.backups
                self.team.restore(name)
            case "server dies":
                self.happened["server died"] += 1
                self.team.kill_server(name)
            case other:
                raise ValueError(other)

    def _command(self, name: str, at_once: int = 1) -> None:
        """One command of a person, or several in one workspace at one moment; each may be killed."""
        verbs = self.random.choices(list(VERBS), list(VERBS.values()), k=at_once)
        self.happened["two processes"] += at_once - 1
        codes = []
        with contextlib.ExitStack() as wires:
            typed = [self._words(name, verb, wires) for verb in verbs]
            clock = self.random.choice(JUMPS) if self.random.random() < 0.1 else 0.0
            self.happened["clock jumped"] += bool(clock)
            running = [start(self.team.root, "-C", name, *words, clock=clock) for words in typed]
            for verb, one in zip(verbs, running, strict=False):
                dies = self.random.random() < 0.4
                if dies and verb == "sync" and self.random.random() < 0.3:
                    self._kill_a_server()
                code, said = one.end(self.random.uniform(0, 1.2 * self.usual.get(verb, 0.05)) if dies else None)
                assert code in ENDS, f"{one.words} ended with {code}: {said}"
                assert "TRACEBACK" not in said, said
                assert code != 1 or said.splitlines()[-1].startswith(("mergealgebra: ", "warning: ")), said
                codes.append(code)
        self.ended.update(codes)
        if 0 in codes:
            self.team.promise(name)

    def _words(self, name: str, verb: str, wires: contextlib.ExitStack) -> list[str]:
        """What somebody types."""
        pick = self.random.choice
        typed: dict[str, Callable[[], list[str]]] = {
            "contribute": lambda: [f"ft{pick(range(MODELS))}.safetensors", "--coefficient", f"0.{pick(range(1, 99))}"],
            "retract": lambda: [pick(sorted(self.team.state(name).visible()) or ["nothing"])],
            "grant": lambda: [f"{(who := pick((*GUESTS, 'carol')))}-key.pub", "--name", who],
            "revoke": lambda: [f"{pick((*GUESTS, 'carol'))}-key.pub"],
            "keep": lambda: [f"{pick((*GUESTS, 'carol'))}-key.pub"],
            "sync": lambda: [self._peer(name, wires)],
            "resolve": lambda: [f"made/{self.random.getrandbits(64):x}", "--backend", "numpy", "--threads", "1"],
            "gc": lambda: ["--delete", "--cache"],
            "fsck": lambda: ["--repair", SHARE],
        }
        return [verb, *typed[verb]()]

    def _peer(self, name: str, wires: contextlib.ExitStack) -> str:
        """The share, a folder or a server of somebody else's."""
        other = self.random.choice([peer for peer in PEOPLE if peer != name])
        kind = self.random.choice(("share", "folder", "server", "server", "server"))
        return {"share": SHARE, "folder": other}.get(kind) or self._reached(other, wires)

    def _reached(self, peer: str, wires: contextlib.ExitStack) -> str:
        """The address of a peer's server, perhaps over a bad wire."""
        server = self.team.server(peer)
        if self.random.random() < 0.3:
            return server.address
        self.happened["bad wire"] += 1
        return wires.enter_context(wire_apart(server.address, self._change(), server.wired))

    def _change(self) -> Change:
        at = self.random.randrange(6000)
        return self.random.choice(
            (cut_at(at), delayed(0.01), flipped(at, self.random.randrange(8)), lost_at(at, 100), cut_at(0))
        )

    def _kill_a_server(self) -> None:
        """Of a peer, in the middle of what it answers."""
        self.happened["server died"] += 1
        self.team.kill_server(self.random.choice(PEOPLE))


def campaigns(root: Path, seed: int, count: int) -> Iterator[Campaign]:
    """Histories from seeds on, each in a folder of its own."""
    for number in range(seed, seed + count):
        folder = root / str(number)
        folder.mkdir()
        yield Campaign(Team.made(folder), Random(number))
