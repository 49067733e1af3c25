"""Task vectors in memory: between and apply, NumPy, torch and paths, and what they refuse."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch

import mergealgebra as ma
from mergealgebra.errors import (
    BackendError,
    CheckpointError,
    CoefficientError,
    DtypeError,
    MergeAlgebraWarning,
    NamesError,
    NonFinite,
    NothingVisible,
    RecipeError,
    ShapeError,
)
from mergealgebra.tensors.block_vectors import theta

BASE = {"w": np.float32([[1, 2], [3, 4]]), "n": np.int64([7]), "s": np.float32(1)}
TUNED = {"w": np.float32([[1, 3], [3, 0]]), "n": np.int64([7]), "s": np.float32(0.5)}
NAN = {"w": np.float32([np.nan])}
ONE = {"w": np.float32([1])}

REFUSED = {
    "a missing name": (lambda: ma.TaskVector.between(BASE, {"w": TUNED["w"]}), NamesError, "'n'"),
    "a shape": (lambda: ma.TaskVector.between(ONE, {"w": np.float32([1, 2])}), ShapeError, "'w'"),
    "a vocabulary": (
        lambda: ma.TaskVector.between({"embed.weight": np.ones((2, 3))}, {"embed.weight": np.ones((4, 3))}),
        ShapeError,
        "resized vocabulary",
    ),
    "a changed integer": (lambda: ma.TaskVector.between({"n": np.int64([1])}, {"n": np.int64([2])}), DtypeError, "'n'"),
    "float against integer": (lambda: ma.TaskVector.between(ONE, {"w": np.int64([1])}), DtypeError, "'w'"),
    "not a number": (lambda: ma.TaskVector.between(ONE, NAN), NonFinite, r"'w' at index \[0\]"),
    "an unknown name": (lambda: ma.TaskVector(ONE).apply({"v": np.float32([1])}), NamesError, "'w'"),
    "an integer base": (lambda: ma.TaskVector(ONE).apply({"w": np.int64([1])}), DtypeError, "'w' of the base"),
    "an infinite vector": (lambda: ma.TaskVector(NAN).apply(ONE, "0"), NonFinite, r"'w' at index \[0\]"),
    "an overflow": (
        lambda: ma.TaskVector(ONE).apply({"w": np.float16([65504])}, "100000"),
        NonFinite,
        "use a smaller lambda",
    ),
    "a base that is not finite": (
        lambda: ma.TaskVector(ONE).apply(NAN),
        NonFinite,
        r"'w' at index \[0\]: the base is not finite",
    ),
    "merge: a base that is not finite": (
        lambda: ma.merge(NAN, [ONE], ma.Ties()),
        NonFinite,
        r"the base's tensor 'w' at index \[0\] is nan; repair the base",
    ),
    "merge: in a dialect, a base that is not finite": (
        lambda: ma.merge(NAN, [ONE], ma.Ties(dialect="mergekit-0.1.5")),
        NonFinite,
        r"the base's tensor 'w' at index \[0\] is nan; repair the base",
    ),
    "a list of arrays": (lambda: ma.TaskVector([ONE["w"]]), NamesError, "a list is not a mapping of names to arrays"),
    "a list for an array": (lambda: ma.TaskVector({"w": [1, 2]}), DtypeError, "'w' of the task vector: a list is not"),
    "merge: coefficients in one text": (
        lambda: ma.merge(ONE, [ONE] * 3, ma.Ties(), "111"),
        CoefficientError,
        r"coefficients is '111', one text; pass a list, such as \['111'\]",
    ),
    "merge: half a thread": (
        lambda: ma.merge(ONE, [ONE], ma.Ties(), threads=2.0),
        BackendError,
        "threads: 2.0 is not a whole number",
    ),
    "an adapter": (
        lambda: ma.TaskVector.between(ONE, {"w.lora_A.weight": ONE["w"], "w.lora_B.weight": ONE["w"]}),
        NamesError,
        r"this is a LoRA adapter; merge it into its model first \(peft: merge_and_unload\)",
    ),
    "merge: an adapter": (
        lambda: ma.merge(ONE, [{"w.lora_A.weight": ONE["w"]}], ma.Ties()),
        NamesError,
        "this is a LoRA adapter",
    ),
    "an adapter applied": (
        lambda: ma.TaskVector({"w.lora_A.weight": ONE["w"]}).apply(ONE),
        NamesError,
        "this is a LoRA adapter",
    ),
    "codes and their scales": (
        lambda: ma.TaskVector.between(ONE, {"w": np.uint8([1]), "w.absmax": ONE["w"]}),
        NamesError,
        "looks quantised; dequantise it first",
    ),
    "merge: of nothing": (lambda: ma.merge({}, [{}], ma.Ties()), NamesError, "vector 0: no float tensor is left"),
    "merge: all left out": (
        lambda: ma.merge(ONE, [ONE], ma.Ties(), leave="*"),
        NamesError,
        "task vector 0: no float tensor is left to merge; take more, or leave fewer",
    ),
    "lift: nothing": (lambda: ma.Aggregate.lift(ma.Ties(), "it", {}), NamesError, "it: no float tensor is left"),
    "a name that is no text": (lambda: ma.TaskVector({1: ONE["w"]}), NamesError, "must be text"),
    "merge: a path": (lambda: ma.merge("base", [ONE], ma.Ties()), NamesError, r"not a mapping.*numpy\.load_file makes"),
    "merge: the path of a task vector": (
        lambda: ma.merge(ONE, ["tuned"], ma.Ties()),
        NamesError,
        r"task vector 0 is a str, not a mapping.*ma\.TaskVector\.between makes",
    ),
    "merge: a torch module": (
        lambda: ma.merge(torch.nn.Sequential(), [ONE], ma.Ties()),
        NamesError,
        r"model 0 is a dict beside modules, and may be a model or a difference",
    ),
    "merge: a mapping with out": (
        lambda: ma.merge(OrderedDict(), ["x"], ma.Ties(), out="o"),
        CheckpointError,
        "the base is an OrderedDict, and .* omit out= to merge arrays",
    ),
    "merge: a recipe's name": (lambda: ma.merge(ONE, [ONE], "ties"), RecipeError, "is not a recipe"),
    "merge: nothing": (lambda: ma.merge(ONE, [], ma.Ties()), NothingVisible, "at least one task vector"),
    "merge: a coefficient too few": (
        lambda: ma.merge(ONE, [ONE, ONE], ma.Ties(), ["1"]),
        CoefficientError,
        "1 coefficients for 2",
    ),
    "merge: a negative coefficient": (
        lambda: ma.merge(ONE, [ONE], ma.Ties(), ["-1"]),
        CoefficientError,
        "task vector 0: coefficient -1.0 is negative, and ties takes no negative coefficients; task_arithmetic",
    ),
    "merge: a backend": (lambda: ma.merge(ONE, [ONE], ma.Ties(), backend="jax"), BackendError, "'jax' is unknown"),
    "merge: no threads": (lambda: ma.merge(ONE, [ONE], ma.Ties(), threads=0), BackendError, "threads: 0"),
    "merge: not a number": (lambda: ma.merge(ONE, [ONE, NAN], ma.Ties()), NonFinite, "task vector 1: tensor 'w'"),
    "merge: an unknown name": (lambda: ma.merge(ONE, [BASE], ma.Ties()), NamesError, "task vector 0: tensor 'n'"),
}


#: What is not an array with its data, and what is said of it.
NO_ARRAYS = {
    "a nested mapping": (lambda: {"kernel": ONE["w"]}, "a dict is not an array; pass NumPy arrays or torch tensors"),
    "a list": (lambda: [1.0], "a list is not an array"),
    "a number": (lambda: 1.0, "a float is not an array"),
    "a complex array": (lambda: np.complex128([1]), "complex128 is not supported"),
    "a meta tensor": (
        lambda: torch.empty(1, device="meta"),
        "is on torch's meta device, without data; load the weights",
    ),
    "a sparse tensor": (
        lambda: torch.ones(1, 1).to_sparse(),
        r"is a sparse \(sparse_coo\) tensor.* with tensor.to_dense\(\)",
    ),
    "a nested tensor": (lambda: torch.nested.nested_tensor([torch.ones(1)]), "is a nested tensor.*to_padded_tensor"),
}


@pytest.mark.clause("TV-10")
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize(("make", "message"), NO_ARRAYS.values(), ids=NO_ARRAYS)
def test_what_is_not_an_array_is_named(make, message):
    strange = make()
    for whose, use in (
        ("tensor 'w' of the base", lambda: ma.TaskVector.between({"w": strange}, ONE)),
        ("tensor 'w' of the fine-tune", lambda: ma.TaskVector.between(ONE, {"w": strange})),
        ("tensor 'w' of the base", lambda: ma.TaskVector(ONE).apply({"w": strange})),
        ("tensor 'w' of the task vector", lambda: ma.TaskVector({"w": strange}).apply(ONE)),
        ("the base: tensor 'w'", lambda: ma.merge({"w": strange}, [ONE], ma.Ties())),
        ("task vector 0: tensor 'w'", lambda: ma.merge(ONE, [{"w": strange}], ma.Ties())),
    ):
        with pytest.raises(DtypeError, match=f"^{whose}.*{message}"):
            use()


@pytest.mark.clause("TV-1", "TV-7", "TV-8", "TV-10")
@pytest.mark.parametrize(("make", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(make, error, message):
    with pytest.raises(error, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)


def as_torch(model: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.array(array)) for name, array in model.items()}


@pytest.mark.clause("TV-2")
@pytest.mark.parametrize("base", [BASE, as_torch(BASE)], ids=["numpy base", "torch base"])
@pytest.mark.parametrize("tuned", [TUNED, as_torch(TUNED)], ids=["numpy tuned", "torch tuned"])
def test_between_and_apply_meet_in_any_kind(base, tuned):
    vector = ma.TaskVector.between(base, tuned)
    assert list(vector) == ["s", "w"]
    assert type(vector["w"]) is type(tuned["w"])
    back = vector.apply(base)
    assert list(back) == list(base)
    for name, array in back.items():
        assert type(array) is type(base[name]) or array.shape == ()
        assert np.array_equal(np.asarray(array), np.asarray(TUNED[name]))


def test_paths(tmp_path):
    from safetensors.numpy import save_file

    for name, model in (("base", BASE), ("tuned", TUNED)):
        save_file({key: np.asarray(array) for key, array in model.items()}, tmp_path / name)
    vector = ma.TaskVector.between(tmp_path / "base", str(tmp_path / "tuned"))
    assert vector["w"].tolist() == [[0, 1], [0, -4]]
    assert vector.apply(tmp_path / "base", "0.5")["w"].tolist() == [[1, 2.5], [3, 2]]


@pytest.mark.clause("CT-10")
def test_counters_of_task_vectors_made_by_hand_are_left_out():
    base = {"bn.num_batches_tracked": np.int64(5), "w": np.float32([1])}
    vector = ma.TaskVector({"bn.num_batches_tracked": np.int64(2), "w": np.float32([2])})
    merges = {
        "apply": lambda: vector.apply(base),
        "merge": lambda: ma.merge(base, [vector], ma.Ties()),
        "merge of two": lambda: ma.merge(base, [vector, vector], ma.Ties()),
        "lift": lambda: base | dict(ma.Aggregate.lift(ma.Ties(), "it", vector).finalize().apply({"w": base["w"]})),
    }
    for merge in merges.values():
        with pytest.warns(MergeAlgebraWarning, match="the base's stays: 'bn.num_batches_tracked'") as warned:
            merged = merge()
        assert [warning.filename for warning in warned] == [__file__]
        assert (merged["bn.num_batches_tracked"], merged["w"]) == (5, 3)


@pytest.mark.clause("TV-3")
def test_what_did_not_change_is_zero():
    odd = np.array([np.nan, np.inf, -np.inf, -0.0], np.float32)
    vector = ma.TaskVector.between({"w": odd}, {"w": odd.copy()})
    assert vector["w"].tobytes() == bytes(16)
    wide = ma.TaskVector.between({"w": odd[1:3]}, {"w": odd[1:3].astype(np.float64)})
    assert wide["w"].tolist() == [0, 0]


@pytest.mark.clause("TV-13")
@pytest.mark.parametrize("array", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_theta_is_the_model_in_either_form(array):
    """2^24 + 1.5 is rounded once, from the exact sum."""
    base, tau = np.float32([2.0**24, 1, 0]), np.float32([1.5, -3, -0.0])
    assert theta(array(tau), array(base), "finetuned").tolist() == [1.5, -3, 0]
    assert theta(array(tau), array(base), "task_vector").tolist() == [2.0**24 + 2, -2, 0]
    assert theta(array(np.float64([1 + 2.0**-40])), array(np.float64([0])), "finetuned").tolist() == [1.0]
