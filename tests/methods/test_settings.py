"""Settings by tensor: one clear line for what is none, and merges that follow them."""

from __future__ import annotations

import json
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.engine import statistics
from mergealgebra.errors import (
    AggregateError,
    CoefficientError,
    DecimalError,
    LockError,
    MergeAlgebraWarning,
    MethodError,
    NamesError,
    NonFinite,
    RecipeError,
    WorkspaceError,
)
from mergealgebra.lock import Lock
from mergealgebra.methods.numbers import by_tensor
from mergealgebra.recipe import complete_recipe, in_words
from mergealgebra.recipe_file import read_recipe
from tests.methods.merges import bits, cases, recipes
from tests.models import base, fine_tune, write_file
from tests.workspace.replicas import make_workspace, write_models

MLP = {"tensors": "*.mlp.*", "density": "0.5"}
REFUSED = {
    "a text": (
        "x",
        RecipeError,
        r"settings: 'x' is not a list; write entries like \{tensors: '\*.mlp.\*', \.\.\.",
    ),
    "an entry": (MLP, RecipeError, "is not a list"),
    "nothing": (None, RecipeError, "None is not a list"),
    "an entry that is a text": (["x"], RecipeError, r"settings\[0\]: 'x' is not an entry; write one like"),
    "no pattern": ([MLP, {"density": "1"}], RecipeError, r"settings\[1\]: it has no tensors; write the pattern"),
    "several patterns": ([{"tensors": ["a"], "density": "1"}], RecipeError, "tensors is a list; write the pattern"),
    "no number": ([{"tensors": "a"}], RecipeError, "it sets nothing; give it density or lambda or coefficient"),
    "an unknown key": ([{**MLP, "densty": "1"}], RecipeError, "unknown key 'densty'; did you mean 'density'"),
    "another method's key": ([{**MLP, "trim_density": "1"}], RecipeError, "unknown key 'trim_density'"),
    "a key of all": ([{**MLP, "scope": "tensor"}], RecipeError, "'scope' is the same for all tensors; write it at the"),
    "an empty gradient": ([{"tensors": "a", "lambda": []}], RecipeError, r"\[0\]: lambda: the list is empty; give it"),
    "a float": ([{"tensors": "a", "lambda": 0.5}], DecimalError, r'settings\[0\]: lambda: 0.5 .* a string, like "0.5"'),
    "a density": ([{"tensors": "a", "density": ["1", "2"]}], DecimalError, r"\[0\]: density\[1\]: 2 is not above 0"),
    "a coefficient": ([{"tensors": "a", "coefficient": "-1"}], CoefficientError, "ties takes no negative coefficients"),
    "half a character": ([{"tensors": "\ud800", "lambda": "1"}], RecipeError, "settings: a value has no canonical"),
    "too much": ([{"tensors": "a" * 65536, "lambda": "1"}], RecipeError, "settings: they take 65,5.. bytes, at most"),
}


@pytest.mark.clause("ST-1")
@pytest.mark.parametrize(("settings", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(settings, error, message):
    with pytest.raises(error, match=message) as refused:
        ma.Ties(settings=settings)
    assert str(refused.value).startswith("ties: ")
    assert "\n" not in str(refused.value)


@pytest.mark.clause("ST-1", "RC-12")
def test_the_longest_of_a_method_that_is_not_known():
    longest = {"method": "later", "settings": [{"tensors": "a" * 65520, "k": ""}]}
    assert complete_recipe(longest).to_map() == longest
    longest["settings"][0]["tensors"] += "a"
    with pytest.raises(RecipeError, match="method: 'later' is unknown"):
        complete_recipe(longest)


@pytest.mark.clause("ST-2", "ST-3")
@pytest.mark.parametrize(
    ("recipe", "names", "error", "message"),
    [
        (ma.Ties(settings=[MLP]), ["a", "b"], NamesError, r"\[0\]: pattern '\*.mlp.\*' matches no float tensor .* 'a'"),
        (
            ma.Mean(settings=[{"tensors": "*", "lambda": ["0", "1"]}]),
            ["h.0", "norm[1]"],
            RecipeError,
            r"'norm\[1\]' has no layer's number: write an entry like \{tensors: 'norm\[\[\]1\]', lambda: '0'\} above",
        ),
    ],
    ids=["no match", "no layer"],
)
def test_what_does_not_fit_the_base_is_refused(recipe, names, error, message):
    with pytest.raises(error, match=message):
        by_tensor(recipe, names)


@pytest.mark.clause("ST-1", "RC-4")
def test_how_a_recipe_shows_them():
    recipe = ma.Ties(settings=[{"density": "0.50", "tensors": "*.mlp.*"}, {"tensors": "h.*", "lambda": ["0", "1.0"]}])
    assert repr(recipe) == f"Ties(settings=[{MLP!r}, {{'tensors': 'h.*', 'lambda': ['0', '1']}}])"
    assert eval(repr(recipe), {"Ties": ma.Ties}) == recipe
    assert in_words(recipe.to_map()).endswith(
        "keep_all; for *.mlp.*: density 0.5; for h.*: lambda from 0 to 1 by layer"
    )
    assert recipe != ma.Ties()
    assert ma.Ties(settings=[]).to_map() == ma.Ties().to_map()
    assert ma.Ties(settings=recipe.settings) == recipe


# Merges

FACTORS = st.sampled_from(["0", "2", "1"])


def settings_of(recipe) -> st.SearchStrategy[list[dict[str, str]]]:
    """Entries for the tensors of the cases."""
    keys = recipe.to_map().keys()
    free = (
        {"density", "lambda"} if not keys & {"gamma", "epsilon"} else {"lambda"}
    )  # those leave room for few densities
    numbers = {key: st.sampled_from(["1", "0.5", "0.2"]) for key in keys & free}
    numbers |= {"coefficient": FACTORS} | ({"trim_density": numbers["density"]} if recipe.name == "dare_ties" else {})
    patterns = st.sampled_from(["a", "b.*", "c", "[ab]*", "*"])
    entries = st.fixed_dictionaries({"tensors": patterns}, optional=numbers).filter(lambda entry: len(entry) > 1)
    return st.lists(entries, min_size=1, max_size=3)


@st.composite
def settled(draw: st.DrawFn):
    """A merge by a recipe with settings, in scope tensor where there is one."""
    case = draw(cases())
    entries = case.recipe.to_map() | {"settings": draw(settings_of(case.recipe))}
    entries |= {"scope": "tensor"} if entries.get("scope") == "model" else {}
    return case, type(case.recipe)(**{key: value for key, value in entries.items() if key != "method"})


@pytest.mark.clause("ST-2", "ST-4")
@given(settled())
def test_each_tensor_is_what_its_own_recipe_makes_of_it(merge):
    case, recipe = merge
    merged = ma.merge(case.base, case.task_vectors, recipe, case.coefficients)
    for name, plain in by_tensor(recipe, list(case.base)).items():
        if plain.factor == 0:
            assert bits(merged)[name] == bits(case.base)[name]
            continue
        scaled = [str(Decimal(text) * int(plain.factor)) for text in case.coefficients]
        alone = ma.merge(case.base, case.task_vectors, plain.method, scaled)
        assert bits(merged)[name] == bits(alone)[name]


@pytest.mark.clause("ST-5")
@given(cases(recipes()), st.sampled_from(["a", "b.*", "*"]))
def test_settings_that_say_what_the_recipe_says_change_no_bit(case, pattern):
    said = {key: text for key, text in case.recipe.to_map().items() if key in ("density", "lambda", "trim_density")}
    keys = {key: text for key, text in case.recipe.to_map().items() if key != "method"}
    recipe = type(case.recipe)(**keys, settings=[{"tensors": pattern, "coefficient": "1", **said}])
    merged = ma.merge(case.base, case.task_vectors, recipe, case.coefficients)
    assert bits(merged) == bits(case.merged())
    assert merged.kept == case.merged().kept


@pytest.mark.clause("ST-5", "MG-8")
def test_large_groups_are_looked_at_together_and_give_the_same_bits(monkeypatch):
    """Each tensor of a group has other stages before trim."""
    random = np.random.default_rng(7)
    names = [f"h.{i}" for i in range(4)]
    vectors = [{name: random.normal(size=5000).astype(np.float32) for name in names} for _ in range(3)]
    zeros = {name: np.zeros(5000, np.float32) for name in names}
    recipe = ma.DareTies(
        trim_density="0.3",
        settings=[{"tensors": "h.*", "density": ["0.2", "0.9"]}, {"tensors": "h.3", "trim_density": "0.7"}],
    )
    small = ma.merge(zeros, vectors, recipe, threads=2, block=4096)
    monkeypatch.setattr(statistics, "_LARGE", 1)
    assert bits(ma.merge(zeros, vectors, recipe, threads=2, block=4096)) == bits(small)


@pytest.mark.clause("ST-4", "TV-4", "MG-6")
def test_a_tensor_that_counts_as_absent_is_read_all_the_same(tmp_path):
    recipe = ma.Mean(settings=[{"tensors": "a", "coefficient": "0"}])
    zeros = {name: np.zeros(3, np.float32) for name in ("a", "b")}
    one = {"a": np.float32([1, 2, np.nan]), "b": np.float32([1, 2, 3])}
    with pytest.raises(NonFinite, match=r"task vector 0: tensor 'a' at index \[2\] is nan"):
        ma.merge(zeros, [one], recipe)


@pytest.mark.clause("ST-4")
def test_a_product_beyond_fp32_names_contribution_and_tensor():
    recipe = ma.Mean(settings=[{"tensors": "b", "coefficient": "10"}])
    zeros = {"a": np.zeros(1, np.float32), "b": np.zeros(1, np.float32)}
    with pytest.raises(CoefficientError, match=r"task vector 1: tensor 'b': its coefficient 9\.99.*e\+37 times"):
        ma.merge(zeros, [zeros, zeros], recipe, ["1", "1" + "0" * 38])


def test_a_number_that_changes_what_is_computed_is_refused():
    class Fickle(ma.Ties):
        name, distribution, version = "fickle", "tests", "1"

        @property
        def rounds(self):
            (round_,) = super().rounds
            return (round_,) if Fraction(self.density) == 1 else (round_, round_)

    ma.register(Fickle)
    zeros = {"a": np.zeros(1, np.float32)}
    with pytest.raises(MethodError, match="fickle has other stages for tensor 'a'"):
        ma.merge(zeros, [zeros], Fickle(settings=[{"tensors": "a", "density": "0.5"}]))


# Files, workspaces, locks


@pytest.mark.clause("ST-6")
def test_an_aggregate_is_refused_with_the_reason(tmp_path):
    recipe = ma.Ties(settings=[{"tensors": "*", "density": "0.5"}])
    with pytest.raises(AggregateError, match="ties: settings are about the names of a base, which an aggregate does"):
        ma.Aggregate.lift(recipe, "one", fine_tune(0))
    write_models(tmp_path)
    alice = make_workspace(tmp_path, "alice", 0, 1, recipe=recipe)
    outcome = alice.resolve(tmp_path / "out", keep_aggregate="always").aggregate
    assert outcome.problem == "its recipe has settings by tensor, and kept sums are those of one recipe for all tensors"


@pytest.mark.clause("ST-2", "OS-1")
def test_a_workspace_refuses_settings_that_do_not_fit_its_base(tmp_path):
    write_file(tmp_path / "base.safetensors", base())
    recipe = ma.Ties(settings=[{"tensors": "no.such.*", "density": "0.5"}])
    with pytest.raises(NamesError, match=r"pattern 'no.such.\*' matches no float tensor of the base"):
        ma.Workspace.init(tmp_path / "w", base=tmp_path / "base.safetensors", recipe=recipe)
    assert not (tmp_path / "w").exists()


@pytest.mark.clause("TI-2", "ST-5")
def test_kept_thresholds_are_those_of_the_groups(tmp_path):
    """Recipes that group tensors otherwise have other entries in the cache, and each finds its own again."""
    write_models(tmp_path)
    names = sorted(name for name, array in base().items() if array.dtype.kind == "f")
    alice = make_workspace(tmp_path, "alice", 0, 1, recipe=ma.Ties(density="0.5"))

    def kept(recipe: ma.Ties, out: str) -> tuple[str, int]:
        root = alice.resolve(tmp_path / out, recipe=recipe).model_root
        assert ma.verify(tmp_path / out, against=alice.path).ok
        return root, sum(path.is_file() for path in (alice.path / "cache").rglob("*"))

    plain, before = kept(ma.Ties(density="0.5"), "plain")
    other = ma.Ties(density="0.5", settings=[{"tensors": names[0], "density": "0.25"}])
    settled, after = kept(other, "settled")
    assert (settled != plain, after - before) == (True, 4)  # two groups of each of two contributions
    assert kept(other, "again") == (settled, after)
    of_lambda = ma.Ties(density="0.5", settings=[{"tensors": names[0], "density": "0.25", "lambda": "2"}])
    assert kept(of_lambda, "lambda")[1] == after  # thresholds do not depend on lambda


@pytest.mark.clause("LK-2", "ST-1")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("x", "'recipe.settings': expected an array"),
        ([["x"]], "'recipe.settings.0': expected an object"),
        ([{"tensors": "a", "density": 1}], "'recipe.settings.0.density': expected a string"),
        ([{"tensors": "a", "density": [1]}], "'recipe.settings.0.density.0': expected a string"),
        ([{"tensors": "a", "density": "0.50"}], "is not complete and canonical"),
        ([], "settings: .* is not canonical; leave it out"),
        ([{"tensors": "a" * 70_000, "density": "1"}], "'recipe.settings': has more than 65536 characters"),
        ([{"tensors": "a", "density": ["1"] * 70_000}], "'recipe.settings.0.density': has more than 65535 items"),
    ],
    ids=["a text", "a list", "a number", "a number in a list", "not canonical", "empty", "too long", "too many"],
)
def test_a_lock_with_settings_that_are_none_is_refused(tmp_path, settings, message):
    write_models(tmp_path)
    alice = make_workspace(tmp_path, "alice", 0, recipe=ma.Ties(settings=[{"tensors": "*", "density": "0.5"}]))
    alice.resolve(tmp_path / "out")
    path = tmp_path / "out" / "merge.lock"
    entries = json.loads(path.read_text())
    entries["recipe"]["settings"] = settings
    path.write_text(json.dumps(entries))
    with pytest.raises(LockError, match=message):
        Lock.read(tmp_path / "out")


@pytest.mark.clause("OS-1", "ST-1")
@pytest.mark.parametrize("settings", ["x", ["x"], [{"tensors": 1}], [{"tensors": "a", "k": [1]}], [{1: "a"}]])
def test_a_genesis_holds_strings_and_lists_of_maps_of_them(settings):
    from mergealgebra.crdt.genesis import Genesis

    if settings == "x":
        assert Genesis("ab" * 32, "", {"method": "later", "settings": settings})  # what it means is no matter here
        return
    with pytest.raises(WorkspaceError, match="settings"):
        Genesis("ab" * 32, "", {"method": "later", "settings": settings})


@pytest.mark.clause("LK-8", "RC-7")
def test_a_card_says_and_repeats_them(tmp_path):
    write_models(tmp_path)
    entries = [{"tensors": "*[!\u00e9]*", "density": "0.5"}, {"tensors": "*", "lambda": "0.25", "coefficient": "2"}]
    recipe = ma.Ties(density="0.25", settings=entries)
    make_workspace(tmp_path, "alice", 0, 1, recipe=recipe).resolve(tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Some tensors have numbers of their own" in card
    assert "&#42;: lambda 0.25, coefficient 2" in card
    (tmp_path / "recipe.yaml").write_text(card.split("```yaml\n")[1].split("```")[0])
    assert read_recipe(tmp_path / "recipe.yaml") == recipe


UNUSED = {
    "all taken": (
        [{"tensors": "*", "density": "0.5"}, {"tensors": "layer.*", "density": "0.1", "lambda": "0.5"}],
        [r"settings[1]: density is used nowhere: settings[0] above has all tensors that 'layer.*' matches"],
    ),
    "more numbers than layers": (
        [{"tensors": "layer.*", "lambda": ["0", "1", "2"]}],
        ["settings[0]: lambda is a list of 3 numbers for 1 layer, so not all of them are used"],
    ),
    "some left": ([{"tensors": "layer.*", "density": "0.5"}, {"tensors": "*", "density": "0.1"}], []),
}


@pytest.mark.clause("ST-3")
@pytest.mark.parametrize(("settings", "lines"), UNUSED.values(), ids=UNUSED)
def test_what_is_not_used_is_told_wherever_it_is_merged(tmp_path, settings, lines):
    recipe, told = ma.Ties(settings=settings), [f"ties: {line}" for line in lines]
    write_models(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MergeAlgebraWarning)
        workspace = make_workspace(tmp_path, "w", 0, recipe=recipe)
        assert list(workspace.resolve(tmp_path / "resolved").warnings) == told
        assert (
            list(ma.merge(tmp_path / "base", [tmp_path / "ft0.safetensors"], recipe, out=tmp_path / "at-once").warnings)
            == told
        )
        start, changes = base(), {"layer.0.bias": np.ones(4, np.float32)}
        assert list(ma.merge(start, [changes], recipe).warnings) == told
