"""JSON from strangers: as json reads it, but bounded in depth, step by step, and with nothing lost."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.tensors import strict_json
from mergealgebra.tensors.strict_json import LaxReader, Number, Reader, RepeatedKey

TRICKY_TEXT = st.text(st.sampled_from(list('ab"\\[]{}u00e9\n')), max_size=8)


def json_values(leaves):
    return st.recursive(leaves, lambda v: st.lists(v, max_size=4) | st.dictionaries(TRICKY_TEXT, v, max_size=4))


def depth(value):
    """How deep brackets nest."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def entered(reader):
    """The next value, every object and array in it entered."""
    if reader.mark == b"{":
        return {key: entered(reader) for key in reader.members()}
    if reader.mark == b"[":
        return [entered(reader) for _ in reader.items()]
    return reader.value()


def skipped(reader):
    reader.skip()


def valued(reader):
    return reader.value()


#: Three ways over a value, which must agree about what is one.
WAYS = {"entered": entered, "skipped": skipped, "at once": valued}


def read(data, max_depth, way=entered):
    reader = Reader(data, max_depth, b"")
    value = way(reader)
    reader.finish()
    return value


@pytest.mark.clause("EN-9")
@given(json_values(TRICKY_TEXT | st.integers(-(10**18), 10**18) | st.none() | st.booleans()))
def test_it_reads_what_json_reads_and_bounds_the_depth(value):
    data = json.dumps(value).encode()
    assert read(data, depth(value)) == read(data, depth(value), valued) == value
    assert read(data, depth(value), skipped) is None
    if depth(value):
        for way in WAYS.values():
            with pytest.raises(ValueError, match="deeper"):
                read(data, depth(value) - 1, way)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@given(text=st.text(st.sampled_from(list('"\\[]{},:1 e.-')), max_size=24))
def test_it_refuses_what_json_refuses(way, text):
    try:
        json.loads(text)
        sound = text == text.strip()
    except ValueError:
        sound = False
    try:
        read(text.encode(), 24, way)
    except RepeatedKey:
        assert way is entered
    except ValueError:
        assert not sound
    else:
        assert sound


#: Each is repeated; the deeper ones nest in more levels than one pattern steps over.
UNITS = [
    b"[",
    b"{",
    b'{"":',
    b"[[]",
    b'["',
    b'"[',
    b"[]",
    rb"\"[",
    b"1,",
    b"{},",
    b"[[[[[]]]]],",
    b'{"":{"":{"":{}}}},',
]


@pytest.mark.clause("EN-9", "EN-16")
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("start", [b"", b"[", b"[[[[1,"])
def test_a_value_is_stepped_over_in_linear_time(start, unit):
    taken = []
    for nbytes in (250_000, 1_000_000):
        data = start + unit * (nbytes // len(unit))
        begun = time.process_time()
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            read(data, 64, skipped)
        taken.append(time.process_time() - begun)
    assert taken[1] < 0.1 + 8 * taken[0]


REPEATED = {
    "side by side": (rb'{"b":1,"b":2}', "b"),
    "escaped": (rb'{"b":1,"a":3,"\u0062":2}', "b"),
    "the first of two": (rb'{"a":1,"b":1,"b":2,"a":2}', "b"),
    "among many": (b"{" + b"".join(b'"%d":{},' % i for i in range(10_000)) + b'"77":1,"5":1}', "77"),
    "lone surrogates": (rb'{"\ud800":1,"\ud800":2}', "\ud800"),
}


@pytest.mark.clause("EN-10", "EN-16")
@pytest.mark.parametrize(("data", "key"), REPEATED.values(), ids=REPEATED)
def test_the_first_key_that_stands_twice_is_named(data, key):
    reader = Reader(b"[" + data + b"]", 4)
    with pytest.raises(RepeatedKey) as caught:
        for _ in reader.items():
            for _ in reader.members():
                reader.skip()
    assert caught.value.key == key


def test_equal_hashes_are_not_equal_keys(monkeypatch):
    monkeypatch.setattr(strict_json, "hash", lambda _: 7, raising=False)
    assert read(b'{"a":1,"b":{"c":2,"d":3}}', 4) == {"a": 1, "b": {"c": 2, "d": 3}}
    with pytest.raises(RepeatedKey):
        read(b'{"a":1,"b":2,"a":3}', 4)


LONG = {
    "plain": "x" * 200_000,
    "escapes": 'a\n\t"\\é\x00/' * 20_000,
    "pairs": "\U0001f600" * 50_000,
    "an odd cut": "x" + "\U0001f600" * 70_000,
    "beyond ASCII": "é\uffff\U0001f600" * 30_000,
    "lone surrogates": "\ud800\udc00\ud800" * 30_000,  # the first two are a pair
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_long_strings_are_decoded_in_pieces(text, ascii_only):
    data = json.dumps(text, ensure_ascii=ascii_only).encode("utf-8", "replace")
    assert read(data, 1) == json.loads(data)


SOUND = {
    "ASCII": (rb'"a\n"', True),
    "a pair": (rb'"\uD83d\ude00"', True),
    "no surrogate": (rb'"\ue000\uffff\ud7ff"', True),
    "high": (rb'"\ud83d"', False),
    "low": (rb'"\ude00"', False),
    "two high": (rb'"\ud83d\ud83d\ude00"', False),
    "the wrong order": (rb'"\ude00\ud83d"', False),
    "a backslash before": (rb'"\\ud800"', True),
}


@pytest.mark.clause("EN-10")
@pytest.mark.parametrize(("data", "sound"), SOUND.values(), ids=SOUND)
def test_lone_surrogates_are_seen_without_decoding(data, sound):
    assert read(data, 1, Reader.skip_sound_text) is sound
    assert sound is not any("\ud800" <= c <= "\udfff" for c in json.loads(data))


def test_a_long_value_that_nobody_wants_is_not_built():
    assert repr(read(b"[" + b"[]," * 10_000 + b"1]", 4, valued)) == "an array of 30003 bytes"


NUMBERS = {
    "integer": (b"17", 17),
    "negative": (b"-17", -17),
    "20 digits": (b"9" * 20, 10**20 - 1),
    "21 digits": (b"9" * 21, Number("9" * 21)),
    "5000 digits": (b"9" * 5000, Number("9" * 5000)),
    "fraction": (b"1.0", Number("1.0")),
    "exponent": (b"1e3", Number("1e3")),
    "negative zero": (b"-0", Number("-0")),
}


@pytest.mark.parametrize(("text", "value"), NUMBERS.values(), ids=NUMBERS.keys())
def test_only_integers_are_ints(text, value):
    assert read(text, 4) == value
    assert type(read(text, 4)) is type(value)


NOT_JSON = [
    *(b"NaN", b"Infinity", b"-Infinity", b"01", b"+1", b"1.", b"", b" 1", b"1 ", b"\xff", b"\xef\xbb\xbf1", b"[1,]"),
    *(b'{"a":1,}', b'"\n"', rb'"\x"', b'{"a" 1}', b"{1:2}", b"[1 2]", b"[}", b'"\xed\xa0\x80"'),
]


@pytest.mark.parametrize("text", NOT_JSON)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_is_not_json_is_refused(text, way):
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        read(text, 4, way)


def test_infinities_are_stepped_over_where_python_reads_them():
    LaxReader(b'{"limits":[0.0,-Infinity,NaN],"a":Infinity}', 4).skip()
