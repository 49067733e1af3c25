"""Python's collector of cycles, which looks at every object again and again while a hundred thousand are made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """It rests while the body runs, which makes many objects and no cycles; if it rested before, it goes on resting."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
