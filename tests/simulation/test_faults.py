"""The simulation can fail: every planted fault is caught by the histories that the suite plays anyway."""

from __future__ import annotations

import pytest

from tests.simulation.campaign import first_failure, stage
from tests.simulation.faults import FAULTS
from tests.simulation.history import LAWS
from tests.simulation.test_histories import HISTORIES

#: Seeds that show what the very first ones do not: tried first, to save time. All are among the histories of the suite.
SHOWN_BY = {
    "adds-are-given-first": 24,
    "blob-may-go-on": 60,
    "blob-of-another-shape": 5,
    "blob-need-not-be-canonical": 77,
    "claims-are-believed": 9,
    "damage-is-not-mended": 61,
    "damaged-packs-are-given-up": 14,
    "folders-are-listed-once": 43,
    "forgeries-stop-everything": 9,
    "index-is-believed": 103,
    "kept-sums-hold-what-was-retracted": 44,
    "leaves-are-believed": 57,
    "leaves-left-are-believed": 98,
    "objects-age-by-our-clock": 90,
    "operation-is-written-in-place": 7,
    "packs-are-listed-first": 70,
    "parts-are-believed": 99,
    "peers-take-everything": 15,
    "refusal-stops-the-sync": 24,
    "removes-are-carried-last": 7,
    "resolve-skips-what-is-missing": 5,
    "resolve-trusts-blobs": 10,
    "revokes-are-written-first": 57,
    "shares-age-by-our-clock": 97,
    "two-objects-cover-a-third": 90,
    "two-packs-of-a-share-cover-a-third": 97,
}


@pytest.mark.parametrize("name", FAULTS)
def test_planted_fault_is_caught(name):
    fault = FAULTS[name]
    seeds = range(HISTORIES[fault.level])
    with fault.planted(), stage(fault.level) as play:
        failure = first_failure(play, fault.level, [seeds[SHOWN_BY.get(name, 0)], *seeds])
    assert failure is not None, f"{fault.what}: nobody noticed in {HISTORIES[fault.level]} histories"
    assert failure.broken.law in fault.laws, failure.to_text()


def test_every_law_has_a_fault_that_breaks_it():
    assert {law for fault in FAULTS.values() for law in fault.laws} == LAWS.keys()
