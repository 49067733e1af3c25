"""`ma.merge`: arrays in memory, and with `out` the files of models; what is short of an argument is named."""

from __future__ import annotations

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.errors import (
    BackendError,
    CheckpointError,
    CoefficientError,
    DecimalError,
    MergeAlgebraWarning,
    NamesError,
    NothingVisible,
    OutputError,
    RecipeError,
    ShapeError,
)
from mergealgebra.file_merge import Model, merge_checkpoints
from tests.engine.scenes import names_in, tensors_of
from tests.models import FLOATS, base, fine_tune, task_vector, write_file, write_folder

RECIPE = ma.Ties(density="0.5")
ONE = {"w": np.float32([1, 2])}


@pytest.fixture
def files(tmp_path):
    """A base and two fine-tunes; relative paths are those of them."""
    write_folder(tmp_path / "base", base())
    for number in range(2):
        write_file(tmp_path / f"ft{number}.safetensors", fine_tune(number))
    return tmp_path


@pytest.mark.clause("RC-8")
class TestFiles:
    WAYS = {  # noqa: RUF012 - a table
        "text": lambda root: ([str(root / "ft0.safetensors"), str(root / "ft1.safetensors")], None, "1", "1"),
        "paths": lambda root: ([root / "ft0.safetensors", root / "ft1.safetensors"], None, "1", "1"),
        "pairs": lambda root: ([(root / "ft0.safetensors", "0.5"), root / "ft1.safetensors"], None, "0.5", "1"),
        "coefficients": lambda root: ([root / "ft0.safetensors", root / "ft1.safetensors"], ["0.5", "2"], "0.5", "2"),
    }

    @pytest.mark.parametrize("given", WAYS.values(), ids=WAYS)
    @pytest.mark.parametrize("out", ["out", "out.safetensors"])
    def test_are_merged_as_by_the_command(self, files, given, out):
        models, coefficients, *each = given(files)
        result = ma.merge(files / "base", models, RECIPE, coefficients, "numpy", out=str(files / out))
        paths = [Model(files / f"ft{number}.safetensors", text) for number, text in enumerate(each)]
        expected = merge_checkpoints(files / "base", paths, RECIPE, files / "expected")
        assert isinstance(result, ma.MergeResult)
        assert result.model_root == expected.model_root
        assert result.backend == "numpy"
        assert ma.verify(files / out).ok

    NOTHING = {  # noqa: RUF012 - a table
        "t of 0": ma.NearSwap(t="0"),
        "lambda of 0": ma.Mean(lambda_="0"),
        "coefficient of 0": ma.TaskArithmetic(settings=[{"tensors": "*", "coefficient": "0"}]),
    }

    @pytest.mark.clause("LK-1", "NS-1")
    @pytest.mark.parametrize("recipe", NOTHING.values(), ids=NOTHING)
    def test_say_that_the_result_is_the_base(self, files, recipe):
        with pytest.warns(MergeAlgebraWarning, match="the merged model is the base, bit for bit") as warned:
            ma.merge(files / "base", [files / "ft0.safetensors"], recipe, out=files / "out")
        assert len(warned) == 1

    def test_warn_of_what_the_result_lacks(self, files):
        with pytest.warns(MergeAlgebraWarning, match="one file holds the tensors alone") as warned:
            result = ma.merge(files / "base", [files / "ft0.safetensors"], RECIPE, out=files / "o.safetensors")
        assert [str(warning.message) for warning in warned] == result.warnings
        assert warned[0].filename == __file__

    def test_take_a_size_of_memory_as_the_command_does(self, files):
        models = [files / "ft0.safetensors"]
        assert ma.merge(files / "base", models, RECIPE, out=files / "o", memory="200M").out == files / "o"
        with pytest.raises(BackendError, match="'200 MB' is not a size; write a whole number of bytes, or one with K"):
            ma.merge(files / "base", models, RECIPE, out=files / "p", memory="200 MB")

    @pytest.mark.clause("LK-9")
    @pytest.mark.parametrize("name", ["x.bin", "merged.safetensor", "M.SAFETENSORS", "x.pt"])
    def test_are_not_merged_to_a_name_of_another_file(self, files, name):
        before = names_in(files)
        with pytest.raises(OutputError, match=r"for one file end the name in .safetensors, and for a folder leave \."):
            ma.merge(files / "base", [files / "ft0.safetensors"], RECIPE, out=files / name)
        assert names_in(files) == before

    def test_give_the_bits_of_their_arrays(self, files):
        result = ma.merge(
            files / "base", [files / "ft0.safetensors", files / "ft1.safetensors"], RECIPE, out=files / "o"
        )
        floats = {name: base()[name] for name in FLOATS}
        merged = ma.merge(floats, [task_vector(0), task_vector(1)], RECIPE)
        written = tensors_of(result.out)
        assert all(merged[name].tobytes() == written[name].tobytes() for name in FLOATS)

    @pytest.mark.clause("CT-8")
    def test_take_and_leave_choose_tensors(self, files):
        models = [files / "ft0.safetensors"]
        for name, choice in {"a": {"take": ["embed.*"]}, "b": {"leave": ["[!e]*"]}}.items():
            ma.merge(files / "base", models, ma.Mean(), out=files / name, **choice)
            changed = {n for n, t in tensors_of(files / name).items() if t.tobytes() != base()[n].tobytes()}
            assert changed == {"embed.weight"}

    def test_are_computed_as_is_said(self, files):
        merge = {"models": [files / "ft0.safetensors"], "recipe": RECIPE, "out": files / "out"}
        with pytest.raises(BackendError, match="memory"):
            ma.merge(files / "base", **merge, memory=1)
        with pytest.raises(BackendError, match="threads"):
            ma.merge(files / "base", **merge, threads=0)
        assert "out" not in names_in(files)


@pytest.mark.clause("CT-8")
def test_take_and_leave_choose_arrays_too():
    start, vector = {"a": np.float32([0]), "b": np.float32([0])}, {"a": np.float32([1]), "b": np.float32([1])}
    for choice in ({"take": "a"}, {"leave": ["b"]}):
        assert {n: t.tolist() for n, t in ma.merge(start, [vector], ma.Mean(), **choice).items()} == {
            "a": [1],
            "b": [0],
        }
    assert ma.merge(start, [(vector, "0.5")], ma.TaskArithmetic())["a"].tolist() == [0.5]
    with pytest.raises(NamesError, match="pattern 'c' matches no tensor"):
        ma.merge(start, [vector], ma.Mean(), leave="c")


#: What is passed to `ma.merge`, and what is said.
REFUSED = {
    "arrays and out": (lambda: ma.merge(ONE, ["x"], RECIPE, out="o"), CheckpointError, "the base is a dict, and out= "),
    "an array and out": (
        lambda: ma.merge("b", [ONE], RECIPE, out="o"),
        CheckpointError,
        "model 0 is a dict, and out= ",
    ),
    "a path alone": (lambda: ma.merge("b", ["x"], RECIPE), NamesError, "the base is a str, .* and out= merges paths"),
    "a path among arrays": (lambda: ma.merge(ONE, ["x"], RECIPE), NamesError, "task vector 0 is a str, .* out= merges"),
    "one path": (lambda: ma.merge("b", "x", RECIPE, out="o"), NamesError, r"models is a str, not a list; pass a list"),
    "one mapping": (lambda: ma.merge(ONE, ONE, RECIPE), NamesError, "models is a dict, not a list"),
    "a triple": (
        lambda: ma.merge(ONE, [(ONE, "1", "2")], RECIPE),
        CoefficientError,
        r"model 0 is a tuple of 3: pass \(",
    ),
    "both": (lambda: ma.merge(ONE, [(ONE, "1")], RECIPE, ["1"]), CoefficientError, "model 0 is a tuple of 2: give coe"),
    "too few": (lambda: ma.merge(ONE, [ONE, ONE], RECIPE, ["1"]), CoefficientError, "1 coefficients for 2 models"),
    "a number": (lambda: ma.merge(ONE, [(ONE, 0.5)], RECIPE), DecimalError, "task vector 0: coefficient"),
    "nothing": (lambda: ma.merge("b", [], RECIPE, out="o"), NothingVisible, "nothing to merge; pass at least one"),
    "no recipe": (lambda: ma.merge(ONE, [ONE], "ties"), RecipeError, "'ties' is not a recipe"),
    "memory": (lambda: ma.merge(ONE, [ONE], RECIPE, memory=1 << 30), BackendError, "memory= limits what a merge of f"),
    "nowhere": (lambda: ma.merge("no-such", ["x"], RECIPE, out="o"), CheckpointError, "no-such cannot be read"),
    "an address": (lambda: ma.merge("s3://b/x", ["x"], RECIPE, out="o"), ma.MergeAlgebraError, "an address of s3"),
}


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_one_line_that_names_it(call, error, message):
    with pytest.raises(error, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_an_occupied_out_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(OutputError, match="out exists"):
        ma.merge(tmp_path / "no-such", [tmp_path / "x"], RECIPE, out=tmp_path / "out")


@pytest.mark.clause("TV-12")
def test_quantised_arrays_are_refused_wherever_they_stand():
    codes = {"a.qweight": np.zeros(2, np.int32), "a.scales": np.zeros(2, np.float16)}
    with pytest.raises(
        CheckpointError, match=r"the base is quantised \(AWQ or GPTQ\): its tensor 'a\.qweight' \(I32\)"
    ):
        ma.merge(codes, [{"a.scales": np.zeros(2, np.float16)}], RECIPE)
    with pytest.raises(CheckpointError, match=r"task vector 0 is quantised"):
        ma.merge(ONE, [codes], RECIPE)
    with pytest.raises(CheckpointError, match=r"id is quantised"):
        ma.Aggregate.lift(RECIPE, "id", codes)


def _merged(files, *models, recipe=RECIPE, **choice):
    """The merge of these models, by a file that names them."""
    listed = [model if isinstance(model, Model) else Model(files / model) for model in models]
    return merge_checkpoints(files / "base", listed, recipe, files / "out", listed_in=files / "g.yml", **choice)


@pytest.mark.clause("RC-10")
class TestMistakes:
    def test_the_base_by_its_path_is_refused(self, files):
        with pytest.raises(RecipeError, match=r"models\[1\] \(.*base\) is the base itself, .* nothing: remove it"):
            _merged(files, "ft0.safetensors", "base")
        with pytest.raises(RecipeError, match=r"models\[0\] \(.*\) is .* changes nothing and only dilutes: remove it"):
            ma.merge(files / "base", [files / "base"], ma.Mean(), out=files / "out")

    def test_the_base_by_its_values_is_refused(self, files):
        write_file(files / "copy.safetensors", base())
        with pytest.raises(RecipeError, match=r"models\[0\] \(.*copy.safetensors\) is the base itself"):
            _merged(files, "copy.safetensors", "ft0.safetensors")

    def test_what_is_taken_of_a_model_has_to_change_something(self, files):
        write_file(files / "part.safetensors", fine_tune(2) | {"embed.weight": base()["embed.weight"]})
        with pytest.raises(
            RecipeError, match=r"models\[0\] .* has the base's values in all that is taken of it: remove"
        ):
            _merged(files, Model(files / "part.safetensors", take="embed.*"))

    def test_one_value_that_no_sample_sees_is_a_fine_tune(self, tmp_path):
        large = {"w": np.ones(1 << 18, np.float32)}
        write_folder(tmp_path / "base", large)
        large["w"][2000] = 2  # between two of the blocks that are sampled
        write_file(tmp_path / "ft.safetensors", large)
        assert _merged(tmp_path, "ft.safetensors").warnings == []

    def test_a_model_of_another_base_is_a_warning(self, files):
        write_file(files / "other.safetensors", base() | {"embed.weight": -5 * base()["embed.weight"]})
        (warning,) = _merged(files, "ft0.safetensors", "other.safetensors").warnings
        assert (
            "other.safetensors: its difference from the base is about 5.5 times the base's size (by a sample" in warning
        )
        assert warning.endswith(f"as if it came from another base; if so, remove it from {files / 'g.yml'}")

    def test_a_difference_is_a_warning(self, files):
        write_file(files / "small.safetensors", {n: a // 16 if n in FLOATS else a for n, a in base().items()})
        (warning,) = _merged(files, "small.safetensors").warnings
        assert "as if it were a difference and not a model" in warning

    @pytest.mark.parametrize("swapped", [False, True])
    def test_another_kind_of_model_is_named(self, tmp_path, swapped):
        write_folder(tmp_path / "base", {"unet.a.w": np.float32([1])} if swapped else base())
        write_file(tmp_path / "x.safetensors", base() if swapped else {"unet.a.w": np.float32([1])})
        with pytest.raises(
            NamesError, match=r"x.safetensors shares no tensor with the base .*another kind of model; rem"
        ):
            _merged(tmp_path, "x.safetensors")

    def test_what_one_model_made_necessary_to_leave_is_told(self, files):
        """It is not, where a user leaves out what fits in all models."""
        write_file(files / "wide.safetensors", fine_tune(2) | {"embed.weight": np.zeros((18, 4), np.float32)})
        with pytest.raises(ShapeError, match=r"cut it to the base's 16 rows, or write `leave: embed.weight` beside"):
            _merged(files, "wide.safetensors", "ft0.safetensors")
        warning, *_ = _merged(files, "wide.safetensors", "ft0.safetensors", leave="embed.weight").warnings
        assert "'embed.weight' is left out of all models, so the base's stays" in warning
        told = ma.merge(files / "base", [files / "ft0.safetensors"], RECIPE, out=files / "p", leave="e*").warnings
        assert not [line for line in told if "left out of all" in line]

    def test_of_a_list_in_python_are_advised_on_in_python(self, files):
        write_file(files / "more.safetensors", fine_tune(2) | {"head": np.float32([1])})
        with pytest.raises(NamesError, match=r"leave it out with leave=\['head'\]$"):
            ma.merge(files / "base", [files / "more.safetensors"], RECIPE, out=files / "out")


@pytest.mark.clause("RC-10")
@pytest.mark.parametrize(("first", "told"), [("e*", 1), ("layer.*", 0)])
def test_a_model_that_a_file_names_twice_for_a_tensor_is_told(files, first, told):
    models = [Model(files / "ft0.safetensors", take=first), Model(files / "ft0.safetensors", "0.5", take="e*")]
    result = merge_checkpoints(files / "base", models, RECIPE, files / "out", listed_in=files / "merge.yaml")
    lines = [line for line in result.warnings if "models[0] and models[1] are both" in line]
    assert len(lines) == told
