"""Kept thresholds save a pass, and whatever stands in their place, the merge comes out the same [MG-8].

The pass that merges counts what each threshold keeps, and what lies above it; that proves it, or refutes it.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.algebra.method import Group
from mergealgebra.algebra.thresholds import Cut
from mergealgebra.encoding import decode, encode
from mergealgebra.engine import answers
from mergealgebra.engine.answers import pack, unpack
from mergealgebra.engine.faults import Faulty
from mergealgebra.engine.merged_spans import Stale
from tests.engine.sources import merged, plan_of, trimmed_by_sorting

TINY = 2.0**-149
#: Vectors, by what their thresholds could be mistaken for.
VECTORS = {
    "ties": {"a": [1, -1, 2, 1], "b": [1, 3, -1, 1]},
    "no ties": {"a": [1, 2, -3, 4], "b": [5, -6, 7, 8]},
    "hardly anything": {"a": [0, 0, TINY, -TINY], "b": [0, 0, 0, 0]},
    "the least numbers": {"a": [TINY, TINY, TINY, -TINY], "b": [TINY, 2 * TINY, TINY, TINY]},
    "zeros": {"a": [0, 0, 0, 0], "b": [0, -0.0, 0, 0]},
    "single elements": {"a": [1], "b": [0]},
}


def vector_of(case: str) -> dict[str, np.ndarray]:
    return {name: np.array(values, np.float32) for name, values in VECTORS[case].items()}


def recipe_of(density: str, scope: str, boundary: str) -> ma.Ties:
    return ma.Ties(density=density, scope=scope, boundary=boundary)


NOT_THRESHOLDS = [None, [], {}, [[]], [[True]], [["a"]], [[1, 2, 3]], [[1, "a"]], [[1], [1], [1]], "a", 7, [[0]]]


@st.composite
def contents(draw: st.DrawFn, right: bytes) -> bytes:
    """What may stand where these thresholds were kept: others for the same groups, other values, any bytes."""
    kind = draw(st.sampled_from(["thresholds"] * 6 + ["value", "bytes"]))
    if kind == "value":
        return encode(draw(st.sampled_from(NOT_THRESHOLDS)))
    if kind == "bytes":
        return draw(st.binary(max_size=20))
    return encode([_other(draw, *entry) for entry in decode(right)])


def _other(draw: st.DrawFn, bits: int, *cut: object) -> list[object]:
    """Other bits or another cut, or both, or none, for one group."""
    near = [bits - 1, bits + 1, 1, 2, 0x3F800000, 0x40000000, 0x7F7FFFFF, 0x7F800000, 0x7FFFFFFF, 1 << 31, 0]
    bits = draw(st.sampled_from([bits] * 8 + near))
    name, position = st.sampled_from(["a", "b", "", "zzz"]), st.sampled_from([0, 1, 2, 3, 4, 5, 1 << 63])
    others = draw(st.tuples(name, position))
    return [max(0, bits), *draw(st.sampled_from([cut, (), others, others]))]


def merged_at_last(plan, kept):
    """As `resolve` does: once more without what was kept, if that was wrong."""
    try:
        return merged(plan, kept), False
    except (Stale, Faulty):
        return merged(plan, None), True


@pytest.mark.clause("MG-8", "TI-3", "TI-4", "TI-5")
@pytest.mark.parametrize("boundary", ["keep_all", "lowest_index"])
@pytest.mark.parametrize("scope", ["model", "tensor"])
@settings(max_examples=400)
@given(
    case=st.sampled_from(sorted(VECTORS)),
    density=st.sampled_from(["0.2", "0.5", "0.9"]),
    name=st.sampled_from(["numpy", "numba"]),
    data=st.data(),
)
def test_whatever_is_kept_changes_nothing(scope, boundary, case, density, name, data):
    """Bits and counts: a wrong threshold is refuted, if it is not one that keeps the same."""
    vector, recipe = vector_of(case), recipe_of(density, scope, boundary)
    plan = plan_of([vector], recipe, name=name, threads=1)
    kept: dict[str, bytes] = {}
    expected, totals = merged(plan, kept)
    (key,) = kept
    content = data.draw(contents(kept[key]))
    (found, other), _ = merged_at_last(plan, {key: content})
    for tensor in expected:
        assert found[tensor].tobytes() == expected[tensor].tobytes()
        assert np.array_equal(found[tensor], trimmed_by_sorting(vector, recipe)[tensor])
    assert other.kept_by(0) == totals.kept_by(0)


#: Wrong ones of the same form as the right one: vector, density, scope, boundary, and what is kept.
PLAUSIBLE = {
    "one bit more": ("no ties", "0.5", "model", "keep_all", [[0x40A00001]]),
    "one bit less": ("no ties", "0.5", "model", "keep_all", [[0x409FFFFF]]),
    "the next magnitude": ("no ties", "0.5", "model", "keep_all", [[0x40C00000]]),
    "ties cut that are all kept": ("ties", "0.5", "model", "keep_all", [[0x3F800000, "b", 1]]),
    "ties kept that are cut": ("ties", "0.5", "model", "lowest_index", [[0x3F800000]]),
    "ties cut later": ("ties", "0.5", "model", "lowest_index", [[0x3F800000, "b", 3]]),
    "ties cut before": ("ties", "0.5", "model", "lowest_index", [[0x3F800000, "a", 1]]),
    "the least numbers cut": ("hardly anything", "0.9", "model", "lowest_index", [[1, "a", 0]]),
    "the least numbers cut, all kept": ("hardly anything", "0.9", "model", "keep_all", [[1, "a", 3]]),
    "of the other tensor": ("no ties", "0.5", "tensor", "keep_all", [[0x40E00000], [0x40400000]]),
    "of a larger one": ("single elements", "0.5", "tensor", "keep_all", [[0x7F7FFFFF], [1]]),
}


@pytest.mark.clause("MG-8", "TI-4", "TI-5")
@pytest.mark.parametrize(("case", "density", "scope", "boundary", "wrong"), PLAUSIBLE.values(), ids=PLAUSIBLE)
def test_plausible_ones_are_refuted(case, density, scope, boundary, wrong):
    vector, recipe = vector_of(case), recipe_of(density, scope, boundary)
    plan = plan_of([vector], recipe, threads=1)
    kept: dict[str, bytes] = {}
    expected, _ = merged(plan, kept)
    (key,) = kept
    assert kept[key] != encode(wrong)
    (found, _), refuted = merged_at_last(plan, {key: encode(wrong)})
    assert {n: x.tobytes() for n, x in found.items()} == {n: x.tobytes() for n, x in expected.items()}
    assert refuted or kept[key] != encode(wrong)


@pytest.mark.clause("TI-3")
def test_right_ones_are_not_refuted():
    """The proof takes every threshold that counting finds: with ties, cut or not, and where nothing is left."""
    for case in VECTORS:
        for density in ("0.01", "0.2", "0.5", "0.9", "0.999"):
            for scope in ("model", "tensor"):
                for boundary in ("keep_all", "lowest_index"):
                    plan = plan_of([vector_of(case)], recipe_of(density, scope, boundary), threads=1)
                    kept: dict[str, bytes] = {}
                    merged(plan, kept)
                    before = dict(kept)
                    merged(plan, kept)
                    assert kept == before


def test_each_is_kept_under_all_that_it_depends_on():
    """Another base, vector, form, density, scope or boundary has a place of its own; a coefficient has none."""
    kept: dict[str, bytes] = {}
    vector = vector_of("ties")
    recipes = [recipe_of("0.5", "model", "keep_all"), recipe_of("0.50", "model", "keep_all")]
    for recipe in recipes:
        merged(plan_of([vector], recipe, threads=1), kept)
    assert len(kept) == 1
    for recipe in (
        recipe_of("0.25", "model", "keep_all"),
        recipe_of("0.5", "tensor", "keep_all"),
        recipe_of("0.5", "model", "lowest_index"),
    ):
        before = len(kept)
        merged(plan_of([vector], recipe, threads=1), kept)
        assert len(kept) == before + 1
    merged(plan_of([vector, vector], recipes[0], threads=1), kept)  # each of these sources has a root of its own
    assert len(kept) == 5


@pytest.mark.clause("SY-9")
def test_more_bytes_than_thresholds_take_are_not_decoded(monkeypatch):
    """16 MiB of empty lists would take 2 GB of memory, and half a minute."""
    names = ("é" * 300, "x")
    wanted = [Group(0, names, 2**40), Group(1, ("x",), 4)]
    statistic = ma.Ties(density="0.5").rounds[0].stages[0].statistic
    found = [Cut(2**31 - 1, (names[0], 2**63)), Cut(1)]
    assert unpack(statistic, pack(statistic, found), wanted) == found
    monkeypatch.setattr(answers, "decode", None)
    assert unpack(statistic, encode([[]] * 1000), wanted) is None
