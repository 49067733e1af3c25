"""JSON from strangers: bounded depth, repeated keys kept visible, integers apart from all other numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, NoReturn


class Object(dict[str, object]):
    """A JSON object that knows the first key that stood in it twice, judged after unescaping [EN-10]."""

    __slots__ = ("repeated",)

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.repeated = _first_repeated(pairs) if len(self) < len(pairs) else None

    def __repr__(self) -> str:
        return f"an object of {len(self)} keys"


@dataclass(frozen=True, slots=True)
class Number:
    """A number that is not written as an integer of at most 20 characters: kept as text, fit for no field."""

    text: str

    def __repr__(self) -> str:
        return self.text


def parse(data: bytes, max_depth: int) -> object:
    """The one JSON value that `data` is, with no white space around it.

    Objects are `Object`, integers `int`, other numbers `Number`. Time and memory are linear in the data.
    Raises ValueError, with the reason in one line, when it is not JSON in UTF-8 or nests objects and arrays
    deeper than max_depth.
    """
    if not _is_shallow(data, max_depth):
        raise ValueError(f"brackets do not match, or nest deeper than {max_depth}")
    text = data.decode("utf-8")
    value, end = _DECODER.raw_decode(text)
    if end < len(text):
        raise ValueError(f"something follows the JSON value at character {end}")
    return value


def _is_shallow(data: bytes, max_depth: int) -> bool:
    """Whether brackets outside strings match and nest at most so deep: each round takes the innermost away.

    It reads valid JSON, and whatever a parser accepts before it stops at an error, as the parser does.
    """
    unescaped = data.replace(rb"\\", b"").replace(rb"\"", b"")
    marks = unescaped.translate(_TO_SQUARE, _ALL_BUT_MARKS)
    # Two adjacent quotes begin or end nothing that matters; without them, few pieces are left to split.
    brackets = b"".join(marks.replace(b'""', b"").split(b'"')[::2])
    for _ in range(max_depth):
        brackets = brackets.replace(b"[]", b"")
    return not brackets


_TO_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_ALL_BUT_MARKS: Final = bytes(set(range(256)) - set(b'"[]{}'))


def _first_repeated(pairs: list[tuple[str, object]]) -> str | None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    return None


def _integer(digits: str) -> int | Number:
    # Longer ones are beyond every field, and slow to read: int() is quadratic in the digits.
    return int(digits) if len(digits) <= 20 and digits != "-0" else Number(digits)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=Object, parse_int=_integer, parse_float=Number, parse_constant=_refuse_constant
)
