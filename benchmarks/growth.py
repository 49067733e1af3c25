"""How time and memory grow: with the number of fine-tunes, and with the size of the model."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from floor import floors
from measure import Command, measure_by_turns
from ours import Models, merge, models
from settings import OURS, TWICE, Settings, Skipped

DTYPE = "bf16"
ITEM_BYTES = 2
#: More than this share of the machine's memory in files, and they would not stay in the page cache.
CACHE_SHARE = 0.75


def grow_count(settings: Settings) -> dict[str, Any]:
    """Merges of 1, 2, 4, ... fine-tunes of one model."""
    scale = settings.scale
    _check_page_cache(scale.parameters * (scale.counts[-1] + 2))
    made = models(settings, scale.parameters, scale.counts[-1], DTYPE)
    return {"measurements": measure_by_turns([_merge(settings, made.first(count)) for count in scale.counts])}


def grow_size(settings: Settings) -> dict[str, Any]:
    """Merges of a few fine-tunes of models from small to large, and once of twice as many of the largest."""
    scale = settings.scale
    _check_page_cache(scale.sizes[-1] * (scale.size_finetunes + 2))
    made = [models(settings, size, scale.size_finetunes, DTYPE) for size in scale.sizes]
    commands = [command for size in made for command in (_merge(settings, size), _floor(settings, size))]
    return {"measurements": [*measure_by_turns(commands), *measure_by_turns([_each_twice(settings, made[-1])])]}


def _merge(settings: Settings, made: Models) -> Command:
    out = settings.out / f"merged-{made.parameters}-{len(made.finetunes)}"
    return Command(made.labels(OURS), merge(settings, made, out), _runs(settings), made.paths, (out,))


def _floor(settings: Settings, made: Models) -> Command:
    return replace(floors(settings, made)[0], runs=_runs(settings))


def _each_twice(settings: Settings, made: Models) -> Command:
    """Every fine-tune twice, with another coefficient: as many contributions again from the same files.

    So the memory of many contributions to a large model shows on a machine whose page cache could not hold them.
    """
    twice = replace(made, finetunes=made.finetunes * 2)
    count = len(made.finetunes)
    out = settings.out / "twice"
    words = merge(settings, twice, out, coefficients=["1"] * count + ["0.5"] * count)
    return Command(twice.labels(TWICE), words, 1, reads=made.paths, writes=(out,))


def _runs(settings: Settings) -> int:
    """Three runs are enough here: what is told is a slope over many points."""
    return min(3, settings.scale.runs)


def _check_page_cache(elements: int) -> None:
    """Refuse what would measure the disk. Raises Skipped."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    needed = elements * ITEM_BYTES
    if needed > CACHE_SHARE * memory:
        raise Skipped(
            f"its files, {needed / 1e9:.0f} GB, do not fit the page cache of a machine of {memory / 1e9:.0f} GB"
        )
