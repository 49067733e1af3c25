"""JSON from strangers: as json reads it, but bounded in depth and with nothing lost."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.tensors.strict_json import Number, Object, parse

TRICKY_TEXT = st.text(st.sampled_from(list('ab"\\[]{}u00e9\n')), max_size=8)


def json_values(leaves):
    return st.recursive(leaves, lambda v: st.lists(v, max_size=4) | st.dictionaries(TRICKY_TEXT, v, max_size=4))


def depth(value):
    """How deep brackets nest."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@pytest.mark.clause("EN-9")
@given(json_values(TRICKY_TEXT | st.integers(-(10**18), 10**18) | st.none() | st.booleans()))
def test_it_reads_what_json_reads_and_bounds_the_depth(value):
    data = json.dumps(value).encode()
    assert parse(data, depth(value)) == value
    if depth(value):
        with pytest.raises(ValueError, match="deeper"):
            parse(data, depth(value) - 1)


@given(st.text(st.sampled_from(list('"\\[]{},:1 e.-')), max_size=24))
def test_it_refuses_what_json_refuses(text):
    try:
        json.loads(text)
        sound = text == text.strip()
    except ValueError:
        sound = False
    try:
        parse(text.encode(), 24)
    except ValueError:
        assert not sound
    else:
        assert sound


@pytest.mark.clause("EN-9")
@pytest.mark.parametrize("unit", [b"[", b"{", b'{"":', b"[[]", b'["', b'"[', b"[]", rb"\"["])
def test_depth_is_judged_in_linear_time(unit):
    data = unit * (20_000_000 // len(unit))
    begun = time.perf_counter()
    with pytest.raises(ValueError):
        parse(data, 4)
    assert time.perf_counter() - begun < 20


@pytest.mark.clause("EN-10")
def test_repeated_keys_are_seen_after_unescaping():
    outer = parse(rb'{"a": {"b": 1, "\u0062": 2}, "c": {}}', 4)
    assert isinstance(outer, Object)
    assert outer.repeated is None
    assert outer["a"].repeated == "b"
    assert outer["c"].repeated is None


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
    assert parse(text, 4) == value
    assert type(parse(text, 4)) is type(value)


@pytest.mark.parametrize(
    "text", [b"NaN", b"Infinity", b"-Infinity", b"01", b"+1", b"", b" 1", b"1 ", b"\xff", b"\xef\xbb\xbf1"]
)
def test_what_is_not_json_is_refused(text):
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse(text, 4)
