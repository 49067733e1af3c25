"""Models with other vocabularies: what each row shows, what is refused, and what the merged model gets."""

from __future__ import annotations

import json
import pickle
from contextlib import ExitStack

import ml_dtypes
import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.encoding import tensor_root
from mergealgebra.errors import MergeAlgebraWarning, TokenizerError
from mergealgebra.file_merge import Model, merge_checkpoints
from mergealgebra.formats.tokenizers.alignment import align
from mergealgebra.formats.tokenizers.wanted import TokenRow, Wanted
from mergealgebra.tensors.checkpoint import Checkpoint
from tests.formats.vocabularies import EMBED, HEAD, WIDTH, code, tokenizer, write_model
from tests.model_folder.folders import read_by_package

ABC = ("a", "b", "c")
#: More tokens, one fewer, the others in another order; the mark is an added one.
OTHER = tokenizer(("c", "new", "a"), ("<end>",))


@pytest.fixture
def opened():
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(Checkpoint.open(path))


@pytest.fixture
def pair(tmp_path, opened):
    """A base with two rows of padding, and a model of another vocabulary."""
    start = write_model(tmp_path / "base", tokenizer(ABC), rows=5)
    return opened(start), opened(write_model(tmp_path / "tuned", OTHER, shift=0.5))


def rows(checkpoint, name=EMBED):
    return checkpoint.read(name).astype(np.float64).reshape(-1, WIDTH)[:, 0].tolist()


def of(*tokens, shift=0.0):
    return [code(token) + shift for token in tokens]


@pytest.mark.clause("TK-2", "TK-3")
class TestToTheBase:
    def test_rows_are_those_of_the_same_tokens_and_the_bases_where_there_is_none(self, pair):
        done = align(pair[0], [pair[1]], Wanted("base"))
        assert done.base is pair[0]
        (view,) = done.models
        assert rows(view) == [*of("a", shift=0.5), *of("b"), *of("c", shift=0.5), -1, -1]
        assert view.records[HEAD].shape == (5, WIDTH)
        assert rows(view, HEAD)[0] == 2 * (code("a") + 0.5)
        assert not done.additions
        assert "left out, as the tokenizer lacks them: 2 tokens, 'new' and '<end>'" in done.remarks[0]
        assert "it changes nothing of what it lacks: 1 token, 'b'" in done.remarks[1]

    def test_every_range_is_part_of_the_whole_and_the_root_is_that_of_what_is_shown(self, pair):
        (view,) = align(pair[0], [pair[1]], Wanted("base")).models
        whole = view.read(EMBED)
        for start in range(whole.size + 1):
            for stop in range(start, whole.size + 1):
                assert view.read(EMBED, start, stop).tobytes() == whole[start:stop].tobytes()
        assert view.tensor_root(EMBED) == tensor_root([whole.view(np.uint8).data])

    def test_rows_between_which_one_is_left_out_are_read_apart(self, tmp_path, pair, opened):
        tuned = opened(write_model(tmp_path / "gap", tokenizer(("a", "new", "b", "c")), shift=0.5))
        (view,) = align(pair[0], [tuned], Wanted("base")).models
        assert rows(view) == [*of(*ABC, shift=0.5), -1, -1]

    def test_another_process_sees_the_same(self, pair):
        (view,) = align(pair[0], [pair[1]], Wanted("base")).models
        with pickle.loads(pickle.dumps(view)) as there:
            assert there.root() == view.root()

    def test_another_dtype_is_widened_where_rows_are_the_bases(self, tmp_path, pair, opened):
        tuned = opened(write_model(tmp_path / "bf", OTHER, shift=0.5, dtype=ml_dtypes.bfloat16))
        (view,) = align(pair[0], [tuned], Wanted("base")).models
        assert view.records[EMBED].dtype == "F32"
        assert rows(view) == rows(align(pair[0], [pair[1]], Wanted("base")).models[0])

    def test_a_token_that_a_model_lacks_stays_as_it_is(self, tmp_path, pair):
        done = align(pair[0], [pair[1]], Wanted("base"))
        models = [Model(pair[1].path, held=done.models[0])]
        merge_checkpoints(done.base, models, ma.TaskArithmetic(), tmp_path / "out", additions=done.additions)
        merged = read_by_package(tmp_path / "out")[EMBED]
        assert merged[:, 0].tolist() == [*of("a", shift=0.5), *of("b"), *of("c", shift=0.5), -1, -1]

    @pytest.mark.parametrize("kind", ["BPE", "Unigram", "WordPiece"])
    def test_padding_alone_needs_nobody_to_say_so(self, tmp_path, opened, kind):
        start = opened(write_model(tmp_path / "b", tokenizer(ABC, kind=kind), rows=4))
        tuned = opened(write_model(tmp_path / "t", tokenizer(ABC, kind=kind), rows=8, shift=1))
        done = align(start, [tuned])
        assert rows(done.models[0]) == [*of(*ABC, shift=1), -1]
        assert done.remarks == ()

    def test_equal_vocabularies_are_left_alone(self, tmp_path, opened):
        start = opened(write_model(tmp_path / "b", tokenizer(ABC), rows=5))
        tuned = opened(write_model(tmp_path / "t", tokenizer(ABC), rows=5, shift=1))
        for wanted in (None, Wanted("base"), Wanted("union"), Wanted(tuned.path)):
            done = align(start, [tuned], wanted)
            assert done.base is start and done.models[0] is tuned, wanted


@pytest.mark.clause("TK-2")
class TestUnsaid:
    def test_other_tokens_are_counted_and_named(self, pair):
        with pytest.raises(TokenizerError) as caught:
            align(pair[0], [pair[1]])
        assert str(caught.value).endswith(
            f"{HEAD!r} has 4 rows and the base 5: the model's tokenizer has 2 tokens more ('new' and '<end>'), 1 token "
            "fewer ('b') and 2 tokens with other numbers ('c' and 'a'); to align rows by token, say which one "
            "counts"
        )

    def test_other_tokens_in_as_many_rows_are_a_warning(self, tmp_path, opened):
        start = opened(write_model(tmp_path / "b", tokenizer(ABC)))
        tuned = opened(write_model(tmp_path / "t", tokenizer(("a", "c", "b"))))
        done = align(start, [tuned])
        assert done.models[0] is tuned
        assert "its tokenizer has 2 tokens with other numbers ('c' and 'b')" in done.remarks[0]

    def test_without_a_tokenizer_rows_are_taken_as_the_bases(self, pair, tmp_path, opened):
        start = pair[0]
        same = opened(write_model(tmp_path / "t", tokenizer(ABC), rows=5, shift=1))
        (same.path / "tokenizer.json").unlink()
        assert align(start, [same], Wanted("base")).models[0] is same
        (pair[1].path / "tokenizer.json").unlink()
        (pair[1].path / "tokenizer.model").touch()
        with pytest.raises(TokenizerError, match=r"made from tokenizer\.model by `python -c"):
            align(start, [pair[1]], Wanted("base"))


@pytest.mark.clause("TK-4", "TK-7")
class TestToAModel:
    def test_the_merged_model_has_its_tokens_and_files(self, tmp_path, pair):
        start, tuned = pair
        (start.path / "merges.txt").write_text("x")
        config = {"model_type": "llama", "eos_token_id": 1}
        (start.path / "config.json").write_text(json.dumps({**config, "text_config": {"vocab_size": 5}}))
        (tuned.path / "config.json").write_text(json.dumps({**config, "eos_token_id": 3}))
        done = align(start, [tuned], Wanted(tuned.path))
        assert rows(done.base) == [*of("c"), *of("new", shift=0.5), *of("a"), *of("<end>", shift=0.5)]
        assert done.models[0] is tuned
        models = [Model(tuned.path, held=done.models[0])]
        merge_checkpoints(done.base, models, ma.Mean(), tmp_path / "out", additions=done.additions)
        out = tmp_path / "out"
        assert read_by_package(out)[EMBED][:, 0].tolist() == of("c", "new", "a", "<end>", shift=0.5)
        assert json.loads((out / "config.json").read_text()) == {
            **config,
            "eos_token_id": 3,
            "text_config": {"vocab_size": 4},
        }
        assert (out / "tokenizer.json").read_bytes() == (tuned.path / "tokenizer.json").read_bytes()
        assert not (out / "merges.txt").exists()

    def test_a_row_that_several_models_bring_is_their_mean_in_any_order(self, tmp_path, opened):
        start = opened(write_model(tmp_path / "b", tokenizer(ABC), dtype=np.float16))
        found = tokenizer(ABC, ("<x>",))
        models = [opened(write_model(tmp_path / f"{n}", found, shift=n / 8)) for n in (1, 2, 6)]
        views = [align(start, order, Wanted(models[0].path)) for order in (models, models[::-1])]
        assert rows(views[0].base) == [*of(*ABC), code("<x>") + 3 / 8]
        assert views[0].base.root() == views[1].base.root()
        assert rows(views[0].models[0])[-1] == code("<x>") + 1 / 8


@pytest.mark.clause("TK-6", "TK-7")
class TestUnion:
    def test_new_tokens_follow_the_bases_by_their_text(self, pair, tmp_path, opened):
        start, tuned = pair
        third = opened(write_model(tmp_path / "third", tokenizer(("a", "b", "z"), ("<end>",)), shift=2))
        done = align(start, [tuned, third], Wanted("union"))
        shown = of("<end>", shift=1.25), of("new", shift=0.5), of("z", shift=2)
        assert rows(done.base) == [*of(*ABC), *shown[0], *shown[1], *shown[2]]
        assert rows(done.models[1]) == [*of("a", "b", shift=2), *of("c"), *of("<end>", shift=2), *shown[1], *shown[2]]
        made = json.loads(done.additions.files["tokenizer.json"])
        assert made["model"]["vocab"] == {"a": 0, "b": 1, "c": 2, "new": 4, "z": 5}
        assert made["added_tokens"] == [{"id": 3, "content": "<end>", "special": True}]
        assert done.additions.config == {"vocab_size": 6}
        assert align(start, [third, tuned], Wanted("union")).additions == done.additions

    def test_merges_are_joined_in_either_spelling(self, tmp_path, opened):
        start = opened(write_model(tmp_path / "b", tokenizer(("a", "b", "ab"), merges=["a b"])))
        tuned = opened(write_model(tmp_path / "t", tokenizer(("a", "b", "ab", "ba"), merges=[["b", "a"], ["a", "b"]])))
        made = json.loads(align(start, [tuned], Wanted("union")).additions.files["tokenizer.json"])
        assert made["model"]["merges"] == ["a b", "b a"]

    def test_other_kinds_are_refused(self, tmp_path, opened):
        start = opened(write_model(tmp_path / "b", tokenizer(ABC, kind="Unigram")))
        tuned = opened(write_model(tmp_path / "t", tokenizer((*ABC, "d"), kind="Unigram")))
        with pytest.raises(TokenizerError, match="of the kind Unigram, and only those of BPE are joined: name `base`"):
            align(start, [tuned], Wanted("union"))


@pytest.mark.clause("TK-5")
class TestChosenRows:
    def test_stand_in_for_what_is_lacking_or_for_all(self, pair):
        start, tuned = pair
        chosen = {
            "new": TokenRow(start.path, "b"),
            "<end>": TokenRow(),
            "a": TokenRow(start.path, 2, force=True),
            "c": TokenRow(tuned.path),
        }
        done = align(start, [tuned], Wanted(tuned.path, chosen))
        assert rows(done.base) == [*of("c", "b", "c"), 0]
        assert rows(done.models[0]) == [*of("c", "new", shift=0.5), *of("c"), *of("<end>", shift=0.5)]

    def test_rows_are_filled_up_with_zeros(self, pair):
        done = align(pair[0], [pair[1]], Wanted(pair[1].path, pad_to_multiple_of=8))
        assert rows(done.base)[4:] == [-1, 0, 0, 0]  # the base's own padding first
        assert rows(done.models[0])[4:] == [-1, 0, 0, 0]
        assert done.additions.config["vocab_size"] == 8

    BAD = {  # noqa: RUF012
        "no such token": ({"nothing": TokenRow()}, None, "'nothing', for which a row was chosen, is not in the vocab"),
        "no such row": ({"a": TokenRow(None, None)}, 0, "pad_to_multiple_of is 0"),
    }

    @pytest.mark.parametrize(("chosen", "multiple", "message"), BAD.values(), ids=BAD)
    def test_what_cannot_be_is_refused(self, pair, chosen, multiple, message):
        with pytest.raises(TokenizerError, match=message):
            align(pair[0], [pair[1]], Wanted("base", chosen, multiple))

    def test_a_model_that_is_not_merged_has_no_rows_here(self, pair, tmp_path):
        for row, message in (
            (TokenRow(tmp_path / "other", force=True), "other, named for the token 'a', is not in the merge"),
            (TokenRow(pair[0].path, "new", force=True), "has no row of 'new', named for the token 'a'"),
        ):
            with pytest.raises(TokenizerError, match=message):
                align(pair[0], [pair[1]], Wanted("base", {"a": row}))


@pytest.mark.clause("TK-2")
def test_in_python_it_is_an_argument(tmp_path, pair):
    start, tuned = (checkpoint.path for checkpoint in pair)
    with pytest.raises(TokenizerError, match="to align rows by token, pass tokenizer_source='base'"):
        ma.merge(start, [tuned], ma.Mean(), out=tmp_path / "out")
    with pytest.warns(MergeAlgebraWarning, match="it changes nothing of what it lacks"):
        ma.merge(start, [tuned], ma.Mean(), out=tmp_path / "out", tokenizer_source="base")
    assert read_by_package(tmp_path / "out")[EMBED][0, 0] == code("a") + 0.5
    left = ("*embed*", "lm_head*")
    ma.merge(start, [tuned], ma.Mean(), out=tmp_path / "left", leave=left)
    with pytest.raises(TokenizerError, match="with out=; leave it out"):
        ma.merge({}, [{}], ma.Mean(), tokenizer_source="base")
