"""Threads of torch's own: none while workers compute with it, each of which is a thread already.

A block is too small to be shared among threads, and on a busy machine those wait for each other, by turning: a merge
took ten times as long.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class _Threads:
    """How many merges are at it, and how many threads torch had before the first of them began."""

    merges: int = 0
    before: int = 1
    lock: threading.Lock = field(default_factory=threading.Lock)


_threads = _Threads()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch, which must have been imported, compute in the calling thread alone, and in those that begin here."""
    import torch

    with _threads.lock:
        if not _threads.merges:
            _threads.before = torch.get_num_threads()
        _threads.merges += 1
    torch.set_num_threads(1)
    try:
        yield
    finally:
        with _threads.lock:
            _threads.merges -= 1
        torch.set_num_threads(_threads.before)
