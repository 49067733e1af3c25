"""Options are recovered from answers alone, up to those that are declared to be inseparable."""

from __future__ import annotations

import random

import pytest

from mergealgebra.conformance.inference.equivalents import INSEPARABLE, alike, reason
from mergealgebra.conformance.inference.options import STAGES, infer
from mergealgebra.conformance.inference.readings import NEUTRAL, predicted, without
from mergealgebra.conformance.probes.catalogue import PROBES
from mergealgebra.dialects.points import DIALECTS, POINTS
from mergealgebra.targets.questions import Failed, Merged, Refused

SETTLED = [name for name, dialect in DIALECTS.items() if None not in dialect.options.values()]


def asked(options, probes=PROBES):
    """The answers of a target that takes these options."""
    return {probe.question.id: predicted(options, probe.question) for probe in probes}


def check_recovered(options):
    """Nothing but what is declared is left beside each option. Returns at how many points nothing is."""
    found = infer(asked(options))
    assert (found.unexplained, found.silent) == ((), ()), options
    for point, option in options.items():
        assert {option} <= set(found.options(point)) <= alike(point, options), (point, options)
    return sum(len(found.options(point)) == 1 for point in POINTS)


@pytest.mark.clause("DI-1")
def test_200_random_combinations_are_recovered():
    """Every combination can exist, so none is skipped."""
    choose = random.Random(5)
    exact = [check_recovered({p: choose.choice([*POINTS[p]]) for p in POINTS}) for _ in range(200)]
    print(f"{sum(exact)} of {200 * len(POINTS)} options are exact; all of a combination in {exact.count(len(POINTS))}")
    assert sum(exact) > 0.8 * 200 * len(POINTS)


@pytest.mark.clause("DI-1")
@pytest.mark.parametrize("name", SETTLED)
def test_a_dialect_is_recovered(name):
    check_recovered(DIALECTS[name].options)


@pytest.mark.parametrize("one", INSEPARABLE, ids=lambda one: f"{one.point} {'|'.join(sorted(one.options))}")
def test_what_is_declared_inseparable_is(one):
    """There is a combination of which another option of the declaration is left, and the reason is given."""
    where = {point: sorted(options)[0] for point, options in one.when.items()}
    for option in sorted(one.options):
        options = {**NEUTRAL, **where, one.point: option}
        found = infer(asked(options)).options(one.point)
        if len(one.options.intersection(found)) > 1:
            assert reason(one.point, found, options) in {other.reason for other in INSEPARABLE}
            return
    pytest.fail("these options are told apart")


def test_what_has_no_coefficients_or_lambda_may_overlook_them():
    """A target need not refuse what it does not have."""
    options = {**NEUTRAL, "coefficients": "none", "lambda": "none"}
    plain = {probe.question.id: without(options, probe.question) or probe.question for probe in PROBES}
    found = infer({id_: predicted(options, question) for id_, question in plain.items()})
    assert found.unexplained == ()
    assert (found.options("coefficients"), found.options("lambda")) == (("none",), ("none",))


def test_the_stages_cover_every_point_once():
    assert sorted(point for stage in STAGES for point in stage.points) == sorted(POINTS)


@pytest.mark.parametrize("answer", [Refused("no"), Failed("crashed", "it ended")], ids=["refused", "failed"])
def test_no_answers_settle_nothing(answer):
    found = infer({probe.question.id: answer for probe in PROBES})
    assert all(found.options(point) == tuple(POINTS[point]) for point in POINTS)
    assert found.silent == PROBES


@pytest.mark.parametrize("answer", [Refused("no"), Failed("hung", "it is silent")], ids=["refused", "failed"])
def test_a_missing_answer_is_no_evidence(answer):
    """bfloat16 is refused by no option, so what takes none of it is judged by the rest."""
    narrow = {probe.question.id for probe in PROBES if "bf16" in probe.question.id or "bfloat16" in probe.question.id}
    given = asked(NEUTRAL)
    found = infer({id_: answer if id_ in narrow else given[id_] for id_ in given})
    assert {probe.question.id for probe in found.silent} == narrow
    assert found.unexplained == ()
    assert all(NEUTRAL[point] in found.options(point) for point in POINTS)


def test_a_wrong_answer_leaves_the_other_points_alone():
    """What no option answers is told as unexplained, and all else is found from the other answers."""
    given = asked(NEUTRAL)
    odd = given["ties"]
    given["ties"] = Merged({"w": odd.tensors["w"] * [1, 0, 1, 0]})
    found = infer(given)
    assert [probe.question.id for probe in found.unexplained] == ["ties"]
    assert all(NEUTRAL[point] in found.options(point) for point in POINTS)
