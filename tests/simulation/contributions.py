"""Contributions of the simulation of sets: no two are alike, and each differs from some other in one thing alone."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from mergealgebra import encoding
from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.manifest import Manifest

BASE, OTHER_BASE = "b" * 64, "c" * 64
GENESIS = Genesis(base=BASE, name="simulation", recipe={"lambda": "1", "method": "mean"})
ONE, HALF = "3f800000", "3f000000"

_BYTES = encoding.tensor_root([bytes(range(24))])
_CHANGED = encoding.tensor_root([bytes(range(1, 25))])

#: The tensors of a contribution: name, dtype, shape, root [EN-7].
TENSORS = {
    "plain": [("a", "F16", (3, 4), _BYTES)],
    "another value": [("a", "F16", (3, 4), _CHANGED)],
    "another dtype": [("a", "BF16", (3, 4), _BYTES)],
    "another shape": [("a", "F16", (4, 3), _BYTES)],
    "another name": [("b", "F16", (3, 4), _BYTES)],
}


#: Further tensors of every contribution where blobs are of several leaves [EN-5].
MORE_TENSORS = [(name, "F16", (3, 4), _BYTES) for name in ("y", "z")]


class Contributions:
    """The manifests by the simulator's names, made by the product: what it takes for equal, it makes equal.

    more: the tensors that every contribution has besides its own.
    """

    def __init__(self, more: list[tuple[str, str, tuple[int, ...], bytes]] | None = None) -> None:
        self._more = more or []

    @cached_property
    def manifests(self) -> dict[str, Manifest]:
        """c0, c1, ..."""
        roots = [encoding.model_root([*records, *self._more]) for records in TENSORS.values()]
        elements = 12 * (1 + len(self._more))
        made = [Manifest(BASE, ONE, elements, "finetuned", root) for root in roots]
        made += [
            Manifest(BASE, HALF, elements, "finetuned", roots[0]),
            Manifest(BASE, ONE, elements, "task_vector", roots[0]),
        ]
        return {f"c{number}": manifest for number, manifest in enumerate(made)}

    @cached_property
    def names(self) -> dict[str, str]:
        """The simulator's name for each contribution id."""
        return {manifest.id: name for name, manifest in self.manifests.items()}

    @cached_property
    def for_another_base(self) -> Manifest:
        """A manifest that is sound, and of no use here [OS-8]."""
        return replace(self.manifests["c0"], base=OTHER_BASE)


#: How many there are.
COUNT = len(TENSORS) + 2
