"""Messages speak of whatever they are given, in short."""

from __future__ import annotations

from pathlib import Path

import pytest

from mergealgebra.algebra.decimals import canonical_decimal
from mergealgebra.crdt.fields import check_text
from mergealgebra.errors import DecimalError, OperationError
from mergealgebra.tensors.files import as_path
from mergealgebra.text import location, shown

VALUES = {
    "a tensor's name": ("model.layers.0.self_attn.q_proj.weight" * 2, True),
    "a long string": ("x" * 10_000, False),
    "line breaks": ("a\nb\r\x1b", True),
    "long bytes": (bytes(10_000), False),
    "a long list": (list(range(10_000)), False),
    "nested lists": ([[[[[[[[[[1]]]]]]]]]], False),
    "a large integer": (10**4000, False),
}


@pytest.mark.parametrize(("value", "whole"), VALUES.values(), ids=VALUES)
def test_values_are_short_and_on_one_line(value, whole):
    text = shown(value)
    assert len(text) <= 200
    assert text.isprintable()
    assert (text == repr(value)) == whole


@pytest.mark.parametrize(
    "refuse",
    [
        lambda text: canonical_decimal(text, "density"),
        lambda text: check_text([text], range(9), "the note", OperationError),
        lambda text: as_path(f"{text}\0"),
    ],
    ids=["decimals", "fields", "paths"],
)
def test_all_refusals_cut_what_is_long_alike(refuse):
    with pytest.raises(Exception, match=r"x{50}\.\.\.x{50}") as raised:
        refuse("x" * 10_000)
    assert len(str(raised.value)) < 400


def test_a_decimal_is_shown_as_far_as_it_matters():
    with pytest.raises(DecimalError, match=f"'{'9' * 60}x' is not a decimal"):
        canonical_decimal("9" * 60 + "x", "density")


def test_paths_that_do_not_print_are_escaped():
    assert location(Path("a b")) == "a b"
    assert location(Path("a\nb")) == r"'a\nb'"
    assert location(Path("a"), "w\n") == r"a: tensor 'w\n'"
