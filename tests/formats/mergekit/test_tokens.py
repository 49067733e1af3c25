"""What mergekit's files ask of tokenizers."""

from __future__ import annotations

import json

import pytest

from mergealgebra.errors import RecipeError, TokenizerError
from mergealgebra.execution import Execution
from mergealgebra.formats.mergekit.files import merge_file
from tests.formats.vocabularies import EMBED, code, tokenizer, write_model
from tests.model_folder.folders import read_by_package

MODELS = "models: [{model: one}, {model: two}]\nmerge_method: linear\nparameters: {weight: 1}\n"
CHOSEN = """tokenizer:
  source: union
  pad_to_multiple_of: 4
  tokens:
    new: {source: {kind: model_token, model: {model: {path: one}}, token: a}}
    a: {source: {kind: model_token, model: two, token_id: 2}, force: true}
    c: {source: {kind: zero}, force: true}
    b: {source: one, force: "true"}
"""


@pytest.fixture
def merged(tmp_path):
    """Merges two models, one with a token more, as a text says; gives the rows by token, and the folder."""
    write_model(tmp_path / "one", tokenizer(("a", "b", "c")))
    write_model(tmp_path / "two", tokenizer(("b", "a", "c", "new")), shift=1)

    def merge(text):
        file = tmp_path / "merge.yml"
        file.write_text(text)
        out = merge_file(file, tmp_path / "out", Execution("numpy", 1)).out
        vocabulary = json.loads((out / "tokenizer.json").read_text())["model"]["vocab"]
        table = read_by_package(out)[EMBED]
        return {token: float(table[number, 0]) for token, number in vocabulary.items()}, out

    return merge


@pytest.mark.clause("MK-20")
class TestTokens:
    def test_are_those_of_all(self, merged):
        rows, out = merged(f"{MODELS}tokenizer_source: union\nchat_template: chatml\n")
        assert rows == {**{t: code(t) + 0.5 for t in "abc"}, "new": code("new") + 1}
        assert (out / "chat_template.jinja").is_file()
        assert json.loads((out / "config.json").read_text())["vocab_size"] == 4

    def test_are_those_of_one_model_without_a_base_too(self, merged):
        rows, _ = merged(f"{MODELS}tokenizer_source: one\n")
        assert rows == {t: code(t) + 0.5 for t in "abc"}

    def test_have_the_rows_that_are_chosen(self, merged):
        rows, out = merged(f"{MODELS}base_model: one\n{CHOSEN}".replace("[{model: one}, ", "["))
        assert rows == {"a": code("c") + 1, "b": code("b"), "c": 0, "new": (code("a") + code("new") + 1) / 2}
        assert json.loads((out / "config.json").read_text())["vocab_size"] == 4

    def test_that_differ_are_refused_with_what_to_add_to_the_file(self, merged):
        with pytest.raises(
            TokenizerError, match=r"to align rows by token, add `tokenizer_source: base` to .*merge\.yml$"
        ):
            merged(MODELS)

    BAD = {  # noqa: RUF012
        "both": ("tokenizer_source: base\ntokenizer: {source: base}", "line 4: `tokenizer_source` stands beside"),
        "a typo": ("tokenizer_source: uniom", "line 4: `tokenizer_source`: nothing is at uniom; did you mean 'union'"),
        "a template": (
            "chat_template: chatlm",
            "line 4: `chat_template`: 'chatlm' is no template; did you mean 'chatm",
        ),
        "a key": ("tokenizer: {sauce: base}", "line 4: 'sauce' in `tokenizer` is not a key; its keys are `source`"),
        "a multiple": ("tokenizer: {pad_to_multiple_of: x}", "line 4: `pad_to_multiple_of` is 'x'; expected a whole"),
        "no source": ("tokenizer: {tokens: {a: {force: true}}}", "line 4: `source` of a token is missing"),
        "a kind": ("tokenizer: {tokens: {a: {source: {kind: mean}}}}", "line 4: expected `kind: zero`, or"),
        "force": (
            "tokenizer: {tokens: {a: {source: one, force: 2}}}",
            "line 4: `force` is '2'; expected true or false",
        ),
        "a sum": ("tokenizer_source: union", "line 4: `tokenizer_source` with a sum of whole models is not done"),
    }

    @pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
    def test_what_cannot_be_is_refused_with_its_line(self, merged, text, message):
        head = MODELS.replace("weight: 1", "weight: 1, normalize: false") if "a sum" in message else MODELS
        with pytest.raises(RecipeError, match=message):
            merged(head + text)
