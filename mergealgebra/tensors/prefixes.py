"""Prefixes of tensor names: wrappers put one before every name, and a model saved so fits no other."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Final

from mergealgebra.text import shown

#: The most names that are searched for a prefix: if there is one, one of the first names has it.
_TRIED: Final = 64


def prefix_advice(ours: Collection[str], theirs: Collection[str]) -> str | None:
    """What to do where a prefix keeps the names of a model from being the base's; None where none does.

    >>> prefix_advice(["module.a", "module.b"], ["a", "b"]).partition(":")[0]
    "all 2 tensors have the prefix 'module.', which the base's have not"
    """
    ours, theirs = set(ours), set(theirs)
    if prefix := _prefix(ours, theirs):
        with_it = sum(name.startswith(prefix) for name in ours)
        count = f"all {len(ours)}" if with_it == len(ours) else f"{with_it} of {len(ours)}"
        return (
            f"{count} tensors have the prefix {shown(prefix)}, which the base's have not: save the model without it, "
            f"for example {{name.removeprefix({prefix!r}): tensor for name, tensor in tensors.items()}}"
        )
    if prefix := _prefix(theirs, ours):
        return (
            f"the base's names have the prefix {shown(prefix)}, which these have not: save the model with it, "
            f"for example {{{prefix!r} + name: tensor for name, tensor in tensors.items()}}"
        )
    return None


def _prefix(longer: set[str], shorter: set[str]) -> str | None:
    """What most of the longer names have before a shorter one, if they then fit better than without that."""
    alike = len(longer & shorter)
    for name in islice(sorted(longer - shorter), _TRIED):
        for prefix in _beginnings(name):
            if name.removeprefix(prefix) in shorter:
                fitting = sum(other.startswith(prefix) and other.removeprefix(prefix) in shorter for other in longer)
                if fitting > alike and 2 * fitting >= len(shorter):
                    return prefix
    return None


def _beginnings(name: str) -> Iterator[str]:
    """The beginnings of a name that end with a point."""
    at = name.find(".")
    while 0 <= at < len(name) - 1:
        yield name[: at + 1]
        at = name.find(".", at + 1)
