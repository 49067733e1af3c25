"""JSON from strangers, read from its bytes one value after another: in memory is only what the caller keeps.

Depth is bounded, repeated keys are found, and integers are told from all other numbers. Time is linear.
"""

from __future__ import annotations

import codecs
import json
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NoReturn

import numpy as np

from mergealgebra.tensors.json_grammar import (
    AFTER,
    CONSTANT,
    KEY,
    LEVELS,
    OPENING,
    PIECE,
    RUN,
    SCALAR,
    SHORT,
    SOUND_TEXT,
    TEXT,
    TEXT_START,
    Strides,
    strides,
)

SPACE: Final = b" \t\r\n"
#: An object or array of more bytes is not shown.
_SHOWN: Final = 4096


class RepeatedKey(ValueError):
    """A key stands in an object twice, judged after unescaping. No user sees it: readers name the file too."""

    def __init__(self, key: str) -> None:
        super().__init__("a key stands twice")
        self.key = key


@dataclass(frozen=True, slots=True)
class Number:
    """A number that is not written as an integer of at most 20 characters; it stays text, as no field can hold it."""

    text: str

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Unread:
    """An object or array in place of another value, for a message."""

    text: str

    def __repr__(self) -> str:
        return self.text


class Reader:
    """Steps through the one JSON value that `data` is, in UTF-8, with nothing but `around` before and after it.

    Whoever is given a key by `members` or a turn by `items` takes one value before the next: by `text`, `value`,
    `skip`, `take`, or these two again. What is not JSON, or nests deeper than max_depth, raises ValueError, with the
    reason in one line.
    """

    _scalar = SCALAR

    def __init__(self, data: bytes, max_depth: int, around: bytes = SPACE) -> None:
        _check_utf8(data)
        self._data, self._max_depth, self._depth = data, max_depth, 0
        self._end = len(data.rstrip(around))
        self._at = len(data) - len(data.lstrip(around))
        self._levels = 1 if len(data) < SHORT else LEVELS

    @property
    def mark(self) -> bytes:
        """The first byte of the next value."""
        return self._data[self._at : min(self._at + 1, self._end)]

    def members(self) -> Iterator[str]:
        """The keys of the object that is next. Raises RepeatedKey at its end for the first that stands there twice."""
        begun, depth = self._at, self._depth
        hashes = array("q")
        for key in self.names():
            hashes.append(hash(key))
            yield key
        for suspect in _repeated(hashes):
            again = Reader.__new__(type(self))
            again._data, again._end, again._max_depth = self._data, self._end, self._max_depth
            again._at, again._depth, again._levels = begun, depth, self._levels
            again._look_for(suspect)

    def names(self) -> Iterator[str]:
        """The keys of the object that is next, in which a key may stand twice."""
        goes_on = self._enter(b"{", b"}")
        while goes_on:
            match = KEY.match(self._data, self._at, self._end)
            if match is None:
                raise self._no_key()
            self._at = match.end()
            yield self._unescaped(match.start() + 1, match.end(1) - 1)
            goes_on = self._goes_on(b"}")
        self._depth -= 1

    def items(self) -> Iterator[None]:
        """A turn for each item of the array that is next."""
        goes_on = self._enter(b"[", b"]")
        while goes_on:
            yield
            goes_on = self._goes_on(b"]")
        self._depth -= 1

    def take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """The match of a pattern, which is one of whole values, here, and step over it; None if there is none."""
        match = pattern.match(self._data, self._at, self._end)
        if match is not None:
            self._at = match.end()
        return match

    def text(self) -> str:
        """The string that is next."""
        match = self.take(TEXT)
        if match is None:
            raise self._no_string()
        return self._unescaped(match.start() + 1, match.end() - 1)

    def skip_sound_text(self) -> bool:
        """Step over the string that is next; whether it has no lone surrogate. It is not decoded."""
        if self.take(SOUND_TEXT):
            return True
        if self.take(TEXT) is None:
            raise self._no_string()
        return False

    def value(self) -> object:
        """The next value. Integers are `int`, other numbers `Number`; long objects and arrays are `Unread`."""
        mark, begun = self.mark, self._at
        if mark == b'"':
            return self.text()
        self.skip()
        nbytes = self._at - begun
        if mark in (b"{", b"[") and nbytes > _SHOWN:
            return Unread(f"an {'object' if mark == b'{' else 'array'} of {nbytes} bytes")
        return _DECODER.decode(self._data[begun : self._at].decode())

    def finish(self) -> None:
        """Raise ValueError unless the value has ended, and nothing follows."""
        if self._at < self._end:
            raise ValueError(f"something follows the JSON value at byte {self._at}")

    def skip(self) -> None:
        """Step over the next value, whatever it is: no values are built."""
        outer, open_ = self._depth, bytearray()  # what closes each object and array that was entered
        while True:
            depth, inner = outer + len(open_), bytes(open_[-1:])
            stride = strides(self._scalar, min(self._levels, self._max_depth - depth))
            match = self.take(stride.rest(inner) if inner else stride.value)
            if match is None:
                raise self._no_item(stride, inner)
            if match[1]:
                self._check_depth(depth + 1)
                open_ += b"]" if match[1] == b"[" else b"}"
                continue
            while open_ and not self._goes_on(bytes(open_[-1:])):
                open_.pop()
            if not open_:
                return

    def _enter(self, opening: bytes, closing: bytes) -> bool:
        """Step into an object or array; whether it holds anything."""
        if self.mark != opening:
            raise ValueError(f"Expecting {opening.decode()!r} at byte {self._at}")
        self._depth += 1
        self._check_depth(self._depth)
        self.take(OPENING)
        if self.mark != closing:
            return True
        self._at += 1
        return False

    def _goes_on(self, closing: bytes) -> bool:
        """Step over what follows a value in an object or array: a comma, or its end."""
        match = self.take(AFTER)
        if match is None or match[1] not in (b",", closing):
            raise ValueError(f"Expecting ',' delimiter at byte {self._at if match is None else match.start(1)}")
        if match[1] == closing:
            self._at = match.end(1)
        return match[1] == b","

    def _check_depth(self, depth: int) -> None:
        if depth > self._max_depth:
            raise ValueError(f"objects and arrays nest deeper than {self._max_depth}")

    def _unescaped(self, begin: int, end: int) -> str:
        """The text of a string without its quotes."""
        if end - begin <= PIECE:
            raw = self._data[begin:end]
            return _plain(raw) if b"\\" in raw else raw.decode()
        if self._data.find(b"\\", begin, end) < 0:
            return str(memoryview(self._data)[begin:end], "utf-8")
        whole = bytearray()  # no longer than what it stands for, where a text may be four times as long
        for run in RUN.finditer(self._data, begin, end):
            whole += _plain(run[0]).encode("utf-8", "surrogatepass")
        return str(whole, "utf-8", "surrogatepass")

    def _look_for(self, suspect: int) -> None:
        """Raise RepeatedKey for the first key of this hash that stands twice in the object that is next."""
        seen = set()
        for key in self.names():
            self.skip()
            if hash(key) == suspect:
                if key in seen:
                    raise RepeatedKey(key)
                seen.add(key)

    def _no_item(self, stride: Strides, closing: bytes) -> ValueError:
        if closing:
            self.take(stride.run(closing))
        if closing == b"}" and not self.take(KEY):
            return self._no_key()
        return self._no_value()

    def _no_key(self) -> ValueError:
        if self.mark != b'"':
            return ValueError(f"Expecting property name enclosed in double quotes at byte {self._at}")
        match = self.take(TEXT)
        return self._no_string() if match is None else ValueError(f"Expecting ':' delimiter at byte {match.end()}")

    def _no_string(self) -> ValueError:
        match = self.take(TEXT_START)
        if match is None:
            return self._no_value()
        what = {b"": "Unterminated string", b"\\": "Invalid \\escape"}.get(self.mark, "Invalid control character")
        return ValueError(f"{what} at byte {self._at}")

    def _no_value(self) -> ValueError:
        if self.mark == b'"':
            return self._no_string()
        constant = CONSTANT.match(self._data, self._at, self._end)
        return ValueError(f"{constant[0].decode()} is not JSON" if constant else f"Expecting value at byte {self._at}")


class LaxReader(Reader):
    """As Python's own `json` reads: NaN and the infinities are numbers. They cannot be decoded, only skipped."""

    _scalar = rb"(?:%b|NaN|-?+Infinity)" % SCALAR


def _plain(raw: bytes) -> str:
    """The text that a string without its quotes, or a run of it, stands for."""
    return str(_DECODER.decode(f'"{raw.decode()}"'))


def _check_utf8(data: bytes) -> None:
    """Raise UnicodeDecodeError, a ValueError, unless all of it is UTF-8; a piece at a time is decoded."""
    if data.isascii():
        return
    decoder, view = codecs.getincrementaldecoder("utf-8")(), memoryview(data)
    for begin in range(0, len(data), PIECE):
        decoder.decode(view[begin : begin + PIECE], final=begin + PIECE >= len(data))


def _repeated(hashes: array[int]) -> Iterator[int]:
    """The hashes that stand there again, by where they do so first; equal keys have equal hashes."""
    if len(hashes) < _SHOWN and len(set(hashes)) == len(hashes):
        return
    values = np.frombuffer(hashes, np.int64)
    order = np.argsort(values, kind="stable")
    again = values[order[1:]] == values[order[:-1]]
    for position in np.sort(order[1:][again]):
        yield int(values[position])


def _integer(digits: str) -> int | Number:
    # Longer ones are beyond every field, and slow to read: int() is quadratic in the digits.
    return int(digits) if len(digits) <= 20 and digits != "-0" else Number(digits)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_int=_integer, parse_float=Number, parse_constant=_refuse_constant)
