"""The grammar of JSON as regular expressions over bytes [EN-9].

All expressions are possessive: with backtracking, time would not be linear.
"""

from __future__ import annotations

import re
from functools import cache
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


#: How deep a value may nest that one pattern steps over; deeper ones are entered. Each level doubles the pattern.
LEVELS: Final = 3


class Strides:
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
        # A value. By what closes an object or array: all in it that commas follow, and that with what comes then.
        self.value = re.compile(last)
        self.runs = {closing: re.compile(rb"(?:%b%b,%b)*+" % (run, _WS, _WS)) for closing, run in runs.items()}
        self.rest = {
            closing: re.compile(self.runs[closing].pattern + (_COLON if closing == b"}" else b"") + last)
            for closing in runs
        }


@cache
def strides(scalar: bytes, levels: int) -> Strides:
    """The patterns for this scalar, made once: making them takes some hundredths of a second."""
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
