"""Many replicas of a workspace that hear of contributions in many orders, and the model that each of them resolves.

Real states, contributions and merges; only the network is drawn from a seed. For each order every contribution is added
somewhere, one of them is taken back, the network is cut into parts that gossip, and heals.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import mergealgebra as ma
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.orset import ORSet
from mergealgebra.execution import Execution
from mergealgebra.methods.method import Method
from mergealgebra.resolve import open_merge, resolve
from mergealgebra.store.holdings import blobs_here
from mergealgebra.store.objects import Store
from mergealgebra.wanted import Wanted

PARTS = 4
LAWS = ("commutative", "associative", "idempotent")
SHAPES = {"embed": (16, 8), "bias": (20,)}


@dataclass(frozen=True)
class Team:
    """A base and contributions to it, in files. blobs: by tensors root."""

    base: Path
    manifests: Sequence[Manifest]
    blobs: Mapping[str, Path]

    @classmethod
    def made(cls, folder: Path, models: int) -> Team:
        """A random base and so many fine-tunes of it, contributed in a workspace."""
        rng = np.random.default_rng(0)
        base = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
        workspace = ma.Workspace.init(folder / "made", base=_written(folder / "base", base), recipe=ma.Mean())
        for number in range(models):
            tuned = {n: a + rng.standard_normal(a.shape).astype(np.float32) / 10 for n, a in base.items()}
            workspace.contribute(_written(folder / f"model{number}", tuned))
        manifests = list(workspace.visible().values())
        return cls(folder / "base.safetensors", manifests, blobs_here(Store.open(folder / "made"), manifests))


@dataclass(frozen=True)
class Outcome:
    """What came of it. laws: which of the three held. roots: how many models came out; one when all replicas agree.

    files: how many files of models. resolved: how many replicas resolved. join: the median seconds of a join.
    """

    laws: Mapping[str, bool]
    roots: int
    files: int
    resolved: int
    joins: int
    join: float

    @property
    def agrees(self) -> bool:
        """Whether all laws held, and all replicas and orders gave one model."""
        return all(self.laws.values()) and (self.roots, self.files) == (1, 1)


def played(team: Team, recipe: Method, folder: Path, replicas: int, orders: int, seed: int = 0) -> Outcome:
    """Play so many orders with so many replicas. Of the first order all replicas resolve, of each other one five."""
    genesis = Genesis(team.manifests[0].base, "replicas", recipe.to_map())
    roots, files, resolved, times = set(), set(), 0, []
    for order in range(orders):
        dice = random.Random(f"{seed} {order}")
        states = gossiped(team, ORSet(genesis), dice, replicas, times)
        chosen = states if order == 0 else dice.sample(states, min(5, replicas))
        roots |= {model_root(team, state, recipe, dice) for state in chosen}
        resolved += len(chosen)
        if order < 3:
            files.add(_file(team, states[order], recipe, folder / f"{order}"))
    return Outcome(laws(team, genesis, recipe), len(roots), len(files), resolved, len(times), statistics.median(times))


def gossiped(team: Team, empty: ORSet, dice: random.Random, replicas: int, times: list[float]) -> list[ORSet]:
    """The states after everything was said and everybody heard it."""
    states = [empty] * replicas
    for manifest in dice.sample(team.manifests, len(team.manifests)):
        at = dice.randrange(replicas)
        states[at] = _joined(
            states[at], states[at].add(manifest, dice.randbytes(16), time=dice.randrange(10**6)), times
        )
    everybody = dice.sample(range(replicas), replicas)
    for part in (everybody[i::PARTS] for i in range(PARTS)):
        _talk(states, part, dice, times)
    gone = team.manifests[0].id
    knows = dice.choice([at for at in everybody if gone in states[at].visible()])
    states[knows] = _joined(states[knows], states[knows].remove(gone), times)
    while len({state.operations for state in states}) > 1:
        _talk(states, everybody, dice, times)
    return states


def _talk(states: list[ORSet], part: Sequence[int], dice: random.Random, times: list[float]) -> None:
    """Everybody in this part of the network exchanges all that they hold with one other, or hears of it only."""
    for at in dice.sample(part, len(part)):
        peer = dice.choice(part)
        states[at] = _joined(states[at], states[peer], times)
        if dice.random() < 0.5:
            states[peer] = _joined(states[peer], states[at], times)


def _joined(one: ORSet, other: ORSet, times: list[float]) -> ORSet:
    begin = time.perf_counter()
    joined = one.join(other)
    times.append(time.perf_counter() - begin)
    return joined


def laws(team: Team, genesis: Genesis, recipe: Method) -> dict[str, bool]:
    """The three laws of the join, of states and of the models that they resolve to, on three states that overlap."""
    dice = random.Random(1)
    adds = [ORSet(genesis).add(manifest, dice.randbytes(16)) for manifest in team.manifests]
    a, b, c = (_all(genesis, adds[i::2] + adds[i : i + 2]) for i in range(3))

    def same(left: ORSet, right: ORSet) -> bool:
        return left == right and model_root(team, left, recipe, dice) == model_root(team, right, recipe, dice)

    held = same(a | b, b | a), same((a | b) | c, a | (b | c)), same(a | a, a)
    return dict(zip(LAWS, held, strict=True))


def _all(genesis: Genesis, states: Iterable[ORSet]) -> ORSet:
    joined = ORSet(genesis)
    for state in states:
        joined = joined | state
    return joined


def model_root(team: Team, state: ORSet, recipe: Method, dice: random.Random) -> str:
    """The root of the model that a replica resolves, with threads and blocks of its own."""
    execution = Execution("numpy", threads=dice.choice((1, 2)), block=dice.choice((7, 64, 4096)))
    with open_merge(Wanted.visible(state, recipe), team.base, team.blobs, execution) as merge:
        return merge.compute().model_root


def _file(team: Team, state: ORSet, recipe: Method, out: Path) -> bytes:
    resolve(Wanted.visible(state, recipe), team.base, team.blobs, out, Execution("numpy", threads=1))
    return (out / "model.safetensors").read_bytes()


def _written(path: Path, tensors: Mapping[str, np.ndarray]) -> Path:
    file = path.with_suffix(".safetensors")
    save_file(dict(tensors), file)
    return file
