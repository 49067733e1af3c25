"""A workspace over time: the second `resolve`, and adding one contribution to many."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from floor import floors
from measure import Command, measure_by_turns, remove, run
from ours import Models, Replica, has_option, models
from settings import AGAIN, FULL_RESOLVE, KEPT, Settings, Skipped

KEEP = "--keep-aggregate"
KEEP_ALWAYS = f"{KEEP}=always"
DTYPE = "bf16"


def measure_cached(settings: Settings) -> dict[str, Any]:
    """`contribute`, the first `resolve`, and further ones, whose thresholds are known, against the floor."""
    found = []
    for dtype in settings.scale.dtypes:
        made = models(settings, settings.scale.parameters, settings.scale.finetunes, dtype)
        replica = Replica(settings, settings.out / f"cached-{dtype}", made.base)
        for finetune in made.finetunes:
            words = replica.contribution(finetune)
            found += measure_by_turns([Command(made.labels("contribute", path=finetune.name), words, 1, (finetune,))])
        found += measure_by_turns([_resolve(settings, made, replica, "first resolve", 1)])
        again = _resolve(settings, made, replica, AGAIN, settings.scale.runs)
        found += measure_by_turns([again, *floors(settings, made)])
        remove([replica.path])
    return {"measurements": found}


def _resolve(settings: Settings, made: Models, replica: Replica, name: str, runs: int) -> Command:
    out = settings.out / "resolved"
    return Command(made.labels(name), replica.resolve(out), runs, (made.base, replica.path), (out,))


def measure_incremental(settings: Settings) -> dict[str, Any]:
    """Adding one contribution to n - 1: with the aggregate of those kept, and without. Raises Skipped.

    Each run adds a fine-tune that its workspace has never seen, so that no cache knows its threshold.
    """
    if not has_option("resolve", KEEP):
        raise Skipped(f"this version has no `resolve {KEEP}`")
    counts, runs = settings.scale.incremental_counts, min(3, settings.scale.runs)
    made = models(settings, settings.scale.incremental_parameters, counts[-1] - 1 + runs * len(counts), DTYPE)
    ways = [_Way(settings, made, KEEP_ALWAYS), _Way(settings, made)]
    found, sizes = [], {}
    for count in counts:
        for way in ways:
            way.grow(count - 1)
        sizes[count] = (ways[0].replica.stored_bytes() - ways[1].replica.stored_bytes()) / made.parameters
        found += measure_by_turns([way.command(count, runs) for way in ways])
        for way in ways:
            way.forget()
    return {"measurements": found, "aggregate_bytes_per_parameter": sizes}


class _Way:
    """One way of resolving, with a workspace of its own that grows."""

    def __init__(self, settings: Settings, made: Models, *options: str) -> None:
        self._settings, self._made, self._options = settings, made, options
        self._name = KEPT if options else FULL_RESOLVE
        self._out = settings.out / self._name.replace(" ", "-")
        self.replica = Replica(settings, settings.out / f"workspace-{self._out.name}", made.base)
        self._unseen: Iterator[Path] = iter(made.finetunes)
        self._size = 0
        self._newest: str | None = None

    def grow(self, size: int) -> None:
        """Contribute until there are so many, and resolve."""
        self.replica.contribute_all(list(islice(self._unseen, size - self._size)))
        self._size = size
        self._settle()

    def forget(self) -> None:
        """Take the newest contribution back, so that there are as many as `grow` made."""
        if self._newest is not None:
            self.replica.retract(self._newest)
            self._newest = None

    def command(self, count: int, runs: int) -> Command:
        """Resolve after one new contribution, another one in each run."""
        labels = self._made.first(count).labels(self._name)
        words = self.replica.resolve(self._out, *self._options)
        reads = (self._made.base, self.replica.path)
        return Command(labels, words, runs, reads=reads, writes=(self._out,), before=self._renew)

    def _renew(self) -> None:
        if self._newest is not None:
            self.forget()
            self._settle()
        self._newest = self.replica.contribute(next(self._unseen))

    def _settle(self) -> None:
        """Resolve what is there, so that what can be kept of it is kept."""
        remove([self._out])
        run(self.replica.resolve(self._out, *self._options))
        remove([self._out])
