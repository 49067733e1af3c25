"""Buffers, tied tensors and prefixes: what a merge sees to by itself, and what it asks for."""

from __future__ import annotations

import re

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.errors import NamesError, ShapeError
from mergealgebra.tensors.agreement import agreement
from mergealgebra.tensors.buffers import BUFFERS
from mergealgebra.tensors.choice import Choice, leave_patterns
from mergealgebra.tensors.configuration import ties_embeddings
from mergealgebra.tensors.models import Arrays
from mergealgebra.tensors.prefixes import prefix_advice
from tests.models import DTYPES, Tensors, write_folder

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def vocabulary(seed: float) -> np.ndarray:
    return np.arange(6, dtype=np.float32).reshape(3, 2) + np.float32(seed)


def agreed(model, base, *, form="finetuned", says=None, **choice):
    return agreement(form, Arrays(model), Arrays(base), Choice(**choice), {"": says})


#: What a fine-tune and the base hold of a buffer that does not fit, by name of the case; None where it is missing.
UNFIT = {
    "a counter": (np.int64(7), np.int64(3)),
    "missing in the fine-tune": (None, np.int64(3)),
    "missing in the base": (np.int64(3), None),
    "of another shape": (np.arange(4), np.arange(3)),
    "a float against an integer": (np.arange(3, dtype=np.float16), np.arange(3)),
    "an integer of another size": (np.arange(3, dtype=np.int32), np.arange(3)),
    "float frequencies that one side lacks": (None, np.float32([1, 0.5])),
}


def held(value: object, name: str) -> Tensors:
    return {} if value is None else {name: np.asarray(value)}


class TestBuffers:
    @pytest.mark.clause("CT-10")
    @pytest.mark.parametrize("name", [*BUFFERS, *(f"layers.0.{name}" for name in BUFFERS)])
    @pytest.mark.parametrize("sides", UNFIT.values(), ids=UNFIT)
    def test_that_do_not_fit_are_left_out_and_told(self, sides, name):
        ours, theirs = (held(side, name) | {"w": np.ones(2)} for side in sides)
        found = agreed(ours, theirs)
        assert found.names == {"w"}
        assert len(found.remarks) == 1
        assert f"left out, as in every merge, and the base's stays: '{name}'" in found.remarks[0]

    @pytest.mark.clause("CT-10")
    def test_that_fit_are_looked_at_as_before(self):
        floats = {"inv_freq": np.float32([1]), "bn.num_batches_tracked": np.int64(3)}
        found = agreed({**floats, "inv_freq": np.float16([2])}, floats)
        assert (found.names, found.remarks) == (floats.keys(), ())

    @pytest.mark.clause("CT-10")
    def test_in_a_stored_task_vector_are_left_out_where_they_are_not_float(self):
        base = {"n.position_ids": np.arange(3), "inv_freq": np.float32([1]), "w": np.float32([1])}
        found = agreed({"n.position_ids": np.zeros(3, np.int64), "w": np.float32([1])}, base, form="task_vector")
        assert found.names == {"w", "inv_freq"}  # it may lack any
        assert len(found.remarks) == 1

    @pytest.mark.clause("CT-10")
    def test_of_one_kind_are_one_line(self):
        base = {f"bn{i}.num_batches_tracked": np.int64(0) for i in range(3)} | {"position_ids": np.arange(2)}
        moved = {name: array + 1 for name, array in base.items()}
        first, second = agreed(moved, base).remarks
        assert first.endswith("'bn0.num_batches_tracked' and 2 more (BatchNorm's counter)")
        assert second.endswith("'position_ids' (positions counted from 0)")

    @pytest.mark.clause("CT-10")
    @pytest.mark.parametrize("name", ["weight", "position_embeddings", "my_num_batches_tracked", "inv_freq.weight"])
    def test_are_nothing_else(self, name):
        """Whatever could have been trained is never passed over."""
        assert agreed({}, {name: np.float32([1])}).names == {name}

    @pytest.mark.clause("CT-10")
    def test_are_told_by_a_warning_in_python(self):
        base = {"bn.num_batches_tracked": np.int64(1), "w": np.float32([1])}
        with pytest.warns(UserWarning, match="left out, as in every merge") as warned:
            vector = ma.TaskVector.between(base, {"bn.num_batches_tracked": np.int64(5), "w": np.float32([3])})
        assert list(vector) == ["w"]
        assert warned[0].filename == __file__


TIED = {EMBEDDING: vocabulary(0), HEAD: vocabulary(0), "norm": np.float32([1])}
MOVED = {EMBEDDING: vocabulary(1), HEAD: vocabulary(1), "norm": np.float32([2])}


def without(tensors: Tensors, name: str) -> Tensors:
    return {other: array for other, array in tensors.items() if other != name}


@pytest.mark.clause("TV-11")
class TestTied:
    @pytest.mark.parametrize("missing", [HEAD, EMBEDDING])
    @pytest.mark.parametrize("form", ["finetuned", "task_vector"])
    @pytest.mark.parametrize("says", [True, None])
    def test_a_missing_one_is_the_other(self, missing, form, says):
        found = agreed(without(MOVED, missing), TIED, form=form, says=says)
        assert found.stands_for == {missing: HEAD if missing == EMBEDDING else EMBEDDING}
        assert found.names == TIED.keys()
        assert missing in found.remarks[0]

    @pytest.mark.parametrize(
        ("base", "says"), [(TIED, False), (TIED | {HEAD: vocabulary(9)}, None), (TIED | {HEAD: vocabulary(9)}, True)]
    )
    def test_a_missing_one_of_an_untied_base_is_missing(self, base, says):
        assert agreed(without(MOVED, HEAD), base, says=says).stands_for == {}

    def test_tensors_of_other_names_are_not_tied(self):
        base = {"a.bias": np.zeros(2, np.float32), "b.bias": np.zeros(2, np.float32)}
        assert agreed({"a.bias": np.ones(2, np.float32)}, base).stands_for == {}

    def test_embeddings_are_tied_whatever_is_said_of_the_head(self):
        names = ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"]
        found = agreed({names[0]: vocabulary(1)}, {name: vocabulary(0) for name in names}, says=False)
        assert found.stands_for == dict.fromkeys(names[1:], names[0])

    def test_one_that_the_base_lacks_is_left_out_if_it_is_another(self):
        found = agreed(MOVED, without(TIED, HEAD))
        assert found.names == {EMBEDDING, "norm"}
        assert found.remarks == (f"left out, as the base has none and it equals '{EMBEDDING}': '{HEAD}'",)
        own = agreed(MOVED | {HEAD: vocabulary(7)}, without(TIED, HEAD))
        assert HEAD in own.names  # where it is refused

    @pytest.mark.parametrize(
        ("model", "leave"), [(MOVED, HEAD), (MOVED, EMBEDDING), (without(MOVED, HEAD), HEAD)], ids=str
    )
    def test_one_alone_is_refused_where_the_configuration_ties_them(self, model, leave):
        with pytest.raises(NamesError, match=r"they would drift apart: take both, or leave them out with leave="):
            agreed(model, TIED, says=True, leave=(leave,))
        assert agreed(model, TIED, says=True, leave=(HEAD, EMBEDDING)).names == {"norm"}
        assert HEAD not in agreed(model, TIED, says=None, leave=(HEAD,)).names

    def test_two_that_differ_are_refused_where_the_configuration_ties_them(self):
        untied = MOVED | {HEAD: vocabulary(7)}
        with pytest.raises(NamesError, match=f"'{HEAD}' differs from its '{EMBEDDING}', but the base's config.json"):
            agreed(untied, TIED, says=True)
        (remark,) = agreed(untied, TIED).remarks
        assert '"tie_word_embeddings": false' in remark
        assert agreed(untied, TIED, says=False).remarks == ()

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_bytes_are_compared_and_not_numbers(self, dtype):
        zeros = np.zeros((3, 2), DTYPES[dtype])
        base = {EMBEDDING: zeros, HEAD: -zeros}
        assert agreed({EMBEDDING: zeros}, base).stands_for == {}
        assert agreed({EMBEDDING: zeros}, base | {HEAD: zeros.copy()}).stands_for == {HEAD: EMBEDDING}

    def test_large_ones_are_compared_to_their_end(self):
        long = np.zeros((1 << 20, 2), np.int8)
        other = long.copy()
        other[-1, -1] = 1
        assert agreed({}, {EMBEDDING: long, HEAD: other}, form="task_vector").stands_for == {}
        assert agreed({EMBEDDING: long}, {EMBEDDING: long, HEAD: long}).stands_for == {HEAD: EMBEDDING}

    @pytest.mark.parametrize(
        ("form", "own", "stands_for"),
        [
            ("finetuned", True, {HEAD: EMBEDDING}),
            ("finetuned", None, {}),
            ("task_vector", True, {}),
        ],
    )
    def test_a_head_that_the_model_itself_ties_is_its_embedding(self, form, own, stands_for):
        untied = TIED | {HEAD: vocabulary(9)}
        found = agreement(form, Arrays(without(MOVED, HEAD)), Arrays(untied), Choice(), {"": False}, {"": own})
        assert found.stands_for == stands_for
        assert [remark for remark in found.remarks if "its own config.json ties both" in remark] == list(found.remarks)
        assert len(found.remarks) == len(stands_for)

    def test_in_python_the_own_configuration_of_a_model_ties_it(self, tmp_path):
        folder = write_folder(tmp_path / "tuned", without(MOVED, HEAD))
        (folder / "config.json").write_text('{"tie_word_embeddings": true}')
        with pytest.warns(UserWarning, match="its own config.json ties both"):
            vector = ma.TaskVector.between(TIED | {HEAD: vocabulary(9)}, folder)
        np.testing.assert_array_equal(vector[HEAD], MOVED[EMBEDDING] - vocabulary(9))

    def test_in_python_both_move(self):
        with pytest.warns(UserWarning, match="is taken as the same"):
            vector = ma.TaskVector.between(TIED, without(MOVED, HEAD))
        np.testing.assert_array_equal(vector[HEAD], vector[EMBEDDING])
        merged = vector.apply(TIED)
        np.testing.assert_array_equal(merged[HEAD], MOVED[HEAD])

    def test_in_python_the_configuration_may_untie_them(self, tmp_path):
        for says in ("true", "false"):
            folder = write_folder(tmp_path / says, TIED)
            (folder / "config.json").write_text(f'{{"tie_word_embeddings": {says}}}')
        with pytest.warns(UserWarning, match="is taken as the same"):
            assert HEAD in ma.TaskVector.between(tmp_path / "true", without(MOVED, HEAD))
        with pytest.raises(NamesError, match=f"'{HEAD}' is only in the base"):
            ma.TaskVector.between(tmp_path / "false", without(MOVED, HEAD))


#: What a configuration says, and what is made of it.
SAID = {
    '{"tie_word_embeddings": true, "x": NaN}': True,
    '{"tie_word_embeddings": false}': False,
    '{"tie_word_embeddings": false, "text_config": {"a": [1], "tie_word_embeddings": true}}': True,
    '{"text_config": {"model_type": "x"}, "tie_word_embeddings": true}': True,
    '{"tie_word_embeddings": 1}': None,
    '{"vision_config": {"tie_word_embeddings": true}}': None,
    "{": None,
    "[]": None,
}


@pytest.mark.clause("TV-11")
@pytest.mark.parametrize(("text", "says"), SAID.items())
def test_a_configuration_says_whether_they_are_tied(text, says, tmp_path):
    (tmp_path / "config.json").write_text(text)
    assert ties_embeddings(tmp_path) is says
    assert ties_embeddings(tmp_path / "nowhere") is None
    assert ties_embeddings(None) is None


NAMES = ["embed_tokens.weight", "layers.0.weight", "layers.1.weight", "norm.weight"]
PREFIXES = ["_orig_mod.", "module.", "language_model.model.", "base_model.model."]


class TestPrefixes:
    @pytest.mark.parametrize("prefix", PREFIXES)
    def test_to_drop_make_the_names_fit(self, prefix):
        tensors = dict.fromkeys(prefix + name for name in NAMES)
        advice = prefix_advice(tensors, NAMES)
        assert advice.startswith(f"all 4 tensors have the prefix '{prefix}', which the base's have not: save the model")
        assert _followed(advice, tensors).keys() == set(NAMES)

    @pytest.mark.parametrize("prefix", PREFIXES)
    def test_to_add_make_the_names_fit(self, prefix):
        advice = prefix_advice(NAMES, [prefix + name for name in NAMES])
        assert advice.startswith(f"the base's names have the prefix '{prefix}', which these have not")
        assert list(_followed(advice, dict.fromkeys(NAMES))) == [prefix + name for name in NAMES]

    def test_of_a_part_are_counted(self):
        ours = [*(f"language_model.{name}" for name in NAMES), "vision.0.weight"]
        assert prefix_advice(ours, NAMES).startswith("4 of 5 tensors have the prefix 'language_model.'")

    @pytest.mark.parametrize("ours", [[*NAMES, "ema.norm.weight"], ["other"], [], [f"x{name}" for name in NAMES]])
    def test_are_not_seen_where_there_are_none(self, ours):
        assert prefix_advice(ours, NAMES) is None

    def test_of_very_many_names_are_found_soon(self):
        many = [f"layers.{i}.a.b.c.weight" for i in range(20_000)]
        assert prefix_advice([f"module.{name}" for name in many], many)
        assert prefix_advice([f"other{name}" for name in many], many) is None


def _followed(advice: str, tensors: dict[str, object]) -> dict[str, object]:
    """What the expression in the advice makes of the tensors."""
    return eval(re.search(r"for example (\{.*\})", advice)[1], {"tensors": tensors})


#: Names that do not fit, those that do, and the patterns that tell them apart.
PATTERNS = {
    "one": (["head"], ["body"], ["head"]),
    "a few": (["a.w", "b.w"], [], ["a.w", "b.w"]),
    "marks of patterns": (["a[0]*"], [], ["a[[]0][*]"]),
    "below one name": ([f"ema.{i}.w" for i in range(9)], ["0.w"], ["ema.*"]),
    "of one end": ([f"layers.{i}.attn.mask" for i in range(9)], ["layers.0.attn.w"], ["*.mask"]),
    "of two kinds": (
        [*(f"ema.{i}" for i in range(4)), *(f"h.{i}.mask" for i in range(4))],
        ["h.0.w"],
        ["ema.*", "*.mask"],
    ),
}


@pytest.mark.clause("CT-8")
@pytest.mark.parametrize(("names", "others", "patterns"), PATTERNS.values(), ids=PATTERNS)
def test_patterns_leave_out_what_does_not_fit_and_nothing_else(names, others, patterns):
    assert leave_patterns(names, others) == patterns
    assert Choice(leave=tuple(patterns)).of([*names, *others]) == others


class TestBetween:
    """`take` and `leave` in Python, and advice that works when it is followed."""

    BASE = {"a.w": np.float32([1]), "b.w": np.float32([1, 2]), "n": np.int64([1])}  # noqa: RUF012 - a table

    @pytest.mark.clause("CT-8", "TV-8")
    def test_takes_and_leaves(self):
        tuned = {name: array + 1 for name, array in self.BASE.items()}
        assert list(ma.TaskVector.between(self.BASE, tuned, take="*.w")) == ["a.w", "b.w"]
        assert list(ma.TaskVector.between(self.BASE, tuned, take=["*.w"], leave=["b.*"])) == ["a.w"]
        with pytest.raises(NamesError, match=r"pattern 'c\.\*' matches no tensor"):
            ma.TaskVector.between(self.BASE, tuned, leave="c.*")

    #: Changes of a fine-tune that do not fit.
    WRONG = {  # noqa: RUF012 - a table
        "a missing name": {"b.w": None},
        "a new name": {"c.w": np.float32([1])},
        "many new names": {f"ema.{i}": np.float32([1]) for i in range(9)},
        "a changed integer": {"n": np.int64([2])},
        "another shape": {"b.w": np.float32([1])},
        "an integer for a float": {"b.w": np.int64([1, 2])},
    }

    @pytest.mark.clause("TV-1", "TV-7", "TV-8")
    @pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
    def test_advises_what_works(self, change):
        tuned = {name: array for name, array in (self.BASE | change).items() if array is not None}
        with pytest.raises(ma.MergeAlgebraError) as refused:
            ma.TaskVector.between(self.BASE, tuned)
        leave = eval(re.search(r"leave=(\[.*\]|'.*')$", str(refused.value))[1])
        assert "a.w" in ma.TaskVector.between(self.BASE, tuned, leave=leave)

    def test_names_the_prefix(self):
        with pytest.raises(NamesError, match=r"all 3 tensors have the prefix 'module\.'"):
            ma.TaskVector.between(self.BASE, {f"module.{name}": array for name, array in self.BASE.items()})

    @pytest.mark.clause("TV-1")
    @pytest.mark.parametrize(
        ("name", "shape", "said"),
        [
            ("model.embed_tokens.weight", (5, 2), "resized vocabulary"),
            ("norm.weight", (0,), "saved empty, as ZeRO-3"),
            ("model.embed_tokens.weight", (0,), "saved empty, as ZeRO-3"),
            ("norm.weight", (5,), None),
            ("embeddings.norm.bias", (5,), None),
            ("layers.0.weight", (5, 2), None),
        ],
    )
    def test_a_cause_is_named_where_it_is_known(self, name, shape, said):
        base = np.ones((3, 2) if len(shape) == 2 or "embed_tokens" in name else 3, np.float32)
        with pytest.raises(ShapeError) as refused:
            ma.TaskVector.between({name: base}, {name: np.ones(shape, np.float32)})
        causes = [cause for cause in ("resized vocabulary", "saved empty, as ZeRO-3") if cause in str(refused.value)]
        assert causes == ([said] if said else [])
