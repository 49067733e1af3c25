"""LoRA adapters in a module, as peft wraps its layers: their factors are what is merged. peft itself: tests/loads."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch

import mergealgebra as ma
from mergealgebra.errors import CheckpointError, NamesError
from tests.torch_models.modules import Lora, Whole

RECIPE = ma.TaskArithmetic()


def _plain():
    torch.manual_seed(0)
    return torch.nn.ModuleDict({"a": torch.nn.Linear(4, 3), "b": torch.nn.Linear(3, 3), "norm": torch.nn.LayerNorm(3)})


def _wrapped(base, **config):
    """A model as peft leaves it, with the adapters `math` and `code`."""
    model = copy.deepcopy(base)
    model["a"] = Lora(model["a"], 2, {"math": 0.5, "code": 2.0})
    model["b"] = Lora(model["b"], 1, {"math": 0.5}, fan_in_fan_out=True)
    model["norm"] = Whole(model["norm"], ["math", "code"])
    settings = {"peft_type": SimpleNamespace(value="LORA"), "bias": "none", "init_lora_weights": True} | config
    model.peft_config = dict.fromkeys(["math", "code"], SimpleNamespace(**settings))
    return model


def _delta(layer, adapter):
    product = layer.lora_B[adapter].weight @ layer.lora_A[adapter].weight * layer.scaling[adapter]
    return product.T if layer.fan_in_fan_out else product


@pytest.mark.clause("MG-19")
class TestAdapters:
    def test_are_merged_as_their_factors(self):
        base = _plain()
        model = _wrapped(base)
        merged = ma.merge(base, [ma.Adapter(model, "math")], RECIPE, like=base)
        for name in "ab":
            assert torch.allclose(merged[name].weight, base[name].weight + _delta(model[name], "math"), atol=1e-6)
        assert torch.equal(merged["norm"].weight, torch.full((3,), 2.0))
        assert torch.equal(merged["a"].bias, base["a"].bias)

    def test_the_active_one_stands_for_the_model(self):
        base = _plain()
        model = _wrapped(base)
        roots = {ma.merge(base, [given], RECIPE).model_root for given in (model, ma.Adapter(model, "math"))}
        assert len(roots) == 1
        model["a"].active_adapters = ["math", "code"]
        with pytest.raises(NamesError, match=r"with 2 active adapters \(code and math\): name one, as ma.Adapter\(mod"):
            ma.merge(base, [model], RECIPE)

    def test_the_model_below_them_is_a_base(self):
        base = _plain()
        model = _wrapped(base)
        adapters = [ma.Adapter(model, "math"), (ma.Adapter(model, "code"), "0.5")]
        ties = ma.Ties(density="0.5")
        assert ma.merge(model, adapters, ties).model_root == ma.merge(base, adapters, ties).model_root

    def test_a_quantised_model_is_not_read(self):
        base = _plain()
        model = _wrapped(base)
        expected = ma.merge(base, [model], RECIPE).model_root
        model["a"].base_layer.weight = torch.nn.Parameter(torch.zeros(6, 1, dtype=torch.uint8), requires_grad=False)
        assert ma.merge(base, [model], RECIPE).model_root == expected

    def test_biases_that_were_trained_go_along(self):
        base = _plain()
        model = _wrapped(base, bias="lora_only")
        torch.nn.init.ones_(model["a"].base_layer.bias)
        assert torch.allclose(ma.merge(base, [model], RECIPE)["a.bias"], torch.ones(3))
        with pytest.raises(CheckpointError, match=r"has trained the biases of the model itself .*pass the base apart"):
            ma.merge(model, [model], RECIPE)

    def test_a_bias_of_the_factors_is_scaled_as_they_are(self):
        base = _plain()
        model = _wrapped(base)
        model["a"] = Lora(base["a"], 2, {"math": 0.5}, bias=True)
        merged = ma.merge(base, [model], RECIPE)
        assert torch.allclose(merged["a.bias"], base["a"].bias + 0.5 * model["a"].lora_B["math"].bias)

    @pytest.mark.parametrize("swapped", [True, False])
    def test_experts_are_merged_one_by_one(self, swapped):
        shape = (2, 3, 4) if swapped else (2, 4, 3)
        base = torch.nn.ParameterDict({"w": torch.arange(24.0).reshape(shape)})
        layer = Lora(torch.nn.Linear(4, 3), 4, {"math": 0.5})
        a, b = layer.lora_A["math"].weight.reshape(2, 2, 4), layer.lora_B["math"].weight.reshape(3, 2, 2)
        layer.base_layer, layer.parameter_name = base, "w"
        layer.num_experts, layer._did_swap_in_out_features = 2, swapped
        merged = ma.merge(base, [ma.Adapter(layer, "math")], RECIPE)
        delta = torch.einsum("ore,eri->eoi" if swapped else "ore,eri->eio", b, a) * 0.5
        assert torch.allclose(merged["w"], base["w"] + delta, atol=1e-5)


def _changed(**attributes):
    model = _wrapped(_plain())
    for name, value in attributes.items():
        setattr(model["a"], name, value)
    return model


def _other_kind():
    model = _wrapped(_plain())
    del model["a"].lora_A
    model["a"].adapter_layer_names = ("hada_w1_a",)
    model["a"].hada_w1_a = {"math": None}
    return model


#: What is no plain LoRA of the weights that the base has, and what is said.
REFUSED = {
    "DoRA": (lambda: _changed(use_dora={"math": True}), "'math' at a is no plain LoRA .*: only plain LoRA is merged"),
    "LoHa": (_other_kind, r"'math' at a is a Lora, not LoRA: .*merge_and_unload\(\) gives"),
    "no weight": (lambda: _changed(base_layer=torch.nn.Identity()), "'math' at a is of an Identity, which has no wei"),
    "another type": (lambda: _wrapped(_plain(), peft_type=SimpleNamespace(value="LOHA")), "the adapter 'math' is LOHA"),
    "pissa": (
        lambda: _wrapped(_plain(), init_lora_weights="pissa_niter_4"),
        "was begun by pissa_niter_4, which alters the weights that it is added to: convert it",
    ),
}


@pytest.mark.clause("MG-19")
@pytest.mark.parametrize(("model", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_plain_lora_is_refused(model, message):
    with pytest.raises(CheckpointError, match=message) as refused:
        ma.merge(_plain(), [ma.Adapter(model(), "math")], RECIPE)
    assert "\n" not in str(refused.value)


@pytest.mark.clause("MG-19")
def test_what_is_not_there_is_named():
    base, model = _plain(), _wrapped(_plain())
    with pytest.raises(
        NamesError, match="the adapter 'maths' holds nothing in this model; there are 'code' and 'math'"
    ):
        ma.merge(base, [ma.Adapter(model, "maths")], RECIPE)
    with pytest.raises(NamesError, match="model 0 is an adapter of a ModuleDict, which has none; pass a PeftModel"):
        ma.merge(base, [ma.Adapter(base, "math")], RECIPE)
    with pytest.raises(NamesError, match="the base is an adapter; pass the model that it is loaded in"):
        ma.merge(ma.Adapter(model, "math"), [model], RECIPE)
    with pytest.raises(NamesError, match="like is a ModuleDict with adapters in it; pass a model without"):
        ma.merge(base, [model], RECIPE, like=model)
    model["a"].merged_adapters = ["math"]
    with pytest.raises(CheckpointError, match=r"'math' is merged into its a: take it out again first, with unmerge_"):
        ma.merge(model, [model], RECIPE)
