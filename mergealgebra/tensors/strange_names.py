"""What names that the base lacks say about a model: that it is an adapter, or holds codes instead of numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: Parts of the names of a LoRA adapter's tensors.
_ADAPTER: Final = frozenset(("lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector"))
#: The last part of the names of what belongs to bitsandbytes' codes.
_SCALES: Final = frozenset(("absmax", "quant_map", "nested_absmax", "nested_quant_map", "SCB"))

UNLOAD: Final = "merge it into its model first (peft: merge_and_unload)"


def name_advice(extra: Iterable[str]) -> str | None:
    """What to do about a model with such names, which its base lacks; None where they say nothing.

    >>> name_advice(["q.lora_A.weight"])
    'this is a LoRA adapter; merge it into its model first (peft: merge_and_unload)'
    >>> name_advice(["q.weight.absmax"])
    'this looks quantised; dequantise it first'
    """
    parts = [name.split(".") for name in extra]
    if any(_ADAPTER.intersection(name) for name in parts):
        return f"this is a LoRA adapter; {UNLOAD}"
    if any(name[-1] in _SCALES for name in parts):
        return "this looks quantised; dequantise it first"
    return None
