"""What a merge reads: named tensors, contributions, and the elements of a tensor in spans and blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import lcm
from typing import Any, Final, Protocol

from mergealgebra.encoding import LEAF_BYTES

#: Elements in a span, what a worker does at a time: in every dtype a whole number of leaves [EN-6].
SPAN: Final = LEAF_BYTES
#: The fewest elements that are whole leaves in every float dtype, of which the smallest has two bytes.
_LEAVES: Final = LEAF_BYTES // 2


class Record(Protocol):
    """What is known of a tensor before it is read."""

    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def size(self) -> int: ...


def span_size(unit: int) -> int:
    """How many elements of a tensor are a span, if so many belong together: whole units, and whole leaves [EN-6].

    >>> span_size(1), span_size(11008) / 11008
    (1048576, 2048.0)
    """
    if unit == 1:
        return SPAN
    both = lcm(_LEAVES, unit)
    return both * max(1, SPAN // both)


class Source(Protocol):
    """Named tensors that can be read piece by piece: a checkpoint, or arrays in memory."""

    @property
    def records(self) -> Mapping[str, Record]: ...

    def read(self, name: str, start: int = 0, stop: int | None = None, into: memoryview | None = None) -> Any:
        """Elements [start, stop) in C order, in the storage dtype. into: memory that may be used for them."""
        ...


@dataclass(frozen=True)
class Block:
    """Elements [start, stop) of one tensor, which are reduced at a time."""

    name: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many elements they are."""
        return self.stop - self.start


@dataclass(frozen=True)
class Span(Block):
    """Elements of one tensor that one worker takes at a time: some blocks, and whole leaves [EN-6]."""

    def blocks(self, size: int) -> Iterator[Block]:
        """The same in blocks of this size, the last perhaps smaller."""
        for start in range(self.start, self.stop, size):
            yield Block(self.name, start, min(start + size, self.stop))


@dataclass(frozen=True)
class Contribution:
    """A task vector to merge, where its tensors are, and how it is called in messages.

    form: `finetuned` (its tensors are a fine-tune's) or `task_vector` (they are the difference) [CT-1]. names: the
    tensors that it holds; a name that it lacks is absent, not zero [CT-7]. tensors: the root of its tensors, if that is
    known, under which what is found of it may be kept, and from which masks are made. forms: of tensors that have
    another form than the rest. computed: tensors that the source computes from what is stored, and vouches for itself.
    auxiliary: by kind, tensors of the same names. id: the contribution's, if it is known.
    """

    label: str
    form: str
    coefficient: float
    source: Source
    names: frozenset[str]
    tensors: str | None = None
    forms: Mapping[str, str] = field(default_factory=dict)
    computed: frozenset[str] = frozenset()
    auxiliary: Mapping[str, Source] = field(default_factory=dict)
    id: str | None = None

    def form_of(self, name: str) -> str:
        """The form of one of its tensors."""
        return self.forms.get(name, self.form)
