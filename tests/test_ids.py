"""Ids by their first digits."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.errors import UnknownContribution
from mergealgebra.ids import SHORT, contribution_named, short_ids

A, B, C = "a" * 64, "a" * 13 + "b" * 51, "c" * 64

many_ids = st.sets(st.text("ab", min_size=20, max_size=20).map(lambda digits: digits.ljust(64, "0")))


@given(many_ids)
def test_short_ids_name_one_each_and_are_no_longer_than_that_takes(ids):
    for id_, short in short_ids(ids).items():
        assert contribution_named(short, ids) == id_
        assert len(short) == SHORT or sum(other.startswith(short[:-1]) for other in ids) > 1


@pytest.mark.parametrize("prefix", [C[:4], C[:4].upper(), C], ids=["four digits", "in capitals", "all of it"])
def test_an_id_is_named_by_its_beginning(prefix):
    assert contribution_named(prefix, [A, B, C]) == C


#: What names nothing, and the whole message.
UNNAMED = {
    "too short": ("ccc", "'ccc' is too short; give 4 digits of the id, or more"),
    "of several": (
        "aaaa",
        "2 merged contributions begin with 'aaaa': aaaaaaaaaaaaaa and aaaaaaaaaaaaab; give more digits",
    ),
    "of none": ("0000", "no merged contribution begins with '0000'; `visible()` and `log()` list them"),
    "of one that does not count": ("dddd", "contribution dddddddddddd was lost"),
    "longer than an id": (C + "c", f"no merged contribution begins with '{C}c'; `visible()` and `log()` list them"),
}


@pytest.mark.parametrize(("prefix", "message"), UNNAMED.values(), ids=UNNAMED)
def test_the_refusal_lists_the_candidates(prefix, message):
    with pytest.raises(UnknownContribution, match=f"^{re.escape(message)}$"):
        contribution_named(prefix, [A, B, C], "merged contribution", {"d" * 64: "was lost"})
