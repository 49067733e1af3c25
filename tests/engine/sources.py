"""Sources of tensors in memory that count what is read of them, and merges of them that are judged by sorting."""

from __future__ import annotations

import threading
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mergealgebra.algebra.trim import kept_count
from mergealgebra.engine.backends import backend
from mergealgebra.engine.merged_spans import Totals
from mergealgebra.engine.plan import Plan, make_plan
from mergealgebra.engine.run import run
from mergealgebra.engine.sources import Contribution
from mergealgebra.methods.method import Method
from mergealgebra.methods.ties import Ties
from mergealgebra.progress import quiet
from mergealgebra.tensors.dtypes import name_of

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Record:
    """What a source says of a tensor."""

    dtype: str
    shape: tuple[int, ...]
    size: int


class Arrays:
    """A source. reads: (name, start, stop) of each read, in any order."""

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self.tensors = dict(sorted(tensors.items()))
        self.records = {name: Record(name_of(x), x.shape, x.size) for name, x in self.tensors.items()}
        self.reads: list[tuple[str, int, int]] = []
        self._lock = threading.Lock()

    def read(self, name: str, start: int = 0, stop: int | None = None, into: memoryview | None = None) -> np.ndarray:
        stop = self.records[name].size if stop is None else stop
        with self._lock:
            self.reads.append((name, start, stop))
        return self.tensors[name].reshape(-1)[start:stop]

    @property
    def size(self) -> int:
        """How many elements there are."""
        return sum(record.size for record in self.records.values())

    @property
    def elements_read(self) -> int:
        """How many elements were read, each as often as it was."""
        return sum(stop - start for _, start, stop in self.reads)


def plan_of(
    vectors: Sequence[Arrays | Mapping[str, np.ndarray]], recipe: Method, base: Arrays | None = None, **how
) -> Plan:
    """The merge of task vectors into a base of zeros, on NumPy, if nothing else is said. Each has a root of its own."""
    sources = [vector if isinstance(vector, Arrays) else Arrays(vector) for vector in vectors]
    shapes = {name: record.shape for source in sources for name, record in source.records.items()}
    base = base or Arrays({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    form = how.pop("form", "task_vector")
    contributions = [
        Contribution(f"vector {i}", form, 1.0, source, frozenset(source.records), f"{i:064x}")
        for i, source in enumerate(sources)
    ]
    name = how.pop("name", "numpy")
    return make_plan(base, contributions, recipe, backend(name), **how)


def merged(plan: Plan, cache: MutableMapping[str, bytes] | None = None, progress=quiet) -> tuple[Tensors, Totals]:
    """The merged tensors, flat, and what was counted."""
    totals = Totals()
    found = {name: np.empty(record.size, np.float32) for name, record in plan.base.records.items()}
    for piece in run(plan, totals, progress, base_root="0" * 64, cache=cache):
        found[piece.span.name][piece.span.start : piece.span.stop] = piece.data
    return found, totals


def trimmed_by_sorting(vector: Mapping[str, np.ndarray], recipe: Ties) -> Tensors:
    """A task vector trimmed as TI-2 to TI-5 say, word by word."""
    names = sorted(vector)
    parts = [names] if recipe.scope == "model" else [[name] for name in names]
    return {name: x for group in parts for name, x in _trimmed(vector, group, recipe).items()}


def _trimmed(vector: Mapping[str, np.ndarray], names: Sequence[str], recipe: Ties) -> Tensors:
    flat = np.concatenate([np.zeros(0, np.float32), *(vector[name].reshape(-1) for name in names)])
    trimmed = np.zeros_like(flat)
    if flat.size:
        m = kept_count(Fraction(recipe.density), flat.size)
        magnitudes = np.abs(flat)
        t = np.sort(magnitudes)[-m]
        keep = (magnitudes >= t) & (flat != 0)
        if recipe.boundary == "lowest_index":
            above = int(np.count_nonzero(magnitudes > t))
            keep[np.flatnonzero((magnitudes == t) & (flat != 0))[m - above :]] = False
        trimmed[keep] = flat[keep]
    ends = np.cumsum([vector[name].size for name in names])[:-1]
    return dict(zip(names, np.split(trimmed, ends), strict=True))
