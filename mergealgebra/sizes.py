"""Sizes of memory as people write them."""

from __future__ import annotations

import re
from typing import Final

from mergealgebra.errors import BackendError
from mergealgebra.text import shown

_SIZE: Final = re.compile(r"([1-9][0-9]{0,11})([KMG]?)", re.ASCII)
_SHIFT: Final = {"": 0, "K": 10, "M": 20, "G": 30}


def byte_count(size: str) -> int:
    """So many bytes; K, M and G are powers of 1024. Raises BackendError.

    >>> byte_count("200M")
    209715200
    """
    match = _SIZE.fullmatch(size)
    if match is None:
        raise BackendError(f"{shown(size)} is not a size; write a whole number of bytes, or one with K, M or G")
    return int(match[1]) << _SHIFT[match[2]]
