"""The layer of a tensor, told by its name [ST-3]."""

from __future__ import annotations

from typing import Final

#: A layer's number has at most so many digits.
_DIGITS: Final = 9


def layer_of(name: str) -> int | None:
    """The number of a tensor's layer: the first part of its name, between dots, that is digits [ST-3].

    >>> layer_of("model.layers.7.mlp.experts.3.weight"), layer_of("lm_head.weight")
    (7, None)
    """
    for part in name.split("."):
        if len(part) <= _DIGITS and part.isascii() and part.isdigit():
            return int(part)
    return None
