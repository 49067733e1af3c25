"""Passes over the inputs before the one that merges: in which tasks, and what they read, which must stay the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mergealgebra.engine.answers import Answers
from mergealgebra.engine.buffers import Hashers, Input
from mergealgebra.engine.merged_spans import Stale
from mergealgebra.engine.sources import Span

#: The digests of the leaves that were read, by input, tensor and first element.
Read = dict[tuple[Input, str, int], Sequence[bytes]]

#: So many tasks for each worker, few, as each returns results of its own; and so many spans in one at most.
_TASKS: Final = 4
_SPANS: Final = 64


def shares(spans: Sequence[Span], workers: int) -> Iterator[list[Span]]:
    """Spans in tasks of equal length: some for each worker, and none too long."""
    size = max(1, min(_SPANS, -(-len(spans) // (_TASKS * workers))))
    for start in range(0, len(spans), size):
        yield list(spans[start : start + size])


def note(read: Read, span: Span, hashers: Hashers) -> None:
    """Add the digests of a span that was read to its end. Raises Stale as `join` does."""
    join(read, {(what, span.name, span.start): leaves for what, leaves in hashers.digests().items()})


def join(read: Read, more: Read) -> None:
    """Add the digests of what was read. Raises Stale where the same elements were others before."""
    for where, leaves in more.items():
        if read.setdefault(where, leaves) != leaves:
            raise Stale(f"{where[1]} was not what it had been")


def noted(answers: Answers, more: Read) -> Read:
    """What was read until now. Raises Stale as `join` does."""
    read = Read(answers.read)
    join(read, more)
    return read
