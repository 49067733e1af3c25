"""Every backend gives the bits of the oracle, which are those of the theorems in proofs/claims/Reducer.v [MG-8]."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.directed import DIRECTED, METHODS
from tests.oracle.kernels import SLOW
from tests.oracle.merges import Case, check_agrees
from tests.oracle.strategies import merges

CLAUSES = pytest.mark.clause(
    *("TV-2", "TV-3", "TV-4", "TV-5", "TV-6", "TI-2", "TI-3", "TI-4", "TI-5", "TI-6", "TI-7", "TI-8"),
    *(
        "ME-1",
        "TA-1",
        "TA-2",
        "LI-1",
        "LI-2",
        "NM-1",
        "NM-2",
        "RA-1",
        "RA-2",
        "TV-13",
        "MG-13",
        "MG-14",
        "EX-1",
        "MG-2",
        "MG-3",
        "MG-4",
        "MG-5",
        "MG-6",
        "MG-8",
        "MG-11",
        "RC-6",
    ),
)


def agree_on_random_merges(oracle, kernel, blocks, count: int) -> Counter:
    """So many merges at random; how many there were of each answer."""
    seen: Counter = Counter()

    @settings(max_examples=count // 20 if kernel.name in SLOW else count, database=None)
    @given(case=merges(kernel.computes), block=blocks)
    def agree(case: Case, block: int | None) -> None:
        answer = check_agrees(oracle, case, kernel, block)
        seen[answer["refused"].get("what", "other") if "refused" in answer else case.recipe.name] += 1

    agree()
    return seen


@CLAUSES
def test_random_merges_come_out_as_the_oracle_has_them(oracle, kernel):
    seen = agree_on_random_merges(oracle, kernel, st.none(), count=200)
    merged = seen.keys() & {recipe.name for recipe in METHODS.values()}
    assert kernel.name in SLOW or ({"tau", "result"} <= seen.keys() and len(merged) >= 3), "all of one kind"


@CLAUSES
def test_so_do_random_merges_in_blocks(oracle, kernel):
    agree_on_random_merges(oracle, kernel, st.sampled_from([1, 2, 3]), count=60)


@CLAUSES
@pytest.mark.parametrize("group", DIRECTED)
def test_directed_merges_come_out_as_the_oracle_has_them(oracle, kernel, group):
    computed = [case for case in DIRECTED[group]() if kernel.computes(case.recipe)]
    if not computed:
        pytest.skip(f"{kernel.name} computes none of these methods")
    for i, case in enumerate(computed):
        if kernel.name not in SLOW or i % 5 == 0:
            check_agrees(oracle, case, kernel)
