"""`ma.merge` over modules and state_dicts: the bits of the same merge of files, and copies that hold them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import mergealgebra as ma
from mergealgebra.errors import CheckpointError, DtypeError, NamesError, RecipeError, ShapeError
from tests.torch_models.modules import Net, net, tuned

#: Methods whose results hang on ids, on roots, on an order, and on none of them.
RECIPES = {
    "ties": ma.Ties(density="0.3"),
    "dare_ties": ma.DareTies(density="0.5", seed="3"),
    "slerp": ma.Slerp(),
    "karcher": ma.Karcher(),
    "ties of another dialect": ma.Ties(density="0.3", dialect="mergekit-0.1.5"),
    "per model": ma.TaskArithmetic(),
}


def _saved(model, path):
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items() if "lm_head" not in name}, path)
    return path


@pytest.mark.clause("MG-16", "MG-17")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_models_in_memory_give_the_bits_of_their_files(tmp_path, recipe, dtype):
    base = net(dtype)
    models = [tuned(base, number) for number in (2, 1)]
    files = [_saved(model, tmp_path / f"{i}.safetensors") for i, model in enumerate((base, *models))]
    beside = {"settings": [{"coefficient": "0.5"}, {}]} if recipe is RECIPES["per model"] else {}
    with warnings.catch_warnings(action="ignore"):
        of_files = ma.merge(files[0], files[1:], recipe, out=tmp_path / "out.safetensors", **beside)
        ways = [
            ma.merge(base, models, recipe, **beside),
            ma.merge(base.state_dict(), [m.state_dict() for m in models], recipe, form="finetuned", **beside),
        ]
    written = load_file(of_files.out)
    for merged in ways:
        assert (merged.model_root, merged.lock.merge_id) == (of_files.model_root, of_files.merge_id)
        assert merged.keys() == base.state_dict().keys()
        assert all(torch.equal(merged[name], tensor) for name, tensor in written.items())
        assert merged["lm_head.weight"] is merged["embed_tokens.weight"]
    with warnings.catch_warnings(action="ignore"):
        other = ma.merge(base, models[::-1], recipe, **({"settings": [{}, {"coefficient": "0.5"}]} if beside else {}))
    assert other.model_root == of_files.model_root


@pytest.mark.clause("MG-16")
def test_modules_and_task_vectors_stand_side_by_side():
    base, model = net(), tuned(net(), 1)
    model.norm.num_batches_tracked.zero_()
    vector = ma.TaskVector.between(base.state_dict(), model.state_dict(), leave="lm_head.weight")
    mixed = ma.merge(base, [tuned(base, 2), (vector, "0.5")], ma.Ties(density="0.5"))
    assert torch.equal(
        mixed["body.weight"],
        ma.merge(base, [(vector, "0.5"), tuned(base, 2)], ma.Ties(density="0.5"))["body.weight"],
    )
    alone = ma.merge(base, [vector], ma.TaskArithmetic())
    assert torch.allclose(alone["body.weight"], model.body.weight)


@pytest.mark.clause("MG-16")
def test_a_difference_of_state_dicts_stays_the_default():
    base, zero = {"w": torch.ones(2)}, {"w": torch.tensor([1.0, 0.0])}
    assert ma.merge(base, [zero], ma.TaskArithmetic())["w"].tolist() == [2, 1]
    assert ma.merge(base, [zero], ma.TaskArithmetic(), form="task_vector")["w"].tolist() == [2, 1]
    assert ma.merge(base, [zero], ma.TaskArithmetic(), form="finetuned")["w"].tolist() == [1, 0]


class TestLike:
    @pytest.mark.clause("MG-18")
    def test_a_module_comes_back_as_a_copy(self):
        base, models = net(), [tuned(net(), 1), tuned(net(), 2)]
        base.body.bias.requires_grad_(False)
        before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
        merged, arrays = ma.merge(base, models, ma.Mean(), like=base), ma.merge(base, models, ma.Mean())
        assert type(merged) is Net
        assert all(torch.equal(merged.state_dict()[name], array) for name, array in arrays.items())
        assert all(torch.equal(base.state_dict()[name], tensor) for name, tensor in before.items())
        assert merged.lm_head.weight is merged.embed_tokens.weight
        assert [merged.body.weight.requires_grad, merged.body.bias.requires_grad] == [True, False]
        assert merged.body.weight.is_leaf
        merged.table.zero_()
        assert base.table.tolist() == [0, 1, 2, 3]

    @pytest.mark.clause("MG-18")
    def test_dtypes_are_the_merged_ones(self):
        merged = ma.merge(net(torch.bfloat16), [tuned(net(torch.bfloat16), 1)], ma.Mean(), like=net())
        assert merged.body.weight.dtype == torch.bfloat16

    @pytest.mark.clause("MG-18")
    def test_a_module_on_the_meta_device_gets_its_tensors(self):
        empty = net().to("meta")
        empty.lm_head.weight = empty.embed_tokens.weight
        with pytest.raises(NamesError, match="the buffer 'table' of like is on torch's meta device"):
            ma.merge(net(), [tuned(net(), 1)], ma.Mean(), like=empty)
        empty.table = torch.zeros(4)
        merged = ma.merge(net(), [tuned(net(), 1)], ma.Mean(), like=empty)
        assert merged.lm_head.weight is merged.embed_tokens.weight
        assert merged.body.weight.device.type == "cpu"

    @pytest.mark.clause("MG-18")
    def test_a_state_dict_comes_back_as_one(self):
        base, model = net(), tuned(net(), 1)
        merged = ma.merge(base, [model], ma.Mean(), like=base.state_dict())
        assert merged._metadata == base.state_dict()._metadata
        assert list(merged) == list(base.state_dict())
        assert tuned(base, 3).load_state_dict(merged).missing_keys == []
        arrays = {name: tensor.numpy() for name, tensor in base.state_dict().items() if name != "lm_head.weight"}
        as_arrays = ma.merge(base, [model], ma.Mean(), like=arrays)
        assert np.array_equal(as_arrays["body.weight"], merged["body.weight"].numpy())

    @pytest.mark.clause("MG-18")
    def test_task_vectors_come_back_so_too(self):
        layer = torch.nn.Linear(2, 2)
        one = {"weight": torch.ones(2, 2)}
        merged = ma.merge(dict(layer.state_dict()), [one], ma.TaskArithmetic(), like=layer)
        assert torch.equal(merged.weight, layer.weight + 1)


def _parameter(kind, **attributes):
    """A module with a parameter of a class of this name, as a library has."""
    module = torch.nn.Linear(2, 2, bias=False)
    weight = torch.ones(2, 2).as_subclass(type(kind, (torch.Tensor,), attributes))
    module._parameters["weight"] = weight
    return module


def _merged(model, **how):
    return ma.merge(torch.nn.Linear(2, 2, bias=False), [model], ma.Mean(), **how)


def _packed():
    with warnings.catch_warnings(action="ignore"):
        return torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(torch.nn.Linear(2, 2)), dtype=torch.qint8)


def _with(weight):
    return {"weight": weight}


#: What cannot be merged, the error, and what is said.
REFUSED = {
    "meta": (lambda: _merged(torch.nn.Linear(2, 2, device="meta")), DtypeError, "model 0: tensor 'bias' is on torch's"),
    "sparse": (
        lambda: _merged(_with(torch.eye(2).to_sparse()), form="finetuned"),
        DtypeError,
        r"model 0: tensor 'weight' is a sparse \(sparse_coo\) tensor; pass it dense, with tensor.to_dense\(\)",
    ),
    "quantised by torch": (
        lambda: _merged(_with(torch.quantize_per_tensor(torch.eye(2), 0.1, 0, torch.qint8)), form="finetuned"),
        CheckpointError,
        r"tensor 'weight' is quantised \(torch's qint8\), and codes cannot be merged: load model 0 without",
    ),
    "packed by torch": (lambda: _merged(_packed()), CheckpointError, r"_packed_params.dtype' is quantised \(torch\)"),
    "bitsandbytes": (lambda: _merged(_parameter("Params4bit")), CheckpointError, r"is quantised \(bitsandbytes\)"),
    "another storage": (
        lambda: _merged(_parameter("Int4Tensor", __tensor_flatten__=None)),
        CheckpointError,
        "is an Int4Tensor, whose elements are stored in another way",
    ),
    "shards": (
        lambda: _merged(_parameter("DTensor", full_tensor=None)),
        DtypeError,
        r"spread over devices; gather it first, with tensor.full_tensor\(\)",
    ),
    "GPTQ": (
        lambda: _merged({"a.qweight": torch.zeros(2, dtype=torch.int32), "a.scales": torch.ones(2)}, form="finetuned"),
        CheckpointError,
        r"model 0 is quantised \(AWQ or GPTQ\): its tensor 'a.qweight' \(I32\) holds codes",
    ),
    "a lazy layer": (lambda: _merged(torch.nn.LazyLinear(2)), DtypeError, "has no shape yet: run the model once"),
    "a dict beside a module": (
        lambda: _merged(torch.nn.Linear(2, 2).state_dict()),
        NamesError,
        "model 0 is an OrderedDict beside modules, and may be a model or a difference: say form='finetuned'",
    ),
    "a path beside a module": (lambda: _merged("model.safetensors"), NamesError, "model 0 is a str; pass a module"),
    "another form": (lambda: _merged(net(), form="tuned"), NamesError, "form is 'tuned'; it is 'finetuned' for"),
    "form and out": (
        lambda: ma.merge("b", ["x"], ma.Mean(), out="o", form="task_vector"),
        NamesError,
        "form= is for arrays in memory, and out= merges files of fine-tunes",
    ),
    "a module and out": (
        lambda: ma.merge(net(), ["x"], ma.Mean(), out="o"),
        CheckpointError,
        "the base is a Net, and out= ",
    ),
    "a like of another kind": (lambda: _merged(net(), like=3), NamesError, "like is an int; pass a torch.nn.Module"),
    "a like without a tensor": (
        lambda: _merged(torch.nn.Linear(2, 2, bias=False), like=torch.nn.Conv2d(1, 1, 1), leave="x"),
        ma.MergeAlgebraError,
        "pattern 'x' matches no tensor",
    ),
    "the base again": (
        lambda: ma.merge(net(), [net()], ma.Mean()),
        RecipeError,
        r"models\[0\] \(model 0\) is the base itself",
    ),
}


@pytest.mark.clause("MG-17", "TV-12")
@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_merged_is_one_line_that_names_it(call, error, message):
    with warnings.catch_warnings(action="ignore"), pytest.raises(error, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)


#: What `like` may lack.
UNLIKE = {
    "a tensor more": (lambda: torch.nn.Linear(2, 2), NamesError, "like has a tensor 'bias' that was not merged"),
    "a tensor less": (dict, NamesError, "the merged tensor 'weight' is not in like: pass a model of the base's class"),
    "a shape": (lambda: torch.nn.Linear(3, 2, bias=False), ShapeError, r"has shape \[2, 3\] in like and \[2, 2\]"),
}


@pytest.mark.clause("MG-18")
@pytest.mark.parametrize(("like", "error", "message"), UNLIKE.values(), ids=UNLIKE)
def test_what_like_lacks_is_named(like, error, message):
    base = {"weight": torch.ones(2, 2)}
    with pytest.raises(error, match=message):
        ma.merge(base, [{"weight": torch.ones(2, 2)}], ma.TaskArithmetic(), like=like())


@pytest.mark.clause("MG-17")
def test_odd_layouts_are_read_as_what_they_show():
    base = {"weight": torch.zeros(2, 2), "other": torch.zeros(2)}
    weight = torch.nn.Parameter(torch.arange(8.0).reshape(2, 4).T[::2].T[:, :2])
    negative = torch.complex(torch.zeros(2), torch.tensor([1.0, 2.0])).conj().imag
    assert not weight.is_contiguous()
    assert negative.is_neg()
    merged = ma.merge(base, [{"weight": weight, "other": negative}], ma.TaskArithmetic(), form="finetuned")
    assert torch.equal(merged["weight"], weight)
    assert merged["other"].tolist() == [-1, -2]
    assert not merged["weight"].requires_grad


@pytest.mark.clause("MG-17")
def test_a_model_that_is_tied_meets_a_base_that_is_not():
    base = net()
    base.lm_head.weight = torch.nn.Parameter(base.lm_head.weight.detach() * 2)
    merged = ma.merge(base, [tuned(net(), 1)], ma.TaskArithmetic())
    assert torch.allclose(merged["lm_head.weight"], merged["embed_tokens.weight"], atol=1e-6)
    with pytest.raises(
        NamesError, match=r"'lm_head.weight' is not in the base, whose head may be 'embed_tokens.weight'"
    ):
        ma.merge(net(), [tuned(base, 1)], ma.TaskArithmetic())


@pytest.mark.clause("MG-17")
def test_what_a_library_says_is_tied_names_what_is_saved():
    base = net()
    base._tied_weights_keys = {"embed_tokens.weight": "lm_head.weight"}
    assert "lm_head.weight" in ma.merge(base, [tuned(base, 1)], ma.Mean()).lock.tensors
    plain = torch.nn.ModuleDict({"b": torch.nn.Linear(2, 2, bias=False), "a": torch.nn.Linear(2, 2, bias=False)})
    plain["a"].weight = plain["b"].weight
    assert [*ma.merge(plain, [tuned(plain, 1)], ma.Mean()).lock.tensors] == ["a.weight"]
