"""Names of other tools: each has an answer, and the answer can be followed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mergealgebra as ma
from mergealgebra.dialects.strategies import STRATEGIES
from mergealgebra.errors import CoefficientError, DecimalError, RecipeError
from mergealgebra.methods.in_dialect import InDialect
from mergealgebra.methods.key_checks import one_of
from mergealgebra.methods.method import key
from mergealgebra.methods.names import TOOLS, Differs, Refused, Same
from mergealgebra.methods.registry import METHODS, unregister
from mergealgebra.recipe import UnknownRecipe, complete_recipe, recipe_from_map

SPEC = (Path(__file__).parent.parent.parent / "spec" / "names.md").read_text(encoding="utf-8")
CRDT, KIT = "crdt-merge-0.11", "mergekit-0.1.5"
NAMES = [(dialect, name) for dialect, tool in TOOLS.items() for name in tool.names]


def kind(answer: object) -> str:
    return {Same: "same", Differs: "dialect", Refused: "refused"}[type(answer)]


@pytest.mark.clause("NA-1")
def test_the_answers_are_those_of_the_specification():
    tables = re.split(r"^  \| (?=crdt-merge|mergekit)", SPEC, flags=re.MULTILINE)[1:]
    for table, tool in zip(tables, TOOLS.values(), strict=True):
        assert table.startswith(f"{tool.title} |")
        rows = re.findall(r"^  \| `(\w+)` \| (same|dialect|refused) \| (.*) \|$", table, re.MULTILINE)
        assert {name: word for name, word, _ in rows} == {name: kind(a) for name, a in tool.names.items()}
        for name, word, text in rows:
            if word == "same":
                same = tool.names[name]
                assert text.startswith(f"`{same.method}`") and same.where in text, name
    assert [len(tool.names) for tool in TOOLS.values()] == [26, 20]


@pytest.mark.clause("NA-1", "NA-2")
@pytest.mark.parametrize(("dialect", "name"), NAMES)
def test_every_name_resolves(dialect, name):
    """To a recipe that can be made, or to one line."""
    answer = TOOLS[dialect].names[name]
    entries = {"method": name, "dialect": dialect}
    if isinstance(answer, Differs) or name in STRATEGIES[dialect]:
        recipe = recipe_from_map(entries)
        assert complete_recipe(recipe.to_map()) == recipe
        if "masks" not in getattr(STRATEGIES[dialect].get(name), "settings", {}):
            assert recipe.rounds[0].unit == "tensor"
        return
    with pytest.raises(RecipeError) as refused:
        recipe_from_map(entries)
    assert re.fullmatch("[^\n]*(leave `dialect` out|choose another|use )[^\n]*", str(refused.value))


@pytest.mark.clause("NA-2")
def test_what_a_name_promises_is_here_or_why_not():
    answers = [answer for tool in TOOLS.values() for answer in tool.names.values() if isinstance(answer, Differs)]
    assert all((answer.near in METHODS) != (answer.absent is not None) for answer in answers)


@pytest.mark.clause("NA-1")
@pytest.mark.parametrize(("dialect", "name"), NAMES)
def test_what_an_answer_says_to_write_can_be_written(dialect, name):
    answer = TOOLS[dialect].names[name]
    if isinstance(answer, Same) and answer.method in METHODS:
        assert recipe_from_map({"method": answer.method, **answer.keys}).name == answer.method


@pytest.mark.clause("NA-1", "NA-3")
def test_what_differs_is_computed_and_of_mergekit_all():
    differing = {name for name, answer in TOOLS[CRDT].names.items() if isinstance(answer, Differs)}
    assert differing - {"ties"} == STRATEGIES[CRDT].keys()
    assert TOOLS[KIT].names.keys() == STRATEGIES[KIT].keys()


SAID = {
    "the same": ("negative_merge", None, "crdt-merge 0.11.0's name of `mean` with lambda -1: write `method: mean`"),
    "a dialect": ("fisher_merge", None, r"write `dialect: crdt-merge-0.11` beside it; `method: fisher` is what its"),
    "refused": ("svd_knot_tying", None, "and its result depends on the signs of .*; use `ties`"),
    "same in a dialect": ("dual_projection", CRDT, "computes what `linear` does here; leave `dialect` out, and write"),
    "another name in one": ("negative_merge", CRDT, "leave `dialect` out, and write `method: mean`, `lambda: '-1'`"),
    "no such dialect": ("led_merge", "crdt-merge", "'crdt-merge' is unknown; did you mean 'crdt-merge-0.11'"),
    "no such method": ("led_merg", CRDT, "crdt-merge 0.11.0 has no 'led_merg'; did you mean 'led_merge'"),
    "a dialect of TIES": ("mean", "peft-0.21", "'peft-0.21' is unknown.* one of crdt-merge-0.11 and mergekit-0.1.5"),
    "not here": ("star", None, "what its name promises is not here, as it takes whole matrices apart.*: use `ties`"),
    "published": ("regmean", None, "'regmean' is published, and not a method here, as it needs Gram .*; use `fisher`"),
    "a typo": ("task_arithmetics", None, "'task_arithmetics' is unknown; did you mean 'task_arithmetic'"),
    "neither": ("led", None, "'led' is unknown; expected one of ties, mean"),
}


@pytest.mark.clause("NA-2")
@pytest.mark.parametrize(("name", "dialect", "message"), SAID.values(), ids=SAID)
def test_the_answer_is_one_line(name, dialect, message):
    with pytest.raises(RecipeError, match=message) as refused:
        recipe_from_map({"method": name, **({"dialect": dialect} if dialect else {})})
    assert "\n" not in str(refused.value)


@pytest.mark.clause("NA-3")
def test_a_recipe_in_a_dialect_is_complete_and_canonical():
    recipe = recipe_from_map({"method": "dare", "dialect": CRDT, "drop_rate": "0.50"})
    assert recipe.to_map() == {"method": "dare", "dialect": CRDT, "drop_rate": "0.5", "seed": "42"}
    assert recipe == InDialect("dare", CRDT, drop_rate="0.5") and recipe.id == complete_recipe(recipe.to_map()).id
    assert recipe != InDialect("dare", CRDT) and hash(recipe) == hash(InDialect("dare", CRDT, drop_rate="0.5"))
    assert repr(recipe) == "InDialect('dare', 'crdt-merge-0.11', drop_rate='0.5')"
    assert (recipe.lambda_text, "as crdt-merge-0.11 computes it" in recipe.in_words) == ("1", True)
    with pytest.raises(RecipeError, match="not complete and canonical"):
        complete_recipe({"method": "dare", "dialect": CRDT, "drop_rate": "0.5"})


REFUSED = {
    "a key": ({"k": "1"}, RecipeError, "dare: unknown key 'k'; in dialect .* its keys are drop_rate, seed"),
    "lambda": ({"lambda": "1"}, RecipeError, "unknown key 'lambda'"),
    "no text": ({"drop_rate": 0.5}, RecipeError, "'drop_rate': expected text"),
    "no decimal": ({"drop_rate": "x"}, DecimalError, "not a decimal"),
    "out of range": ({"drop_rate": "1"}, RecipeError, "drop_rate: '1' is not a decimal from 0 to 0.999"),
    "half a seed": ({"seed": "0.5"}, RecipeError, "seed: '0.5' is not a whole number from 0"),
    "no seed": ({"seed": "x"}, RecipeError, "seed: 'x' is not a whole number from 0 to .*; write it like '42'$"),
}


@pytest.mark.clause("NA-3")
@pytest.mark.parametrize(("keys", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_settings_are_refused(keys, error, message):
    with pytest.raises(error, match=message) as refused:
        recipe_from_map({"method": "dare", "dialect": CRDT, **keys})
    assert "\n" not in str(refused.value)


@pytest.mark.clause("NA-3", "RC-12")
def test_a_dialect_that_only_a_later_version_has_enters_the_set():
    entries = {"method": "led_merge", "dialect": "crdt-merge-9"}
    recipe = complete_recipe(entries)
    assert isinstance(recipe, UnknownRecipe) and recipe.to_map() == entries


@pytest.mark.clause("NA-4")
def test_a_method_without_coefficients_takes_none():
    slerp, emr = InDialect("slerp", CRDT), InDialect("emr", CRDT)
    assert (slerp.check_coefficient(1.0, "x"), emr.check_coefficient(2.0, "x")) == (1.0, 2.0)
    for recipe, coefficient in ((slerp, 2.0), (emr, -1.0)):
        with pytest.raises(CoefficientError, match=r"^x: "):
            recipe.check_coefficient(coefficient, "x")


@pytest.mark.clause("NA-2", "RC-7")
def test_a_merge_file_of_mergekit_is_told_what_its_method_is(tmp_path):
    path = tmp_path / "merge.yaml"
    path.write_text("merge_method: negative_merge\nbase: b\nmodels: [{path: a}]\n")
    from mergealgebra.recipe_file import read_merge_file

    with pytest.raises(RecipeError, match="'merge_method': write `method`, and 'negative_merge' is crdt-merge"):
        read_merge_file(path)


@pytest.mark.clause("NA-2", "RC-11")
def test_a_method_from_outside_may_have_a_key_of_that_name():
    class Own(ma.Method):
        name, distribution, version = "own", "tests", "1"
        dialect: str = key(default="plain", check=one_of("plain", "fancy"))
        rounds = ma.Mean.rounds

    ma.register(Own)
    try:
        assert recipe_from_map({"method": "own", "dialect": "fancy"}) == Own(dialect="fancy")
    finally:
        unregister("own")
