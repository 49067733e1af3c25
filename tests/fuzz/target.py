"""What a decoder must do with any bytes, and the judge of it.

    refuse    raise a MergeAlgebraError, in one line that any terminal can show
    accept    give what the second implementation of the clauses accepts too, and what encodes to the same bytes

Everything else that happens is a defect: it leaves `judge` as an AssertionError, or as whatever the decoder raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from mergealgebra.errors import MergeAlgebraError
from tests.fuzz.mutation import mutate_bytes

#: What the line of a refusal may have beside a few times what it quotes.
_LINE = 2000

Family = Callable[[int], bytes]


@dataclass(frozen=True)
class Memory:
    """What a decoder may allocate: so many bytes, and so many for each byte of input."""

    fixed: int
    factor: int

    def cap(self, data: bytes) -> int:
        """The most bytes for this input."""
        return self.fixed + self.factor * len(data)


@dataclass(frozen=True)
class Target:
    """A decoder.

    decode: the value of these bytes, which may be written to the folder first; None from a cache that does not take
    them. hold: asserts what must hold of an accepted value. mutate: another input of the same structure. amend: the
    same input with its outer checks made to pass, as hashes, lengths and names. accepts: the second opinion; None
    where it has none. families: hostile inputs of about n bytes. inputs: how many mutated ones CI tries. hostile: bytes
    of the smallest hostile input that it tries. dictionary: what a change of bytes may put in.
    """

    decode: Callable[[bytes, Path], Any]
    hold: Callable[[bytes, Any, Path], None]
    mutate: Callable[[Random, bytes], bytes]
    memory: Memory
    families: Mapping[str, Family]
    amend: Callable[[bytes], bytes] = bytes
    accepts: Callable[[bytes], bool | None] = lambda data: None
    inputs: int = 1000
    hostile: int = 1 << 10
    dictionary: tuple[bytes, ...] = ()


def mutated(target: Target, random: Random, data: bytes) -> bytes:
    """Another input: changed in its structure or in its bytes, and half of the time amended."""
    by_bytes = random.random() < 0.3
    changed = mutate_bytes(random, data, target.dictionary) if by_bytes else target.mutate(random, data)
    return target.amend(changed) if random.random() < 0.5 else changed


def attempt(target: Target, data: bytes, folder: Path) -> Any:
    """What the decoder makes of an input; None when it refuses, as it should. Raises what it should not."""
    try:
        return target.decode(data, folder)
    except MergeAlgebraError as error:
        _check_line(str(error), data)
        return None


def judge(target: Target, data: bytes, folder: Path) -> bool:
    """Whether the decoder accepts an input, once all that must hold does."""
    value = attempt(target, data, folder)
    expected = target.accepts(data)
    assert expected is None or expected == (value is not None), "the second implementation says otherwise"
    if value is not None:
        try:
            target.hold(data, value, folder)
        except MergeAlgebraError as error:
            raise AssertionError("what was accepted is refused later") from error
    return value is not None


def _check_line(line: str, data: bytes) -> None:
    assert line.splitlines() == [line], "a refusal is one line"
    assert len(line.encode()) <= _LINE + 8 * len(data), "a refusal does not grow faster than what it refuses"
