"""Vocabularies: read from tokenizer.json, or refused in one line."""

from __future__ import annotations

import json

import pytest

from mergealgebra.errors import TokenizerError
from mergealgebra.formats.tokenizers.vocabulary import read_vocabulary
from tests.formats.vocabularies import tokenizer

ADDED = {"id": 2, "content": "<x>"}
BROKEN = {
    "no JSON": ("{", "is not JSON that can be read"),
    "too deep": ("[" * 100_000, "is not JSON that can be read"),
    "a key twice": ('{"model": 1, "model": 2}', "a key stands twice"),
    "an array": ("[]", "is not a JSON object"),
    "no model": ({"version": "1.0"}, "has no `model` with a `vocab`"),
    "a vocab of another kind": ({"model": {"vocab": 3}}, "has no `model` with a `vocab`"),
    "a number that is none": ({"model": {"vocab": {"a": "0"}}}, "the token 'a' has the number '0'"),
    "a number that is huge": ({"model": {"vocab": {"a": 1 << 60}}}, "the token 'a' has the number"),
    "one number for two": ({"model": {"vocab": {"a": 0, "b": 0}}}, "'a' and 'b' both have the number 0"),
    "a score alone": ({"model": {"vocab": [["a", 0], [1]]}}, "entry 1 of `vocab` is not a token and its score"),
    "added in no list": ({"model": {"vocab": {}}, "added_tokens": {}}, "`added_tokens` is not a list"),
    "added without text": ({"model": {"vocab": {}}, "added_tokens": [{"id": 0}]}, "has no `content`"),
    "added again": (
        {"model": {"vocab": {"<x>": 1}}, "added_tokens": [ADDED]},
        "the added token '<x>' has the number 2, and `vocab` gives it 1",
    ),
    "added in a place that is taken": (
        {"model": {"vocab": {"a": 2}}, "added_tokens": [ADDED]},
        "the tokens '<x>' and 'a' both have the number 2",
    ),
}


@pytest.mark.clause("TK-1")
@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_one_line(text, message, tmp_path):
    (tmp_path / "tokenizer.json").write_text(text if isinstance(text, str) else json.dumps(text))
    with pytest.raises(TokenizerError, match=message):
        read_vocabulary(tmp_path)


@pytest.mark.clause("TK-1")
@pytest.mark.parametrize("kind", ["BPE", "Unigram"])
def test_added_tokens_are_tokens(kind, tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer(("a", "b"), ("<x>",), kind)))
    (tmp_path / "model.safetensors").touch()
    for path in (tmp_path, tmp_path / "model.safetensors"):
        assert read_vocabulary(path).ids == {"a": 0, "b": 1, "<x>": 2}


@pytest.mark.clause("TK-1")
def test_where_there_is_none_it_is_said_how_to_make_one(tmp_path):
    with pytest.raises(TokenizerError, match="No such file or directory; copy the model's tokenizer there"):
        read_vocabulary(tmp_path)
