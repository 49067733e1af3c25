"""Settings by contribution: one clear line for what is none, and merges that follow them, in any order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.engine import statistics
from mergealgebra.errors import (
    BackendError,
    CoefficientError,
    DecimalError,
    MergeAlgebraError,
    RecipeError,
    UnknownContribution,
)
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.methods.key_checks import check_factor
from mergealgebra.methods.method import key
from mergealgebra.methods.task_arithmetic import total
from mergealgebra.recipe_file import read_merge_file, read_recipe
from tests.methods.merges import bits, cases
from tests.models import base, fine_tune, write_file
from tests.workspace.replicas import make_workspace, write_models

ONE, OTHER = "5" * 64, "6" * 64
REFUSED = {
    "no id": ({"contribution": "5"}, "settings[0]: contribution: '5' is not the id of a contribution; write all of"),
    "capitals": ({"contribution": "AB" * 32, "density": "1"}, "is not the id of a contribution"),
    "no number": ({"contribution": ONE}, "it sets nothing; give it density or coefficient, or leave it out"),
    "lambda": (
        {"contribution": ONE, "lambda": "1"},
        "'lambda' acts on what all contributions give together, so it cannot differ by contribution; write it in an "
        "entry without contribution, or at the top of the recipe",
    ),
    "scope": ({"contribution": ONE, "scope": "tensor"}, "'scope' is the same for all contributions; write it at the"),
    "several patterns": ({"contribution": ONE, "tensors": ["a"], "density": "1"}, "tensors is a list; write the"),
    "neither": ({"density": "1"}, "it has no tensors; write the pattern"),
}


@pytest.mark.clause("ST-7")
@pytest.mark.parametrize(("entry", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(entry, message):
    with pytest.raises(RecipeError) as refused:
        ma.Ties(settings=[entry])
    assert str(refused.value).startswith("ties: settings[0]: ")
    assert message in str(refused.value)


@st.composite
def merges(draw: st.DrawFn):
    """A merge in which each contribution has numbers of its own, and its settings."""
    case = draw(cases())
    own = case.recipe.own_keys
    free = ["trim_density", *(["density"] if not {"gamma", "epsilon"} & set(own) else [])]
    numbers = {name: st.sampled_from(["1", "0.5", "0.2"]) for name in free if name in own}
    numbers["coefficient"] = st.sampled_from(["0", "2", "1"])
    entries = st.fixed_dictionaries({}, optional={"tensors": st.sampled_from(["a", "[ab]*", "*"]), **numbers})
    entries = entries.filter(lambda entry: entry.keys() - {"tensors"})
    lists = st.lists(entries, max_size=2)
    return case, [draw(lists) for _ in case.task_vectors]


@pytest.mark.filterwarnings("ignore::mergealgebra.errors.MergeAlgebraWarning")
@pytest.mark.clause("ST-8", "ST-9", "MG-8")
@given(merges(), st.randoms(use_true_random=False), st.integers(1, 9))
@settings(max_examples=20)
def test_neither_order_nor_backend_nor_blocks_change_a_bit(merge, random, block):
    case, own = merge
    try:
        merged = case.merged(settings=own)
    except RecipeError as error:  # two that are the same
        assert "are the same contribution" in str(error)
        return
    order = random.sample(range(len(own)), len(own))
    there = [own[i] for i in order]
    for how in ({"backend": "torch"}, {"backend": "numpy+numba", "block": block}, {"backend": "auto", "threads": 2}):
        assert bits(case.merged(order, settings=there, **how)) == bits(merged)


@pytest.mark.clause("ST-8")
@given(cases(), st.sampled_from(["2", "0.5"]))
@settings(max_examples=15)
def test_a_factor_is_that_of_the_coefficient(case, factor):
    own = [{"coefficient": factor}, *({} for _ in case.task_vectors[1:])]
    try:
        merged = case.merged(settings=own)
    except RecipeError as error:
        assert "are the same contribution" in str(error)
        return
    exact = str(float(case.coefficients[0]) * float(factor))
    if "e" in exact:
        return
    alike = ma.merge(case.base, case.task_vectors, case.recipe, [exact, *case.coefficients[1:]])
    assert bits(alike) == bits(merged)


TWO = [{"w": np.float32([1, -4, 3, 2])}, {"w": np.float32([4, 3, -2, 1])}]
ZEROS = {"w": np.zeros(4, np.float32)}


@pytest.mark.clause("ST-8", "ST-5")
def test_each_is_trimmed_by_its_own_density_and_summed_by_its_own_coefficient():
    own = [{"density": "0.25"}, {"density": "0.5", "coefficient": "2"}]
    merged = ma.merge(ZEROS, TWO, ma.Ties(), settings=own)
    assert merged["w"].tolist() == [4, 3, 0, 0]
    assert merged.kept == (1, 2)


@pytest.mark.clause("ST-8", "SL-2")
@pytest.mark.parametrize("recipe", [ma.Slerp(), ma.NuSlerp()], ids=lambda recipe: recipe.name)
def test_a_factor_of_0_is_an_end_of_the_arc(recipe):
    merged = ma.merge(ZEROS, TWO, recipe, settings=[{"coefficient": "0"}, {}])
    assert merged["w"].tolist() == TWO[1]["w"].tolist()


@pytest.mark.clause("ST-8", "MG-8")
def test_large_groups_of_several_densities_are_looked_at_together(monkeypatch):
    random = np.random.default_rng(7)
    names = [f"h.{i}" for i in range(3)]
    vectors = [{name: random.normal(size=5000).astype(np.float32) for name in names} for _ in range(3)]
    zeros = {name: np.zeros(5000, np.float32) for name in names}
    own = [{"density": "0.3"}, [{"tensors": "h.1", "density": "0.6", "trim_density": "0.5"}], {}]
    small = ma.merge(zeros, vectors, ma.DareTies(density="0.9", trim_density="0.4"), settings=own, block=4096)
    monkeypatch.setattr(statistics, "_LARGE", 1)
    again = ma.merge(zeros, vectors, ma.DareTies(density="0.9", trim_density="0.4"), settings=own, threads=2)
    assert bits(again) == bits(small)


@pytest.mark.clause("ST-7", "RC-11")
def test_a_method_from_outside_says_which_keys_act_on_one_contribution():
    from mergealgebra import algebra

    class Scaled(ma.Method):
        name, distribution, version = "scaled", "tests", "1"
        scale: str = key(default="1", check=check_factor, by_contribution=True)

        @property
        def rounds(self):
            scale = float(self.scale)
            return (algebra.Round(lambda view: algebra.Terms((algebra.scaled(view.tau, scale),)), total),)

    ma.register(Scaled)
    merged = ma.merge(ZEROS, TWO, Scaled(), settings=[{"scale": "2"}, {}])
    assert merged["w"].tolist() == [6, -5, 4, 5]


@pytest.mark.clause("ST-7", "ST-9")
@pytest.mark.parametrize(
    ("models", "recipe", "own", "error", "message"),
    [
        (TWO, ma.Ties(settings=[{"contribution": ONE, "density": "1"}]), None, RecipeError,
         f"ties: settings: contribution: {ONE} is not among what is merged; take its entries out, or write one of"),
        ([TWO[0], TWO[0]], ma.Ties(), [{"density": "0.5"}, {}], RecipeError,
         "task vector 0 and task vector 1 are the same contribution "),
        ([TWO[0], TWO[0]], ma.Ties(), [{"density": "0.5"}] * 2, RecipeError,
         "task vector 0 and task vector 1 are the same contribution "),
        (TWO, ma.Mean(), [{"density": "0.5"}, {}], RecipeError, "model 0: settings[0]: unknown key 'density'"),
        (TWO, ma.Ties(), [{"density": "0.5"}], RecipeError, "1 entries of settings for 2 models; give one for each"),
        (TWO, ma.Ties(), {"density": "0.5"}, RecipeError, "settings is a dict; pass a list, such as"),
        (TWO, ma.Ties(), ["x", {}], RecipeError, "model 0: settings: 'x' is not a list"),
        (TWO, ma.Ties(), [{"density": "2"}, {}], DecimalError, "model 0: settings[0]: density: 2 is not above 0"),
        (TWO, ma.Ties(), [{"coefficient": "-1"}, {}], CoefficientError, "ties takes no negative coefficients"),
        (TWO, ma.Ties(), [[{"contribution": ONE, "density": "1"}], {}], RecipeError, "it is this model; leave it out"),
        (TWO, ma.Breadcrumbs(), [{"gamma": "0.5"}, {}], RecipeError, "tensor 'w' of contribution "),
    ],
    ids=["unknown", "other settings", "the same twice", "no such key", "too few", "a mapping", "a text", "a number",
         "negative", "an id", "numbers that do not go together"],
)  # fmt: skip
def test_what_does_not_fit_the_models_is_refused(models, recipe, own, error, message):
    with pytest.raises(error) as refused:
        ma.merge(ZEROS, models, recipe, settings=own)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.clause("ST-8", "MG-8")
def test_a_kernel_that_knows_one_probability_for_all_refuses_and_auto_takes_another():
    recipe, own = ma.DareLinear(seed="3"), [{"density": "0.5"}, {}]
    with pytest.raises(BackendError, match="'numba' does not compute dare_linear with numbers by contribution"):
        ma.merge(ZEROS, TWO, recipe, backend="numba", settings=own)
    assert ma.merge(ZEROS, TWO, recipe, backend="auto", settings=own).backend != "numba"
    assert ma.merge(ZEROS, TWO, recipe, backend="numba", settings=[{"coefficient": "2"}, {}]).backend == "numba"


# Files


@pytest.fixture
def merge_file(tmp_path):
    """What writes a merge file of three models, in an order."""
    write_file(tmp_path / "base.safetensors", base())
    for number in range(3):
        write_file(tmp_path / f"ft{number}.safetensors", fine_tune(number))
    keys = {
        0: "density: '0.5', coefficient: '2'",
        1: "settings: [{tensors: 'layer.*', density: '0.4', coefficient: '0'}], density: '0.2'",
        2: "coefficient: ['1', '1']",
    }

    def write(name, order=(0, 1, 2), recipe="method: ties\n", change=lambda text: text):
        models = "".join(f"  - {{path: ft{n}.safetensors, {keys[n]}}}\n" for n in order)
        (tmp_path / name).write_text(change(f"{recipe}base: base.safetensors\nmodels:\n{models}"))
        return tmp_path / name

    return write


def merged(path, out):
    file = read_merge_file(path)
    models = [Model(m.path, m.coefficient, m.take, m.leave, m.auxiliary, m.settings) for m in file.models]
    return merge_checkpoints(file.base, models, file.recipe, out, listed_in=path)


@pytest.mark.clause("ST-9", "RC-7", "LK-6")
def test_a_file_s_models_have_numbers_of_their_own_in_any_order_and_a_workspace_gives_the_same(tmp_path, merge_file):
    change = lambda text: text.replace("coefficient: ['1', '1']", "coefficient: '1'")  # noqa: E731
    result = merged(merge_file("a.yaml", change=change), tmp_path / "out")
    again = merged(merge_file("b.yaml", (2, 0, 1), change=change), tmp_path / "again")
    assert (again.merge_id, again.model_root) == (result.merge_id, result.model_root)
    entries = result.lock.recipe["settings"]
    numbers = [{key: text for key, text in entry.items() if key != "contribution"} for entry in entries]
    listed = [{"tensors": "layer.*", "coefficient": "0", "density": "0.4"}, {"density": "0.2"}]
    assert numbers in ([{"density": "0.5"}, *listed], [*listed, {"density": "0.5"}])
    write_models(tmp_path)
    alice = make_workspace(tmp_path, "alice")
    for number, coefficient in enumerate(["2", "1", "1"]):
        alice.contribute(tmp_path / f"ft{number}.safetensors", coefficient=coefficient)
    (tmp_path / "recipe.yaml").write_text(
        "method: ties\nsettings:\n"
        + "".join("  - {" + ", ".join(f"{k}: '{v}'" for k, v in short(entry).items()) + "}\n" for entry in entries)
    )
    recipe = read_recipe(tmp_path / "recipe.yaml", alice.visible())
    resolved = alice.resolve(tmp_path / "resolved", recipe=recipe)
    assert (resolved.merge_id, resolved.model_root) == (result.merge_id, result.model_root)
    assert ma.verify(tmp_path / "resolved", against=alice.path).ok
    assert "contribution " + entries[0]["contribution"][:12] in (tmp_path / "resolved" / "README.md").read_text()


def short(entry):
    return entry | {"contribution": entry["contribution"][:10].upper()}


IN_FILES = {
    "no such key": (("density: '0.5'", "densty: '0.5'"), "models[0]: unknown key 'densty'; did you mean 'density'?"),
    "of the sums": (("density: '0.5'", "lambda: '0.5'"), "models[0]: 'lambda' acts on what all contributions give"),
    "a number": (("density: '0.5'", "density: '5'"), "models[0]: density: 5 is not above 0"),
    "in the list": (("density: '0.4'", "density: '4'"), "models[1]: settings[0]: density: 4 is not above 0"),
    "no list": (("settings: [", "settings: x, y: ["), "models[1]: settings: expected a list of entries"),
    "a method without": (("method: ties", "method: mean"), "models[0]: unknown key 'density'; a model's are path, "),
}


@pytest.mark.clause("ST-9", "RC-7")
@pytest.mark.parametrize(("change", "message"), IN_FILES.values(), ids=IN_FILES)
def test_a_file_is_refused_with_its_key(merge_file, change, message):
    path = merge_file("a.yaml", change=lambda text: text.replace(*change))
    with pytest.raises(MergeAlgebraError) as refused:
        read_merge_file(path)
    assert f"a.yaml: {message}" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.clause("ST-9", "RC-8")
def test_two_files_that_are_the_same_with_different_settings_are_refused(tmp_path, merge_file):
    path = merge_file(
        "a.yaml", change=lambda text: text.replace("ft0.", "ft1.").replace("coefficient: '2'", "take: '*'")
    )
    with pytest.raises(RecipeError, match=r"models\[0\] .* and models\[1\] .* are the same contribution .*different"):
        merged(path, tmp_path / "out")


@pytest.mark.clause("ST-7", "RC-7")
@pytest.mark.parametrize(
    ("prefix", "message"),
    [("7777", "no contribution begins with '7777'"), ("5", "'5' is too short"), ("55aa", "2 contributions begin with")],
)
def test_the_first_digits_of_an_id_must_name_one(tmp_path, prefix, message):
    (tmp_path / "r.yaml").write_text(f"method: ties\nsettings:\n  - {{contribution: '{prefix}', density: '1'}}\n")
    with pytest.raises(UnknownContribution) as refused:
        read_recipe(tmp_path / "r.yaml", ["55aa" + "1" * 60, "55aa" + "2" * 60])
    assert f"r.yaml: settings[0]: contribution: {message}" in str(refused.value)


@pytest.mark.clause("ST-7", "OS-1")
def test_a_workspace_s_own_recipe_has_none(tmp_path):
    write_file(tmp_path / "base.safetensors", base())
    recipe = ma.Ties(settings=[{"contribution": ONE, "density": "0.5"}])
    with pytest.raises(RecipeError, match=r"contribution 555555555555 is named, and .* `resolve OUT --recipe R`"):
        ma.Workspace.init(tmp_path / "w", base=tmp_path / "base.safetensors", recipe=recipe)
    assert not (tmp_path / "w").exists()


@pytest.mark.clause("ST-9", "NA-13")
def test_another_tool_s_method_has_numbers_by_model_too():
    base = {"w": np.float32([0, 0])}
    recipe = ma.InDialect("linear", "mergekit-0.1.5")
    merged = ma.merge(
        base, [{"w": TWO[0]["w"][:2]}, {"w": TWO[1]["w"][:2]}], recipe, settings=[{}, {"coefficient": "3"}]
    )
    assert merged["w"].tolist() == [(1 + 3 * 4) / 4, (-4 + 3 * 3) / 4]
    with pytest.raises(RecipeError, match=r"model 0: settings\[0\]: unknown key 'densty'"):
        ma.merge(base, TWO, ma.InDialect("dare_linear", "mergekit-0.1.5"), settings=[{"densty": "0.5"}, {}])
    with pytest.raises(RecipeError, match=r"it sets nothing|unknown key"):
        ma.merge(base, TWO, ma.InDialect("slerp", "crdt-merge-0.11"), settings=[{"t": "0.5"}, {}])
