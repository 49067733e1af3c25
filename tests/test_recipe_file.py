"""Recipe and merge files: what is wrong with one is told on one line."""

from __future__ import annotations

import time

import pytest

from mergealgebra.errors import MergeAlgebraError, RecipeError
from mergealgebra.recipe_file import read_merge_file, read_recipe

WRONG = {
    "missing": None,
    "no YAML": "{",
    "nested too deeply": "[" * 5000,
    "no mapping": "ties",
    "no recipe": "base: x\nmodels: [{path: y}]\nmethod: none",
    "no base": "method: mean",
    "no models": "method: mean\nbase: x",
    "a model without a path": "method: mean\nbase: x\nmodels: [{}]",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_path_of_two_lines_is_named_on_one(text, tmp_path):
    path = tmp_path / "a\nb.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(MergeAlgebraError, match=r"^[^\n]*a\\nb\.yaml[^\n]*$"):
        read_merge_file(path)


#: Files as long as they may be, of what PyYAML is slowest with.
LONGEST = {
    "items": ("method: [", "a,", "]"),
    "keys without values": ("method: [", "a:,", "]"),
    "pairs": ("method: [", "a: b,", "]"),
    "aliases": ("a: &a x\nmethod: [", "*a ,", "]"),
    "empty objects": ("method: " + "[" * 13, "{a},", "]" * 13),
    "lines": ("", "- a\n", ""),
    "words": ("method: ", "x ", ""),
}


@pytest.mark.clause("RC-7")
@pytest.mark.parametrize(("start", "unit", "end"), LONGEST.values(), ids=LONGEST)
def test_the_longest_files_are_refused_soon(start, unit, end, tmp_path):
    path = tmp_path / "long.yaml"
    path.write_text(start + unit * (((1 << 16) - len(start + end)) // len(unit)) + end)
    begun = time.thread_time()
    with pytest.raises(MergeAlgebraError):
        read_recipe(path)
    assert time.thread_time() - begun < 2


@pytest.mark.clause("RC-7")
def test_a_longer_file_is_refused_unread(tmp_path):
    path = tmp_path / "long.yaml"
    path.write_text("method: mean\n".ljust(1 << 16, "#"))
    assert read_recipe(path).name == "mean"
    path.write_text("method: mean\n".ljust((1 << 16) + 1, "#"))
    with pytest.raises(RecipeError, match=r"long\.yaml cannot be read: it has more than 65,536 bytes"):
        read_recipe(path)


def test_a_thousand_models_have_room(tmp_path):
    path = tmp_path / "many.yaml"
    models = "".join(f"- {{path: models/a-fine-tune-{i}.safetensors, coefficient: 0.5}}\n" for i in range(1000))
    path.write_text(f"method: mean\nbase: base\nmodels:\n{models}")
    assert len(read_merge_file(path).models) == 1000


#: A file that is another one than was asked for, or nearly right; how it is read, and what is said.
MISTAKEN = {
    "a merge file for a recipe": (
        "method: ties\nbase: b\nmodels: []",
        read_recipe,
        "as it has `base` and",
    ),
    "mergekit's for a recipe": ("merge_method: ties\nmodels: []\nbase_model: b", read_recipe, "is a merge file"),
    "a recipe for a merge file": ("method: ties", read_merge_file, "is a recipe, which `resolve OUT --recipe "),
    "a misspelt key": (
        "method: ties\nlamda: 1",
        read_recipe,
        "unknown key 'lamda'; did you mean 'lambda'",
    ),
    "a misspelt list": (
        "method: ties\nbase: b\nmodles: []",
        read_merge_file,
        "'modles' looks like it",
    ),
    "capitals": ("method: TIES", read_recipe, "method: 'TIES' is unknown; write it in lower case, ties$"),
    "another tool's": ("method: negative_merge", read_recipe, "write `method: mean`, `lambda: '-1'`"),
    "its key too": ("merge_method: star", read_merge_file, "write `method`, and 'star' is a method of crdt-merge"),
}


@pytest.mark.clause("RC-7")
@pytest.mark.parametrize(("text", "read", "said"), MISTAKEN.values(), ids=MISTAKEN)
def test_what_was_mistaken_is_said(text, read, said, tmp_path):
    (tmp_path / "file.yaml").write_text(text)
    with pytest.raises(RecipeError, match=said):
        read(tmp_path / "file.yaml")


def test_a_file_with_the_other_suffix_is_named(tmp_path):
    (tmp_path / "ties.yaml").write_text("method: ties")
    with pytest.raises(RecipeError, match=r"ties\.yml cannot be read: .*name a YAML file, such as .*ties\.yaml$"):
        read_recipe(tmp_path / "ties.yml")
    with pytest.raises(RecipeError, match=r"name a YAML file$"):
        read_recipe(tmp_path / "mean.yml")


@pytest.mark.clause("TK-2", "HB-1")
def test_models_and_tokenizers_are_beside_the_file_or_on_the_hub(tmp_path):
    path, text = tmp_path / "merge.yaml", "method: mean\nbase: org/name@v1\nmodels: [{path: x}]\n"
    for source, read in {"": None, "base": "base", "union": "union", "x": tmp_path / "x"}.items():
        path.write_text(text + (f"tokenizer_source: {source}\n" if source else ""))
        found = read_merge_file(path)
        assert (found.tokenizer_source, str(found.base)) == (read, "org/name@v1")
    path.write_text(f"{text}tokenizer_source: []\n")
    with pytest.raises(RecipeError, match="tokenizer_source: expected base, union, or the path of a model"):
        read_merge_file(path)


@pytest.mark.clause("RC-7")
def test_a_key_that_stands_twice_is_named_with_both_its_lines(tmp_path):
    (tmp_path / "r.yaml").write_text("method: ties\ndensity: '0.5'\nscope: tensor\ndensity: '0.6'\n")
    with pytest.raises(
        RecipeError, match=r"r\.yaml is not YAML: the key 'density' stands twice, on line 2 and at line 4"
    ):
        read_recipe(tmp_path / "r.yaml")
