"""What is visible, kept up to date, is what policy says of the whole set, whatever order its operations come in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.crdt.operation_set import OperationSet
from mergealgebra.crdt.policy import Authority, effective, taken_back
from mergealgebra.crdt.records import Record
from tests.crdt.test_authority import IDS, Light, sets
from tests.signed import GENESIS


def record(light: Light) -> Record:
    """As an index has it; adds are of one of three contributions."""
    said = {"add": (IDS[int(light.id, 16) % 3],), "attest": (IDS[0], IDS[1])}
    return Record(*light, said.get(light.kind, ()), source=None)


@pytest.mark.clause("OS-9", "SG-8", "SG-9", "PK-6")
@given(sets(), st.randoms(use_true_random=False))
def test_one_by_one_or_all_at_once(some, random):
    """Grants, revokes and keeps come whenever they like, and what is visible is asked for now and then."""
    order = random.sample(some, len(some))
    held = OperationSet.of(GENESIS)
    for light in order:
        held = held.joined([record(light)])
        if random.random() < 0.5:
            with held.seen():
                pass
    counted = effective(GENESIS, some)
    gone = taken_back(Authority.of(GENESIS, some), counted)
    adds = {one.id: one for one in counted if one.kind == "add"}
    with held.seen() as seen:
        assert {add.id for own in seen.adds.values() for add in own} == adds.keys()
        standing = {add.id for contribution in seen.adds for add in seen.standing(contribution)}
        assert standing == adds.keys() - gone.keys()
        assert seen.visible == {record(adds[id_]).says[0] for id_ in standing}
        for own in seen.adds.values():
            for add in own:
                assert {one.id for one in seen.taken_back(add)} == {one.id for one in gone.get(add.id, ())}
