"""What mergekit 0.1.5 answered to small questions, asked again of the dialect; and its settings, order and masks."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import mergealgebra as ma
from mergealgebra.algebra.method import WholeModel
from mergealgebra.dialects import mergekit_order
from mergealgebra.dialects.mergekit import EQUATIONS, written_dtype
from mergealgebra.dialects.mergekit_group import Group
from mergealgebra.dialects.mergekit_numbers import DTYPES, Numbers
from mergealgebra.errors import CheckpointError, RecipeError
from mergealgebra.methods.in_dialect import InDialect
from mergealgebra.recipe import complete_recipe, recipe_from_map

KIT = "mergekit-0.1.5"
RECORDED = json.loads(
    (Path(__file__).parents[2] / "spec" / "conformance" / f"{KIT}.answers.json").read_text(encoding="utf-8")
)
SHAPE = (3, 9)
#: Where torch's sines, arc cosines and dot products of binary32 are not correctly rounded: parts of the largest number.
ROUNDED_OTHERWISE = {"slerp", "nuslerp", "multislerp", "karcher"}


def array(text, dtype):
    return np.frombuffer(bytes.fromhex(text), dtype).reshape(SHAPE)


def answer_of(case):
    numbers = Numbers(DTYPES[case["dtype"]])
    base, *models = (array(text, numbers.dtype) for text in case["inputs"])
    shared = case["shared"] | {"on": "tau" if case["based"] else "theta"}
    own = [{key: values[i] for key, values in case["own"].items()} for i in range(case["count"])]
    masks = [None if text is None else array(text, np.uint8) != 0 for text in case["masks"]]
    inputs = [base, *models] if case["method"] == "slerp" else models
    return EQUATIONS[case["method"]](Group(numbers, base, inputs, shared, own, masks))


@pytest.mark.clause("NA-11", "NA-12", "NA-13", "NA-14", "NA-15")
@pytest.mark.parametrize("method", EQUATIONS)
def test_its_recorded_answers(method):
    cases = [case for case in RECORDED if case["method"] == method]
    assert len(cases) >= 3
    for case in cases:
        found, wanted = answer_of(case), array(case["answer"], DTYPES[case["answer_dtype"]])
        assert found.dtype == wanted.dtype == DTYPES[written_dtype(method, case["dtype"])]
        if method in ROUNDED_OTHERWISE and case["dtype"] == "float32":
            assert np.abs(found - wanted).max() <= 2.0**-20 * np.abs(wanted).max()
        else:
            assert np.array_equal(found, wanted), (case["shared"], case["dtype"])


# The order of sums


@pytest.mark.clause("NA-14")
def test_sums_run_as_torch_runs_them():
    cases = [case for case in RECORDED if case["method"] == "sums"]
    assert len(cases) >= 10
    for case in cases:
        rows = np.random.default_rng(0).standard_normal(case["shape"]).astype(case["dtype"])
        assert mergekit_order.sums(rows).tobytes().hex() == case["answer"]
        assert np.sqrt(mergekit_order.squares(rows)).tobytes().hex() == case["norms"]


# Recipes


BASE = {"a": np.float32([1, 2]), "b": np.float32([0, 0])}
ONE, TWO = ({"a": np.float32([3, 2]), "b": np.float32([1, x])} for x in (1, 5))
ID1, ID2 = "1" * 64, "2" * 64


def merged(recipe, *models, base=BASE, coefficients=("1", "1")):
    ids = (ID1, ID2)
    whole = [
        WholeModel(f"model {i}", m, c, id=ids[i]) for i, (m, c) in enumerate(zip(models, coefficients, strict=False))
    ]
    return {name: array.tolist() for name, array in recipe.rounds[0].merge(base, whole)[0].items()}


def kit(method, **settings):
    return InDialect(method, KIT, **settings)


@pytest.mark.clause("NA-13")
def test_settings_are_looked_up_by_tensor_and_contribution():
    settings = [
        {"tensors": "b", "contribution": ID2, "coefficient": "0"},
        {"contribution": ID2, "coefficient": "-2"},
        {"tensors": "b", "lambda": "3"},
    ]
    recipe = kit("task_arithmetic", settings=settings)
    assert merged(recipe, ONE, TWO) == {"a": [-1, 2], "b": [3, 3]}  # 2 - 4, and 3 times 1
    assert merged(recipe, ONE, TWO, coefficients=("2", "1")) == {"a": [1, 2], "b": [6, 6]}
    assert recipe.to_map()["settings"] == settings
    assert complete_recipe(recipe.to_map()) == recipe and recipe != kit("task_arithmetic")
    assert repr(recipe).endswith(f"settings={settings!r})")


@pytest.mark.clause("NA-13")
def test_the_order_is_that_of_the_file():
    there, back = (kit("slerp", t="0", order=order) for order in (f"{ID1} {ID2}", f"{ID2} {ID1}"))
    assert merged(there, ONE, TWO)["b"] == [1, 1] and merged(back, ONE, TWO)["b"] == [1, 5]
    assert merged(kit("slerp", t="0"), TWO) == {"a": [1, 2], "b": [0, 0]}  # from the base
    assert there.to_map() == {"method": "slerp", "dialect": KIT, "t": "0", "order": f"{ID1} {ID2}"}
    with pytest.raises(
        RecipeError, match=r"order: it names 2 contributions, and there are 1, .*name each of them once"
    ):
        merged(there, ONE)


@pytest.mark.clause("NA-13")
def test_the_dtype_is_that_of_the_file_or_holds_all():
    base, model = {"w": np.array([256], ml_dtypes.bfloat16)}, {"w": np.float32([258.5])}
    recipe = kit("linear")
    assert merged(recipe, model, base=base) == {"w": [258.5]}
    assert merged(kit("linear", dtype="bfloat16"), model, base=base) == {"w": [258]}
    assert merged(kit("task_arithmetic", dtype="float16"), model, base=base) == {"w": [258.5]}


@pytest.mark.clause("NA-13", "RC-15")
def test_files_are_merged_and_written_in_another_dtype(tmp_path):
    for name, tensors in (("base", BASE), ("one", ONE), ("two", TWO)):
        save_file(tensors, tmp_path / f"{name}.safetensors")
    recipe = kit("linear", dtype="bfloat16", out_dtype="F16", settings=[{"tensors": "a", "coefficient": "0.5"}])
    paths = [tmp_path / f"{name}.safetensors" for name in ("one", "two")]
    result = ma.merge(tmp_path / "base.safetensors", paths, recipe, out=tmp_path / "out.safetensors")
    written = load_file(result.out)
    assert {name: (str(w.dtype), w.tolist()) for name, w in written.items()} == {
        "a": ("float16", [3, 2]),
        "b": ("float16", [1, 3]),
    }
    assert recipe_from_map(recipe.to_map()) == recipe and "out_dtype='F16'" in repr(recipe)
    assert result.lock.recipe == recipe.to_map()


@pytest.mark.clause("NA-13")
def test_ties_is_one_with_keys_of_its_own():
    plain = {"method": "ties", "dialect": KIT}
    assert recipe_from_map(plain) == ma.Ties(dialect=KIT)
    one = recipe_from_map(plain | {"dtype": "bfloat16"})
    assert one == kit("ties", dtype="bfloat16") and one.to_map()["normalize"] == "true"
    assert recipe_from_map(kit("ties").to_map()) == kit("ties")


@pytest.mark.clause("NA-15")
def test_masks_come_from_a_file(tmp_path):
    file = tmp_path / "masks.safetensors"
    save_file({"0/a": np.uint8([1, 0]), "0/b": np.uint8([0, 1])}, file)
    settings = [{"contribution": ID1, "density": "0.5"}]
    recipe = kit("dare_linear", settings=settings).with_masks(file)
    assert merged(recipe, ONE, TWO) == {"a": [5, 2], "b": [1, 7]}  # rescaled to the sum of magnitudes, 2
    last = [{"contribution": ID2, "density": "0.5"}]
    save_file(
        {"1/b": np.uint8([0, 1])}, tmp_path / "last.safetensors"
    )  # numbered by the order, also where one lacks it
    lacking = kit("dare_linear", settings=last).with_masks(tmp_path / "last.safetensors")
    assert (
        merged(lacking, {"a": ONE["a"]}, {"b": TWO["b"]})["a"] == merged(kit("task_arithmetic"), {"a": ONE["a"]})["a"]
    )
    assert recipe_from_map(recipe.to_map()).with_masks(file) == recipe
    with pytest.raises(RecipeError, match=r"draws its masks from torch's generator.*--masks FILE") as refused:
        _ = recipe_from_map(recipe.to_map()).rounds
    assert "\n" not in str(refused.value)
    with pytest.raises(RecipeError, match="has no mask '1/a'; capture the masks of this very merge"):
        merged(kit("dare_linear", density="0.5").with_masks(file), ONE, TWO)
    with pytest.raises(RecipeError, match="and the recipe names 111111111111; name the file"):
        kit("dare_linear", masks=ID1).with_masks(file)
    with pytest.raises(RecipeError, match="draws no masks in dialect"):
        kit("ties").with_masks(file)
    save_file({"0/a": np.float32([1, 0])}, file)
    with pytest.raises(CheckpointError, match="is F32; masks are BOOL or U8"):
        kit("dare_linear").with_masks(file)


REFUSED = {
    "a key": ({"settings": [{"weight": "1"}]}, "unknown key 'weight'"),
    "no list": ({"settings": "x"}, "'x' is not a list"),
    "no entry": ({"settings": ["x"]}, "'x' is not an entry"),
    "nothing": ({"settings": [{"tensors": "w"}]}, "it sets nothing"),
    "of all": ({"settings": [{"contribution": ID1, "lambda": "1"}]}, "lambda is of all contributions together"),
    "a gradient": ({"settings": [{"density": ["0", "1"]}]}, "density is a list; .*with layers: '0 32' beside"),
    "no id": ({"settings": [{"contribution": "x", "density": "1"}]}, "contribution: 'x' is not a root"),
    "no ids": ({"order": "a b"}, "order: 'a b' is not ids of contributions"),
    "twice": ({"order": f"{ID1} {ID1}"}, "has an id too many"),
    "a dtype": ({"dtype": "BF16"}, "expected one of bfloat16, float16"),
    "a flag": ({"normalize": "yes"}, "expected one of true, false"),
}


@pytest.mark.clause("NA-13")
@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(RecipeError, match=message) as refused:
        kit("ties", **settings)
    assert "\n" not in str(refused.value)


@pytest.mark.clause("NA-13")
def test_so_many_contributions_are_merged():
    for method, models in (("model_stock", [ONE]), ("passthrough", [ONE, TWO]), ("nuslerp", [ONE])):
        with pytest.raises(RecipeError, match=f"{method} merges .* contributions in dialect"):
            merged(kit(method), *models)
    opposite = [{"a": BASE["a"] + s * np.float32([1, 1]), "b": s * np.float32([1, 1])} for s in (1, -1)]
    third = {"a": BASE["a"], "b": np.float32([0, 0])}
    with pytest.raises(RecipeError, match="directions of the models cancel"):
        recipe = kit("multislerp")
        whole = [WholeModel(str(i), m, id=str(i)) for i, m in enumerate([*opposite, third])]
        recipe.rounds[0].merge(BASE, whole)


@pytest.mark.clause("RC-9", "NA-13")
@pytest.mark.parametrize(
    ("method", "models"), [("ties", 1), ("sce", 4), ("multislerp", 4), ("arcee_fusion", 1), ("model_stock", 3)]
)
def test_a_merge_takes_no_more_memory_than_it_says(method, models):
    rng, d = np.random.default_rng(0), 1 << 14
    base = {"w": rng.standard_normal((128, 128))}
    whole = [WholeModel(str(i), {"w": base["w"] + rng.standard_normal((128, 128))}) for i in range(models)]
    round_ = kit(method, **({"density": "0.5", "rescale": "true"} if method == "ties" else {})).rounds[0]
    round_.merge(base, whole)
    tracemalloc.start()
    round_.merge(base, whole)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= round_.nbytes(["F64"], d, 0, models)
