"""Reading a kept aggregate to its last byte, to see whether it is what this workspace wrote [SY-11]."""

from __future__ import annotations

import numpy as np

from mergealgebra.incremental.folder import Folder
from mergealgebra.incremental.pages import Pages, Unfit


def is_whole(folder: Folder) -> bool:
    """Whether the folder's header and all pages bear the seals of its workspace."""
    header = folder.header
    if header is None:
        return False
    with folder.pages(header) as pages:
        return pages is not None and _are_whole(pages)


def _are_whole(pages: Pages) -> bool:
    nbytes = pages.layout.element.nbytes
    memory = np.empty(nbytes * max((tensor.page for tensor in pages.layout.tensors), default=0), np.uint8)
    try:
        for tensor in pages.layout.tensors:
            for page in tensor.pages():
                pages.read(page, memory[: page.size * nbytes])
    except Unfit:
        return False
    return True
