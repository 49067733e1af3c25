"""Running histories: one, many, until one fails; and telling of a failure in a form that can be run again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mergealgebra.crdt.manifest import Manifest
from tests.simulation import draw_folders, draw_sets, draw_stores, draw_teams
from tests.simulation.contributions import MORE_TENSORS, Contributions
from tests.simulation.disk import ALL_DEADLY, PowerDisk
from tests.simulation.folders import Folders
from tests.simulation.history import Broken, History
from tests.simulation.scenery import RECIPES, Scenery
from tests.simulation.seams import merged_by, taken_over
from tests.simulation.sets import Sets
from tests.simulation.shrink import shrunk
from tests.simulation.stores import Stores
from tests.simulation.teams import Teams

#: Plays a history to its end and returns a digest of it, or raises Broken.
Play = Callable[[History], str]

DRAWS = {
    "sets": draw_sets.draw_events,
    "teams": draw_teams.draw_events,
    "stores": draw_stores.draw_events,
    "folders": draw_folders.draw_events,
}
_MEMORY = Path("/dev/shm")  # a folder in memory, where there is one


@dataclass(frozen=True)
class Failure:
    """A history that breaks a law. seed: what it was drawn from; None if it was read from a file."""

    history: History
    broken: Broken
    seed: int | None = None

    def to_text(self, *remarks: str) -> str:
        """The history as a file, with what it breaks and how to run it again."""
        drawn = () if self.seed is None else (f"cut down from seed {self.seed} of {self.history.level}",)
        told = f"breaks the law {' '.join(str(self.broken).split())}"
        return self.history.to_text(*drawn, told, *remarks, "run it again: python -m tests.simulation --replay FILE")


@contextmanager
def stage(level: str) -> Iterator[Play]:
    """Where histories of a level are played. What the product makes of the scenery is made once for all of them."""
    if level == "sets":
        contributions = Contributions()
        yield lambda history: _played_on_sets(history, contributions)
        return
    if level == "teams":
        manifests = Contributions().manifests
        yield lambda history: _played_on_teams(history, manifests)
        return
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as name:
        folder = Path(name)
        if level == "stores":
            manifests = Contributions(MORE_TENSORS).manifests
            yield lambda history: _played_on_stores(history, manifests, folder / "history")
            return
        with merged_by(1 << 30):  # the model knows files of one operation; `stores` has packs
            sceneries = {name: Scenery(folder / name, recipe) for name, recipe in RECIPES.items()}
            yield lambda history: _played_on_folders(history, sceneries[history.recipe], folder / "history")


def drawn(level: str, seed: int) -> History:
    """The history of a seed."""
    return History(level, DRAWS[level](seed))


def failure_of(play: Play, history: History) -> Broken | None:
    """The law that a history breaks, if it does. An error that nobody expects breaks one too."""
    try:
        play(history)
    except Broken as broken:
        return broken
    except Exception as error:
        return Broken("error", f"{type(error).__name__}: {error}")
    return None


def first_failure(play: Play, level: str, seeds: Iterable[int]) -> Failure | None:
    """The first seed whose history fails, as it was drawn."""
    for seed in seeds:
        if broken := failure_of(play, drawn(level, seed)):
            return Failure(drawn(level, seed), broken, seed)
    return None


def minimal(play: Play, failure: Failure) -> Failure:
    """A shortest history that breaks the same law."""

    def fails(history: History) -> bool:
        broken = failure_of(play, history)
        return broken is not None and broken.law == failure.broken.law

    history = shrunk(failure.history, fails)
    return Failure(history, failure_of(play, history) or failure.broken, failure.seed)


def _played_on_sets(history: History, contributions: Contributions) -> str:
    with taken_over() as world:
        return Sets(contributions, world).run(history.events)


def _played_on_teams(history: History, manifests: dict[str, Manifest]) -> str:
    with taken_over() as world:
        return Teams(manifests, world).run(history.events)


def _played_on_stores(history: History, manifests: dict[str, Manifest], folder: Path) -> str:
    with _made(folder), taken_over() as world:
        return Stores(manifests, world, PowerDisk(folder, ALL_DEADLY), folder).run(history.events)


def _played_on_folders(history: History, scenery: Scenery, folder: Path) -> str:
    with _made(folder), taken_over() as world:
        return Folders(scenery, world, PowerDisk(folder), folder).run(history.events)


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """A folder for one history; what is broken in it is told alike wherever it is played."""
    folder.mkdir()
    try:
        yield
    except Broken as broken:
        raise Broken(broken.law, broken.found.replace(f"{folder}/", "")) from broken
    finally:
        shutil.rmtree(folder)
