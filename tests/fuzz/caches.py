"""What is kept to save time: it may hold anything at all, and changes neither a bit nor the way a merge ends [SY-9]."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import mergealgebra as ma
from mergealgebra.algebra.method import Group
from mergealgebra.disk import opened_folder
from mergealgebra.engine.answers import pack, unpack
from mergealgebra.engine.faults import Faulty
from mergealgebra.engine.merged_spans import Stale
from mergealgebra.incremental.folder import Home
from mergealgebra.incremental.header import Header
from mergealgebra.incremental.seals import KEY_BYTES
from tests.engine.sources import merged, plan_of
from tests.fuzz.outer import SEAL

# Thresholds

RECIPE = ma.Ties(density="0.5", scope="tensor", boundary="lowest_index")
STATISTIC = RECIPE.rounds[0].stages[0].statistic
#: Those of the merge below.
GROUPS = [Group(0, (name,), 4) for name in "ab"]


@cache
def _merge() -> tuple[Any, dict[str, bytes], dict[str, bytes]]:
    """A merge in which ties are cut, of two groups; the model, and the thresholds kept."""
    vector = {"a": np.array([1, -1, 2, 1], np.float32), "b": np.array([1, 3, -1, 1], np.float32)}
    plan = plan_of([vector], RECIPE, threads=1)
    kept: dict[str, bytes] = {}
    found, _ = merged(plan, kept)
    return plan, {name: array.tobytes() for name, array in found.items()}, kept


def kept_thresholds() -> bytes:
    """The right ones."""
    (data,) = _merge()[2].values()
    return data


def read_thresholds(data: bytes, folder: Path) -> list[Any] | None:
    return unpack(STATISTIC, data, GROUPS)


def check_thresholds(data: bytes, found: list[Any], folder: Path) -> None:
    """Whatever is kept, the model stays the same; and it is kept as it was read."""
    plan, expected, kept = _merge()
    assert unpack(STATISTIC, pack(STATISTIC, found), GROUPS) == found
    try:
        model, _ = merged(plan, dict.fromkeys(kept, data))
    except (Stale, Faulty):
        return  # refuted: the merge begins again without them
    assert {name: array.tobytes() for name, array in model.items()} == expected


# The header of an aggregate


def _home(folder: Path) -> Home:
    return Home(partial(opened_folder, folder / "aggregate"), lambda: bytes(KEY_BYTES))


def read_aggregate(data: bytes, folder: Path) -> Header | None:
    (folder / "aggregate").mkdir(exist_ok=True)
    (folder / "aggregate" / "header").write_bytes(data)
    with _home(folder).opened(len(data)) as opened:
        return opened.header


def check_aggregate(data: bytes, header: Header, folder: Path) -> None:
    """It is kept as it was read, and opening its pages, which are not there, does no harm."""
    again = Header.decode(header.encode(SEAL), SEAL)
    assert again is not None
    assert (again.recipe, again.entries, again.least) == (header.recipe, header.entries, header.least)
    assert (again.layout, again.token) == (header.layout, header.token)
    assert again.table.tobytes() == header.table.tobytes()
    with _home(folder).opened(len(data)) as opened, opened.pages(header) as pages:
        assert pages is None or header.layout.nbytes == 0
