"""Reading a kept aggregate to its last byte, to see whether it is what this workspace wrote [SY-11]."""

from __future__ import annotations

import numpy as np

from mergealgebra.engine.sources import Block
from mergealgebra.incremental.folder import Folder
from mergealgebra.incremental.pages import PAGE, Pages, Unfit


def is_whole(folder: Folder) -> bool:
    """Whether the folder's header and all pages bear the seals of its workspace."""
    header = folder.header
    if header is None:
        return False
    with folder.pages(header) as pages:
        return pages is not None and _are_whole(pages)


def _are_whole(pages: Pages) -> bool:
    memory = np.empty(PAGE * pages.layout.element_bytes, np.uint8)
    try:
        for name, size in pages.layout.tensors:
            for start in range(0, size, PAGE):
                page = Block(name, start, min(start + PAGE, size))
                pages.read(page, memory[: page.size * pages.layout.element_bytes])
    except Unfit:
        return False
    return True
