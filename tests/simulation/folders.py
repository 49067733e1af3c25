"""The simulation of folders: real workspaces and exchange folders on a disk whose power fails.

    recipe angles                              first, by what all merge; TIES if left out
    contribute r0 c1 t5 m3 [dies CALLS MASK]   replica 0 publishes contribution 1; its operation is fact 3
    retract r0 c1 t6 m4 [dies ...]             it takes back every add of it that it knows
    sync r0 x1 [dies ...]                      with another replica, an exchange folder, or a copy made long ago
    resolve r0 numpy|auto keep|plain [dies ...]
    clone r0 x1 [dies ...]                     replica 0 is thrown away, and made anew from a peer
    copy r0 s7 / restore r0 s7                 a backup, or a peer that lags behind / the backup is put back
    ferry x0 x1 MASK                           some other program copies some files, in no order that we know
    lose x0 blobs|operations NUMBER            a file vanishes
    damage x0 HOW NUMBER                       a file is no longer what it was
    repair x0                                  its owner deletes what the error messages say is damaged
    cut r0                                     it changes to the other side of the network
    power MASK                                 the power fails: what was not flushed is lost, but for a lucky bit

`dies CALLS MASK`: the power fails when the command has made so many writing calls, or right after its end.

The model of a folder is its files, byte for byte: what each command leaves is foretold from them and compared.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import mergealgebra as ma
from mergealgebra.crdt.operations import Operation
from mergealgebra.errors import MergeAlgebraError
from tests.simulation.disk import PowerDisk
from tests.simulation.files import Files, Foretold, as_read, damage_file, genesis_is_good
from tests.simulation.history import Broken, insist
from tests.simulation.places import NOTHING, Places
from tests.simulation.scenery import PUBLICATIONS, Outcome, Scenery, digest, outcome_of
from tests.simulation.seams import World, decoded_once, replaced


class Folders(Places):
    """One history of folders. `run` raises Broken as soon as a law does not hold."""

    def __init__(self, scenery: Scenery, world: World, disk: PowerDisk, root: Path) -> None:
        super().__init__(scenery, disk, root)
        self._world, self._foretold = world, Foretold(scenery)
        self._outs = 0

    def run(self, events: Iterable[str]) -> str:
        """Do what happens, then heal the network. Returns a digest of what every folder ends with."""
        with replaced(Operation, decode=decoded_once("decode")):
            for event in events:
                kind, *words = event.split()
                self.EVENTS[kind](self, *words)
            self._heal()
        return digest(repr(sorted((name, sorted(files.items())) for name, files in self._files.items())).encode())

    # What owners do

    def _contribute(self, name: str, contribution: str, time: str, fact: str, *death: str) -> None:
        self._world.fact, self._world.now = fact, int(time[1:])
        before = self._replica(name)
        after = self._foretold.contribute(before, contribution, fact, self._world.now)

        def command() -> None:
            self._scenery.contribute(self._open(name), contribution)

        self._do(command, {name: (before, after)}, death)

    def _retract(self, name: str, contribution: str, time: str, fact: str, *death: str) -> None:
        self._world.now = int(time[1:])
        before = self._replica(name)
        after = self._foretold.retract(before, contribution, fact, self._world.now)
        id_ = self._scenery.manifests[contribution].id
        self._do(lambda: self._open(name).retract(id_), {name: (before, after)}, death)

    def _sync(self, name: str, peer: str, *death: str) -> None:
        ours = self._replica(name)
        theirs = self._replica(peer) if peer[0] == "r" else self._files.get(peer, NOTHING)
        if peer == name or self._are_apart(name, peer) or (peer[0] == "s" and not theirs):
            return
        after = self._foretold.sync(ours, theirs)
        folders = {name: (ours, after and after.ours), peer: (theirs, after and after.theirs)}
        self._do(
            lambda: self._open(name).sync(self._path(peer), create=True),
            folders,
            death,
            incomplete=bool(after and after.refused),
        )

    def _clone(self, name: str, peer: str, *death: str) -> None:
        theirs = self._files.get(peer)
        if peer == name or theirs is None or self._are_apart(name, peer) or not genesis_is_good(self._scenery, theirs):
            return
        self._throw_away(name)
        after = self._foretold.sync(self._foretold.empty, theirs)
        insist("refusal", after is not None, f"nothing can be cloned from {peer}")
        folders = {name: (NOTHING, after.ours), peer: (theirs, after.theirs)}

        def command() -> None:
            ma.Workspace.clone(self._path(peer), self._path(name), base=self._scenery.path("base"))

        self._do(command, folders, death, incomplete=bool(after.refused) or self._foretold.lacks(after.ours))
        if not (self._path(name) / "local.json").exists():  # it died before there was a workspace
            self._clone(name, peer)

    def _resolve(self, name: str, backend: str, keep: str, *death: str) -> None:
        before = self._replica(name)
        self._outs += 1
        out = self._root / "out" / str(self._outs)
        visible = self._foretold.visible(before)
        after = self._foretold.resolve(before, name in self._kept and keep == "keep" and self._scenery.keeps)
        made: list[Any] = []

        def command() -> None:
            how = {"backend": backend, "threads": 1, "keep_aggregate": "always" if keep == "keep" else False}
            made.append(self._open(name).resolve(out, **how))
            if after.files is not None:
                self._judge_outcome(name, outcome_of(made[0]), visible)

        lived = self._do(command, {name: (before, after.files)}, death, may_refuse=after.may_refuse)
        if keep == "keep":
            self._kept.add(name)
        insist("refusal", bool(made) or not lived or not out.exists(), f"{out.name} was refused and is there")
        insist("durable", not made or out.exists(), f"{out.name} was there and is not")

    def _judge_outcome(self, name: str, found: Outcome, visible: frozenset[str]) -> None:
        """What is resolved depends on what is visible alone [OS-7, LK-3]."""
        expected = self._scenery.outcome(visible)
        differing = [file for file in expected.files if found.files.get(file) != expected.files[file]]
        insist("model", found == expected, f"{name} resolves {sorted(visible)} to another {differing}")

    def _begin(self, recipe: str) -> None:
        """The scenery was chosen by it."""

    # What befalls folders

    def _copy(self, name: str, copy: str) -> None:
        if name in self._files:
            self._throw_away(copy)
            shutil.copytree(self._path(name), self._path(copy))
            self._files[copy] = dict(self._files[name])

    def _restore(self, name: str, copy: str) -> None:
        if copy in self._files:
            self._copy(copy, name)
            (self._path(name) / "local.json").write_bytes(self._scenery.local)

    def _ferry(self, source: str, target: str, mask: str) -> None:
        if source not in self._files or target not in self._files:
            return
        for number, (file, data) in enumerate(sorted(self._files[source].items())):
            if int(mask) >> number % 16 & 1 and file not in self._files[target]:
                self._put(target, file, data)

    def _lose(self, name: str, kind: str, number: str) -> None:
        files = sorted(file for file in self._files.get(name, NOTHING) if file.startswith(kind))
        if files:
            self._put(name, files[int(number) % len(files)], None)

    def _damage(self, name: str, how: str, number: str) -> None:
        for file, data in damage_file(self._files.get(name, NOTHING), how, int(number)).items():
            self._put(name, file, data)

    def _repair(self, name: str) -> None:
        if name in self._files:
            for file in self._foretold.bad_files(self._files[name]):
                self._put(name, file, None)
            self._put(name, "genesis", self._scenery.genesis.encode())

    def _cut(self, name: str) -> None:
        self._cut_off ^= {name}

    def _power(self, mask: str) -> None:
        self._disk.cut(int(mask))
        for name in self._files:
            self._compare(name, self._files[name], "durable")

    EVENTS: ClassVar[Mapping[str, Callable[..., None]]] = {
        "recipe": _begin,
        "contribute": _contribute,
        "retract": _retract,
        "sync": _sync,
        "clone": _clone,
        "resolve": _resolve,
        "copy": _copy,
        "restore": _restore,
        "ferry": _ferry,
        "lose": _lose,
        "damage": _damage,
        "repair": _repair,
        "cut": _cut,
        "power": _power,
    }

    # How it is done

    def _do(
        self,
        command: Callable[[], Any],
        folders: dict[str, tuple[Files, Files | None]],
        death: tuple[str, ...],
        *,
        incomplete: bool = False,
        may_refuse: bool = False,
    ) -> bool:
        """Run a command and compare what it leaves with what was foretold. Returns whether it came to its end.

        folders: for each folder its files before, and after; None after a refusal. incomplete: it does its work, and
        then refuses. may_refuse: both are lawful.
        """
        refused: list[Exception] = []

        def guarded() -> None:
            try:
                command()
            except MergeAlgebraError as error:
                refused.append(error)
            except Broken:
                raise
            except Exception as error:
                raise Broken("error", f"{type(error).__name__}: {error}") from error

        lived = self._disk.run(guarded, int(death[1]) if death else None)
        if death:
            self._disk.cut(int(death[2]))
        for name, (before, after) in folders.items():
            after = before if after is None or (refused and not incomplete) else after
            if lived:
                self._compare(name, after, "durable" if death else "held")
            else:
                self._compare_torn(name, before, after)
        must_refuse = incomplete or any(after is None for _, after in folders.values())
        if lived and not may_refuse:
            insist("refusal", bool(refused) == must_refuse, f"refused was {refused or 'nothing'}")
        return lived

    # What must hold

    def _compare(self, name: str, expected: Files, law: str) -> None:
        """The files of a folder are the expected ones, and what it shows is what the model says."""
        found, before = as_read(self._path(name)), self._files.get(name)
        for file in sorted(found.keys() | expected.keys()) if found != expected else ():
            if found.get(file) != expected.get(file):
                self._explain(name, file, found.get(file), expected.get(file), law)
        self._files[name] = found
        if found != before:
            self._judge(name)

    def _explain(self, name: str, file: str, found: bytes | None, expected: bytes | None, law: str) -> None:
        if found is not None and not self._foretold.is_good(file, found):
            raise Broken("admission" if law == "held" else law, f"{name}/{file} is not what its name promises")
        what = "is missing" if found is None else "is there" if expected is None else "was replaced"
        raise Broken("blobs" if law == "held" and "blobs" in file else law, f"{name}/{file} {what}")

    def _compare_torn(self, name: str, before: Files, after: Files) -> None:
        """Every file is as before or as after, removes before adds [SY-2, SY-8]."""
        found = as_read(self._path(name))
        for file in sorted(found.keys() | before.keys() | after.keys()):
            if found.get(file) not in (before.get(file), after.get(file)):
                self._explain(name, file, found.get(file), before.get(file), "between")
        shown, allowed = self._foretold.visible(found), self._foretold.visible(before) | self._foretold.visible(after)
        insist("between", shown <= allowed, f"{name} shows {sorted(shown - allowed)} halfway")
        if found or before:
            self._files[name] = found
            self._judge(name)

    def _judge(self, name: str) -> None:
        """What a replica shows is what the model says [OS-9, OS-11]."""
        files = self._files[name]
        if name[0] != "r" or not (self._path(name) / "local.json").exists():
            return None
        try:
            state = self._open(name).state
        except MergeAlgebraError as error:
            return insist("refusal", not self._foretold.is_sound(files), f"{name} does not open: {error}")
        insist("admission", self._foretold.is_sound(files), f"{name} opens, and holds what is damaged")
        shown, expected = list(state.visible()), self._foretold.visible(files)
        named = {self._scenery.names.get(id_, id_) for id_ in shown}
        insist("visible", named == expected, f"{name} shows {sorted(named)}, the model {sorted(expected)}")
        return insist("order", shown == sorted(shown), f"{name} shows {shown}")

    def _heal(self) -> None:
        """Everything damaged is deleted, everyone syncs with everyone, and what was taken back is added again."""
        insist("identity", len(self._scenery.names) == len(PUBLICATIONS), "two contributions have one id")
        self._cut_off.clear()
        live = sorted(name for name in self._files if name[0] != "s")
        for name in live:
            self._repair(name)
        replicas = [name for name in live if name[0] == "r"] or ["r0"]
        hub, last = replicas[0], replicas[-1]
        for peer in live:
            self._sync(hub, peer)
        for contribution in sorted(PUBLICATIONS.keys() - self._foretold.visible(self._replica(hub)))[:1]:
            self._contribute(hub, contribution, "t1", "m-again")
        for peer in live:
            self._sync(hub, peer)
        for name in live:
            same = _operations_in(self._files[name]) == _operations_in(self._files[hub])
            insist("convergence", same, f"{name} and {hub} hold other operations")
        insist("convergence", self._open(hub).merge_id == self._open(last).merge_id, f"{hub} and {last} differ")
        self._resolve(last, "numpy", "plain")


def _operations_in(files: Files) -> set[str]:
    return {file for file in files if file.startswith("operations/")}
