"""JSON from strangers, read from its bytes one value after another: in memory stands only what the caller keeps.

Depth is bounded, keys that stand twice are found, and integers are kept apart from all other numbers. Time is linear.
"""

from __future__ import annotations

import codecs
import json
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, NoReturn

import numpy as np

SPACE: Final = b" \t\r\n"
#: An object or array of more bytes is not shown; a string of more is decoded in pieces.
_SHOWN: Final = 4096
_PIECE: Final = 1 << 16


class RepeatedKey(ValueError):
    """A key stands in an object twice, judged after unescaping."""

    def __init__(self, key: str) -> None:
        super().__init__("a key stands twice")
        self.key = key


@dataclass(frozen=True, slots=True)
class Number:
    """A number that is not written as an integer of at most 20 characters: kept as text, fit for no field."""

    text: str

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Unread:
    """An object or array that nobody wants, for a message."""

    text: str

    def __repr__(self) -> str:
        return self.text


# The grammar: possessive, as a regular expression that goes back takes time that is not linear

_WS: Final = rb"[ \t\r\n]*+"
_HEX: Final = rb"[0-9a-fA-F]"
_STRING: Final = rb'"(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u%b{4})*+"' % _HEX
_PAIR: Final = rb"\\u[dD][89abAB]%b{2}\\u[dD][c-fC-F]%b{2}" % (_HEX, _HEX)
#: Without lone surrogates. A pair goes first; what is left of \u is no surrogate.
_SOUND: Final = rb'"(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|%b|\\u(?![dD][89a-fA-F])%b{4})*+"' % (_PAIR, _HEX)
_NUMBER: Final = rb"-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+"
_SCALAR: Final = rb"(?:%b|%b|true|false|null)" % (_STRING, _NUMBER)
#: A key and its colon.
_COLON: Final = _STRING + _WS + b":" + _WS


def joined(*tokens: bytes) -> re.Pattern[bytes]:
    """The pattern of these tokens, each a pattern, with JSON's white space between them."""
    return re.compile(_WS.join(tokens))


#: How deep a value may nest that one pattern steps over; deeper ones are entered. Each level doubles the pattern.
_LEVELS: Final = 3


class _Steps:
    """Patterns that step over what nests up to some levels deep; the first group is a bracket that nests deeper."""

    def __init__(self, scalar: bytes, levels: int) -> None:
        value, ends = scalar, rb"%b(?:,%b(?![\]}])|(?=[\]}]))" % (_WS, _WS)
        for _ in range(levels):
            array_, object_ = (
                rb"\[%b(?:%b%b)*+\]" % (_WS, value, ends),
                rb"\{%b(?:%b%b%b)*+\}" % (_WS, _COLON, value, ends),
            )
            value = rb"(?:%b|%b|%b)" % (scalar, array_, object_)
        last = rb"(?:%b|([\[{])%b)" % (value, _WS)
        runs = {b"]": value, b"}": _COLON + value}
        self.value = re.compile(last)
        self.runs = {closing: re.compile(rb"(?:%b%b,%b)*+" % (run, _WS, _WS)) for closing, run in runs.items()}
        self.steps = {
            closing: re.compile(self.runs[closing].pattern + (_COLON if closing == b"}" else b"") + last)
            for closing in runs
        }


@cache
def _steps(scalar: bytes, levels: int) -> _Steps:
    return _Steps(scalar, levels)


_STRING_PATTERN: Final = re.compile(_STRING)
_SOUND_PATTERN: Final = re.compile(_SOUND)
_STRING_START: Final = re.compile(_STRING.removesuffix(b'"'))
_KEY: Final = re.compile(rb"(%b)%b:%b" % (_STRING, _WS, _WS))
_OPENING: Final = re.compile(rb"[\[{]%b" % _WS)
_AFTER: Final = re.compile(rb"%b([,\]}])%b" % (_WS, _WS))
_CONSTANT: Final = re.compile(rb"NaN|-?Infinity")
#: A run of characters and escapes, none of them cut.
_RUN: Final = re.compile(rb"(?:[\x00-\x5b\x5d-\x7f]|[\xc0-\xff][\x80-\xbf]*+|%b|\\u....|\\.){1,%d}+" % (_PAIR, _PIECE))


class Reader:
    """Steps through the one JSON value that `data` is, in UTF-8, with nothing but `around` before and after it.

    Whoever is given a key by `members` or a turn by `items` takes one value before the next: by `text`, `value`,
    `skip`, `take`, or these two again. What is not JSON, or nests deeper than max_depth, raises ValueError, with the
    reason in one line.
    """

    _scalar = _SCALAR

    def __init__(self, data: bytes, max_depth: int, around: bytes = SPACE) -> None:
        _check_utf8(data)
        self._data, self._max_depth, self._depth = data, max_depth, 0
        self._end = len(data.rstrip(around))
        self._at = len(data) - len(data.lstrip(around))

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
            again._at, again._depth = begun, depth
            again._look_for(suspect)

    def names(self) -> Iterator[str]:
        """The keys of the object that is next, in which a key may stand twice."""
        goes_on = self._enter(b"{", b"}")
        while goes_on:
            match = _KEY.match(self._data, self._at, self._end)
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
        match = self.take(_STRING_PATTERN)
        if match is None:
            raise self._no_string()
        return self._unescaped(match.start() + 1, match.end() - 1)

    def skip_sound_text(self) -> bool:
        """Step over the string that is next; whether it has no lone surrogate. It is not decoded."""
        if self.take(_SOUND_PATTERN):
            return True
        if self.take(_STRING_PATTERN) is None:
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
            steps = _steps(self._scalar, min(_LEVELS, self._max_depth - depth))
            match = self.take(steps.steps[inner] if inner else steps.value)
            if match is None:
                raise self._no_item(steps, inner)
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
        self.take(_OPENING)
        if self.mark != closing:
            return True
        self._at += 1
        return False

    def _goes_on(self, closing: bytes) -> bool:
        """Step over what follows a value in an object or array: a comma, or its end."""
        match = self.take(_AFTER)
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
        if end - begin <= _PIECE:
            raw = self._data[begin:end]
            return _plain(raw) if b"\\" in raw else raw.decode()
        if self._data.find(b"\\", begin, end) < 0:
            return str(memoryview(self._data)[begin:end], "utf-8")
        whole = bytearray()  # no longer than what it stands for, where a text may be four times as long
        for run in _RUN.finditer(self._data, begin, end):
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

    def _no_item(self, steps: _Steps, closing: bytes) -> ValueError:
        if closing:
            self.take(steps.runs[closing])
        if closing == b"}" and not self.take(_KEY):
            return self._no_key()
        return self._no_value()

    def _no_key(self) -> ValueError:
        if self.mark != b'"':
            return ValueError(f"Expecting property name enclosed in double quotes at byte {self._at}")
        match = self.take(_STRING_PATTERN)
        return self._no_string() if match is None else ValueError(f"Expecting ':' delimiter at byte {match.end()}")

    def _no_string(self) -> ValueError:
        match = self.take(_STRING_START)
        if match is None:
            return self._no_value()
        what = {b"": "Unterminated string", b"\\": "Invalid \\escape"}.get(self.mark, "Invalid control character")
        return ValueError(f"{what} at byte {self._at}")

    def _no_value(self) -> ValueError:
        if self.mark == b'"':
            return self._no_string()
        constant = _CONSTANT.match(self._data, self._at, self._end)
        return ValueError(f"{constant[0].decode()} is not JSON" if constant else f"Expecting value at byte {self._at}")


class LaxReader(Reader):
    """As Python's own `json` reads: NaN and the infinities are numbers. They cannot be decoded, only skipped."""

    _scalar = rb"(?:%b|NaN|-?+Infinity)" % _SCALAR


def _plain(raw: bytes) -> str:
    """The text that a string without its quotes, or a run of it, stands for."""
    return str(_DECODER.decode(f'"{raw.decode()}"'))


def _check_utf8(data: bytes) -> None:
    """Raise UnicodeDecodeError, a ValueError, unless all of it is UTF-8; a piece at a time is decoded."""
    if data.isascii():
        return
    decoder, view = codecs.getincrementaldecoder("utf-8")(), memoryview(data)
    for begin in range(0, len(data), _PIECE):
        decoder.decode(view[begin : begin + _PIECE], final=begin + _PIECE >= len(data))


def _repeated(hashes: array[int]) -> Iterator[int]:
    """The hashes that stand there again, by where they do so first; equal keys have equal hashes."""
    if len(hashes) < _SHOWN and len(set(hashes)) == len(hashes):
        return
    values = np.frombuffer(hashes, np.int64)
    order = np.argsort(values, kind="stable")
    for place in np.sort(order[1:][values[order[1:]] == values[order[:-1]]]):
        yield int(values[place])


def _integer(digits: str) -> int | Number:
    # Longer ones are beyond every field, and slow to read: int() is quadratic in the digits.
    return int(digits) if len(digits) <= 20 and digits != "-0" else Number(digits)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_int=_integer, parse_float=Number, parse_constant=_refuse_constant)
