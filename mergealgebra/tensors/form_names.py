"""The forms of tensors, and the suffixes by which the names of stored tensors say them [CT-1, CT-13]."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

FINETUNED: Final = "finetuned"
TASK_VECTOR: Final = "task_vector"
LOW_RANK: Final = "low_rank"

UP: Final = ".low_rank_up"
DOWN: Final = ".low_rank_down"
SCALE: Final = ".low_rank_scale"
#: Behind the name of a tensor, by its form; the one that is stored under its own name has no suffix.
SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {FINETUNED: ("",), LOW_RANK: (UP, DOWN, SCALE), TASK_VECTOR: (".task_vector",)}
)
#: The form of each suffix.
FORM_OF: Final = {suffix: form for form, suffixes in SUFFIXES.items() for suffix in suffixes if suffix}


def parted(name: str) -> tuple[str, str]:
    """The tensor's own name and the suffix, which may be empty.

    >>> parted("q.weight.low_rank_up"), parted("q.weight")
    (('q.weight', '.low_rank_up'), ('q.weight', ''))
    """
    for suffix in FORM_OF:
        if name.endswith(suffix):
            return name.removesuffix(suffix), suffix
    return name, ""
