"""What names that the base lacks say about a model: that it is an adapter or factors, or holds codes, not numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mergealgebra.tensors.form_names import parted
from mergealgebra.text import by_caller

#: Parts of the names of a LoRA adapter's tensors.
_ADAPTER: Final = frozenset(("lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector"))
#: The last part of the names of what belongs to bitsandbytes' codes.
_SCALES: Final = frozenset(("absmax", "quant_map", "nested_absmax", "nested_quant_map", "SCB"))

UNLOAD: Final = "merge it into its model first (peft: merge_and_unload)"


def unload_or_name() -> str:
    """What to do about an adapter."""
    return f"{UNLOAD}, or name its file or folder where models are merged into its base: there it goes as it is"


_LOW_RANK: Final = "`contribute(..., form='low_rank')`"


def name_advice(extra: Iterable[str]) -> str | None:
    """What to do about a model with such names, which its base lacks; None where they say nothing.

    >>> name_advice(["q.lora_A.weight"])
    'this is a LoRA adapter; merge it into its model first (peft: merge_and_unload), or name its file or folder where \
models are merged into its base: there it goes as it is'
    >>> name_advice(["q.weight.low_rank_up"])
    "'.low_rank_up' says that it holds factors, or several forms: in a workspace, \
`contribute(..., form='low_rank')` takes it"
    >>> name_advice(["q.weight.absmax"])
    'this looks quantised; dequantise it first'
    """
    names = list(extra)
    if suffix := next(filter(None, (parted(name)[1] for name in names)), ""):
        takes = by_caller("`contribute --low-rank`", _LOW_RANK)
        return f"{suffix!r} says that it holds factors, or several forms: in a workspace, {takes} takes it"
    parts = [name.split(".") for name in names]
    if any(_ADAPTER.intersection(name) for name in parts):
        return f"this is a LoRA adapter; {unload_or_name()}"
    if any(name[-1] in _SCALES for name in parts):
        return "this looks quantised; dequantise it first"
    return None
