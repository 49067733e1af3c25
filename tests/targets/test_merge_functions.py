"""Targets: what names a merge function, and the one clear error where nothing does."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import mergealgebra as ma
from mergealgebra.errors import NotInstalled, TargetError, UnknownLaw
from mergealgebra.methods.registry import METHODS
from mergealgebra.targets.merge_functions import function
from tests.laws import merges
from tests.targets.counterexamples import run

ROOT = Path(__file__).parents[2]
HERE = "tests.laws.merges"


def test_a_counterexample_to_an_importable_function_runs_by_itself():
    (verdict,) = ma.laws.check(ma.laws.target(f"{HERE}:fp32_sum"), ["order_independence"], tries=1)
    assert f"from {HERE} import fp32_sum as merge" in verdict.counterexample
    done = subprocess.run(
        [sys.executable, "-"], input=verdict.counterexample, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "AssertionError: order_independence is broken" in done.stderr
    assert done.stdout.count("'w': array(") == 2


def test_a_function_at_hand_is_imported_where_that_finds_it():
    assert function(merges.fp32_sum).code == f"from {HERE} import fp32_sum as merge\n"
    for lost in (lambda base, task_vectors: base, merges.Moody()):
        assert function(lost).code.startswith("# `merge` is ")


def test_options_are_arguments():
    first = ma.laws.target(f"{HERE}:pays_attention", to="first", times="2")
    (verdict,) = ma.laws.check(first, ["order_independence"], tries=1)
    assert verdict.outcome == "broken"
    assert "merge = partial(merge, to='first', times=2)" in verdict.counterexample
    assert isinstance(run(verdict.counterexample)[1], AssertionError)


@pytest.mark.clause("RC-9", "DI-19")
def test_a_dialect_is_a_target_whose_order_counts_and_which_has_no_parts():
    laws = ["order_independence", "homomorphism", "purity"]
    verdicts = ma.laws.check(ma.laws.target("ties", dialect="mergekit-0.1.5"), laws, tries=5)
    assert [verdict.outcome for verdict in verdicts] == ["broken", "does not apply", "holds"]


@pytest.mark.clause("NA-4")
def test_a_method_of_another_tool_is_one_too():
    laws = ["homomorphism", "single_model_identity", "purity"]
    verdicts = ma.laws.check(ma.laws.target("led_merge", dialect="crdt-merge-0.11"), laws, tries=5)
    assert [verdict.outcome for verdict in verdicts] == ["does not apply", "holds", "holds"]
    linear = ma.laws.target("linear", dialect="crdt-merge-0.11", t="0.25")
    assert "InDialect('linear', 'crdt-merge-0.11', t='0.25')" in linear.code
    assert ma.laws.check(linear, ["order_independence"], tries=5)[0].outcome == "broken"


@pytest.mark.clause("RC-13")
@pytest.mark.parametrize("name", ["emr", "tall_mask"])
def test_a_task_is_chosen_in_each_merge_by_its_place_or_by_what_it_holds(name):
    asked = [ma.laws.target(name, task=rule) for rule in ("first", "greatest")]
    by_place, by_content = (ma.laws.check(target, ["order_independence"], tries=5)[0] for target in asked)
    assert (by_place.outcome, by_content.outcome) == ("broken", "holds")
    assert isinstance(run(by_place.counterexample)[1], AssertionError)


#: What is not a target, its options, and what is said of it.
NO_TARGETS = {
    "unknown": (
        "tie",
        {},
        "'tie' is not a target; expected one of ties, mean, task_arithmetic, fisher, dare_linear, ",
    ),
    "no module": ("no_such_module:merge", {}, "importing no_such_module raised ModuleNotFoundError"),
    "no function in it": (
        f"{HERE}:nothing",
        {},
        "tests.laws.merges has no 'nothing'; it has gives_nothing, ",
    ),
    "not callable": (
        f"{HERE}:__name__",
        {},
        "tests.laws.merges.__name__ is not a function; tests.laws.merges has ",
    ),
    "two colons": ("a:b:c", {}, "'a:b:c' is not a target"),
    "a name that no program can import": ("a b:merge", {}, "'a b:merge' is not a target"),
    "an option that is no name": (f"{HERE}:average", {"a-b": "1"}, "'a-b' is not the name of an option"),
    "an option that is misspelt": (
        f"{HERE}:pays_attention",
        {"tims": "2"},
        "has no parameter 'tims'; did you mean 'times'? its parameters are base, task_vectors, to, times",
    ),
    "a density that is none": ("ties", {"density": "2"}, "density"),
    "an option that a recipe lacks": ("mean", {"density": "0.5"}, "unknown key 'density'"),
}


@pytest.mark.parametrize(("name", "options", "words"), NO_TARGETS.values(), ids=NO_TARGETS)
def test_what_is_no_target_is_one_clear_error(name, options, words):
    with pytest.raises(ma.MergeAlgebraError) as caught:
        ma.laws.target(name, **options)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_module_that_raises_is_told(tmp_path, monkeypatch):
    (tmp_path / "broken_module_of_a_user.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TargetError, match="importing broken_module_of_a_user raised ZeroDivisionError"):
        ma.laws.target("broken_module_of_a_user:merge")


def test_an_unknown_law_is_told():
    with pytest.raises(UnknownLaw, match="'gravity' is not a law; the laws are order_independence, "):
        ma.laws.check(merges.average, ["gravity"])


def test_without_hypothesis_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(NotInstalled, match=r"pip install hypothesis"):
        ma.laws.check(merges.average)


@pytest.mark.parametrize("peer", ["mergekit", "peft"])
def test_a_peer_that_is_not_installed_is_told_with_the_command_that_installs_it(peer, monkeypatch):
    monkeypatch.setitem(sys.modules, peer, None)
    with pytest.raises(NotInstalled, match=rf"{peer} is not installed; pip install torch==\S+ {peer}=="):
        ma.laws.target(peer)


#: Laws that TIES of other projects breaks, and some that it keeps. Tensors are trimmed one by one there.
PEERS = {
    "mergekit": {"associativity": "broken", "sign_symmetry": "broken", "purity": "holds", "bounds": "holds"},
    "peft": {"associativity": "broken", "sign_symmetry": "broken", "purity": "holds", "bounds": "holds"},
}


@pytest.mark.parametrize("peer", PEERS)
def test_ties_of_other_projects_is_judged(peer):
    if find_spec(peer) is None:
        pytest.skip(f"{peer} is not installed")
    verdicts = ma.laws.check(ma.laws.target(peer), PEERS[peer], tries=10)
    assert {verdict.law: verdict.outcome for verdict in verdicts} == PEERS[peer]
    for verdict in verdicts:
        if verdict.counterexample:
            assert isinstance(run(verdict.counterexample)[1], AssertionError)


ANGLES = ("slerp", "nuslerp", "multislerp", "model_stock", "karcher")
IN_ROUNDS = ("sce", "ramplus_tl", "consensus_ta", "pcb")
#: Methods on models, in rounds or by dot products have no parts; those of one model have no order either.
APART = {
    "arcee_fusion": dict.fromkeys(["homomorphism", "order_independence"], "does not apply"),
    "linear": {"homomorphism": "does not apply", "locality": "holds"},
    "nearswap": dict.fromkeys(["homomorphism", "order_independence"], "does not apply"),
    "passthrough": dict.fromkeys(["homomorphism", "order_independence"], "does not apply") | {"locality": "holds"},
    **{name: {"homomorphism": "does not apply"} for name in (*ANGLES, *IN_ROUNDS)},
}


@pytest.mark.clause("EX-4", "MG-8", "RC-11")
@pytest.mark.parametrize("name", METHODS)
def test_every_method_of_the_registry_is_a_target_with_parts(name):
    """Its own laws hold, with auxiliary tensors where it needs them, and those of parts where it has any."""
    laws = ["order_independence", "homomorphism", "purity", "locality"]
    found = {verdict.law: verdict for verdict in ma.laws.check(ma.laws.target(name), laws, tries=5)}
    expected = dict.fromkeys(laws[:3], "holds") | APART.get(name, {})
    assert {law: found[law].outcome for law in expected} == expected
