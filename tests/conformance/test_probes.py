"""The probes: what their answers depend on, and that they are fit to be asked of anyone."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from mergealgebra.conformance.inference.readings import NEUTRAL, predicted, readings
from mergealgebra.conformance.judgement.evidence import size
from mergealgebra.conformance.probes.catalogue import KEYS, LEAST, MEANS, NON_FINITE, NUMBERS, PROBES, TRIM, VOTES
from mergealgebra.dialects.points import POINTS

IDS = [probe.question.id for probe in (*PROBES, *LEAST)]
TRIMS = [
    dict(zip(("kept", "boundary"), options, strict=True)) for options in product(POINTS["kept"], POINTS["boundary"])
]
DENSITIES = [*POINTS["density"]] * len(TRIMS)


def test_each_has_an_id_of_its_own():
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize("probe", [*MEANS, *VOTES, *NUMBERS, *NON_FINITE, *KEYS], ids=lambda probe: probe.question.id)
@pytest.mark.clause("DI-3", "DI-5")
def test_what_is_asked_after_the_trim_is_not_trimmed(probe):
    """No option of the trim changes what is read, so these probes are computed once for all of them."""
    untrimmed = readings(probe, predicted(NEUTRAL, probe.question))
    for trim, density in zip(TRIMS, DENSITIES, strict=False):
        options = {**NEUTRAL, **trim, "density": density}
        assert readings(probe, predicted(options, probe.question)) == untrimmed, options


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.question.id)
def test_an_answer_depends_on_no_other_points(probe):
    """As it is read; each other point is changed alone."""
    asked = readings(probe, predicted(NEUTRAL, probe.question))
    if float(probe.question.density) > 1:
        return  # only `percent` speaks of it
    for point in POINTS.keys() - {*probe.points, "scope", "density", "kept", "boundary"}:
        for option in POINTS[point]:
            answer = readings(probe, predicted({**NEUTRAL, point: option}, probe.question))
            assert answer == asked, (point, option)


def test_trims_are_asked_of_equal_models():
    for probe in TRIM:
        one, other = probe.question.models
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_the_smallest_are_small():
    assert max(size(probe.question) for probe in LEAST) <= (6, 80)
