"""Which operations count in an open workspace."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.crdt.operations import Add, Operation
from mergealgebra.crdt.policy import effective
from tests.crdt.strategies import BASE, GENESIS, MANIFESTS, OTHER_BASE, WORKSPACE, nonce, operations

HERE = Operation(WORKSPACE, Add(MANIFESTS[0], nonce(0)))
ELSEWHERE = Operation(WORKSPACE, Add(replace(MANIFESTS[0], base=OTHER_BASE), nonce(0)))


@pytest.mark.clause("OS-8")
@given(st.sets(operations(), max_size=8))
def test_all_count_but_an_add_for_another_base(some):
    counted = effective(GENESIS, some)
    assert isinstance(counted, frozenset)
    for operation in some:
        bases = {operation.payload.manifest.base} if isinstance(operation.payload, Add) else set()
        assert (operation in counted) == (bases <= {BASE})


@pytest.mark.clause("OS-8")
def test_the_base_is_that_of_the_genesis():
    assert effective(GENESIS, [HERE, ELSEWHERE]) == {HERE}
    assert effective(replace(GENESIS, base=OTHER_BASE), iter([HERE, ELSEWHERE])) == {ELSEWHERE}
    assert effective(GENESIS, []) == frozenset()
