"""A tiny module with what real ones have: a tied head, a buffer that counts, one that is not saved; and fine-tunes."""

from __future__ import annotations

import copy

import torch


class Net(torch.nn.Module):
    """An embedding that is the head too, a linear layer, a norm with running statistics, a table that is not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = torch.nn.Embedding(8, 4)
        self.body = torch.nn.Linear(4, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.lm_head = torch.nn.Linear(4, 8, bias=False)
        self.lm_head.weight = self.embed_tokens.weight
        self.register_buffer("table", torch.arange(4.0), persistent=False)


def net(dtype=torch.float32):
    torch.manual_seed(0)
    return Net().to(dtype)


def tuned(base, number):
    """The number-th fine-tune: every parameter moves a little, and the norm has seen `number` batches."""
    model, random = copy.deepcopy(base), torch.Generator().manual_seed(number)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += (torch.randn(parameter.shape, generator=random) * 0.1).to(parameter.dtype)
    if hasattr(model, "norm"):
        model.norm.num_batches_tracked += number
    return model


class Lora(torch.nn.Module):
    """A linear layer with adapters, as peft wraps it: the attributes that are read, and no others."""

    def __init__(self, base_layer, rank, adapters, fan_in_fan_out=False, bias=False):
        super().__init__()
        self.base_layer, self.fan_in_fan_out = base_layer, fan_in_fan_out
        self.adapter_layer_names = ("lora_A", "lora_B")
        self.lora_A, self.lora_B = torch.nn.ModuleDict(), torch.nn.ModuleDict()
        self.scaling, self.use_dora, self.merged_adapters = {}, {}, []
        self.active_adapters = list(adapters)[:1]
        for name, scale in adapters.items():
            rows, columns = base_layer.weight.shape[::-1] if fan_in_fan_out else base_layer.weight.shape
            self.lora_A[name] = torch.nn.Linear(columns, rank, bias=False)
            self.lora_B[name] = torch.nn.Linear(rank, rows, bias=bias)
            self.scaling[name], self.use_dora[name] = scale, False


class Whole(torch.nn.Module):
    """A layer that an adapter trained whole."""

    def __init__(self, original_module, adapters):
        super().__init__()
        self.original_module = original_module
        self.modules_to_save = torch.nn.ModuleDict({name: copy.deepcopy(original_module) for name in adapters})
        for number, name in enumerate(adapters):
            torch.nn.init.constant_(self.modules_to_save[name].weight, number + 2)
