"""Merges of arrays in memory: task vectors by name, in the order of their list [MG-12]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mergealgebra.algebra import decimals
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.engine import memory
from mergealgebra.engine.memory import Merged
from mergealgebra.engine.sources import Contribution
from mergealgebra.methods.method import Method
from mergealgebra.tensors.choice import Choice, Patterns


def merge_arrays(
    base: Any,
    pairs: Sequence[tuple[Any, str]],
    recipe: Method,
    take: Patterns,
    leave: Patterns,
    backend: str,
    how: Mapping[str, Any],
) -> Merged:
    """The merged arrays. The arguments are those of `merge`, the models with their coefficients; it raises as that.

    how: what else `memory.merge` takes.
    """

    vectors: list[Any] = [model for model, _ in pairs]
    if take or leave:
        mappings = [arrays for arrays in (base, *vectors) if isinstance(arrays, Mapping)]
        choice = Choice.among({name for arrays in mappings for name in arrays}, take, leave)
        vectors = [{n: a for n, a in v.items() if n in choice} if isinstance(v, Mapping) else v for v in vectors]
    arrays: Any = base  # what is no mapping is refused there
    texts = [coefficient for _, coefficient in pairs]
    return memory.merge(arrays, vectors, recipe, texts, backend, identify=_id_of, **how)


def _id_of(base_root: str, contribution: Contribution, root: str) -> str:
    """The id that a task vector in memory has in a workspace of this base [CT-2, CT-3]."""
    return Manifest(
        base=base_root,
        coefficient=decimals.to_hex(contribution.coefficient),
        elements=sum(contribution.source.records[name].size for name in contribution.names),
        form="task_vector",
        tensors=root,
    ).id
