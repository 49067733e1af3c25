"""The grammar of JSON as regular expressions over bytes [EN-9].

All expressions are possessive: with backtracking, time would not be linear.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from typing import Final

#: A string of more bytes is decoded in pieces.
PIECE: Final = 1 << 16

_WS: Final = rb"[ \t\r\n]*+"
_HEX: Final = rb"[0-9a-fA-F]"
_STRING: Final = rb'"(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u%b{4})*+"' % _HEX
_PAIR: Final = rb"\\u[dD][89abAB]%b{2}\\u[dD][c-fC-F]%b{2}" % (_HEX, _HEX)
#: Without lone surrogates. A pair goes first; what is left of \u is not a surrogate.
_SOUND: Final = rb'"(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|%b|\\u(?![dD][89a-fA-F])%b{4})*+"' % (_PAIR, _HEX)
_NUMBER: Final = rb"-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+"
SCALAR: Final = rb"(?:%b|%b|true|false|null)" % (_STRING, _NUMBER)
#: A key and its colon.
_COLON: Final = _STRING + _WS + b":" + _WS


def joined(*tokens: bytes) -> re.Pattern[bytes]:
    """The pattern of these tokens, each a pattern, with JSON's white space between them."""
    return re.compile(_WS.join(tokens))


#: How deep a value may nest that one pattern steps over; deeper ones are entered. Each level doubles the pattern, and
#: the time that it takes to be made, some hundredths of a second: so there is one level in short texts.
LEVELS: Final = 3
SHORT: Final = 1 << 16


class Strides:
    """Patterns that step over what nests up to some levels deep; the first group is a bracket that nests deeper.

    Each is made when it is asked for.
    """

    def __init__(self, scalar: bytes, levels: int) -> None:
        value, ends = scalar, rb"%b(?:,%b(?![\]}])|(?=[\]}]))" % (_WS, _WS)
        for _ in range(levels):
            array_, object_ = (
                rb"\[%b(?:%b%b)*+\]" % (_WS, value, ends),
                rb"\{%b(?:%b%b%b)*+\}" % (_WS, _COLON, value, ends),
            )
            value = rb"(?:%b|%b|%b)" % (scalar, array_, object_)
        self._last = rb"(?:%b|([\[{])%b)" % (value, _WS)
        self._runs = {
            closing: rb"(?:%b%b,%b)*+" % (run, _WS, _WS) for closing, run in ((b"]", value), (b"}", _COLON + value))
        }

    @cached_property
    def value(self) -> re.Pattern[bytes]:
        """A value."""
        return re.compile(self._last)

    @cache  # noqa: B019 - strides are made once, and stay
    def run(self, closing: bytes) -> re.Pattern[bytes]:
        """All in an object or array that commas follow, by what closes it."""
        return re.compile(self._runs[closing])

    @cache  # noqa: B019
    def rest(self, closing: bytes) -> re.Pattern[bytes]:
        """That, with what comes then."""
        return re.compile(self._runs[closing] + (_COLON if closing == b"}" else b"") + self._last)


@cache
def strides(scalar: bytes, levels: int) -> Strides:
    """The patterns for this scalar, made once."""
    return Strides(scalar, levels)


TEXT: Final = re.compile(_STRING)
SOUND_TEXT: Final = re.compile(_SOUND)
TEXT_START: Final = re.compile(_STRING.removesuffix(b'"'))
KEY: Final = re.compile(rb"(%b)%b:%b" % (_STRING, _WS, _WS))
OPENING: Final = re.compile(rb"[\[{]%b" % _WS)
AFTER: Final = re.compile(rb"%b([,\]}])%b" % (_WS, _WS))
CONSTANT: Final = re.compile(rb"NaN|-?Infinity")
#: A run of characters and escapes, none of them cut.
RUN: Final = re.compile(rb"(?:[\x00-\x5b\x5d-\x7f]|[\xc0-\xff][\x80-\xbf]*+|%b|\\u....|\\.){1,%d}+" % (_PAIR, PIECE))
