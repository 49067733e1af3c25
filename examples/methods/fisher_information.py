"""The diagonal of a network's Fisher information: how much its answers mind a change of each parameter.

    F = mean over images of (d log p(digit | image) / d parameter)^2

The digit is drawn from what the network itself answers, which makes the mean an estimate of the Fisher information;
with the digits of the data it would be another quantity, the "empirical" one.
"""

from __future__ import annotations

import torch
from network import Network
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

#: So many images at a time: each has a gradient of its own, as large as the network.
AT_ONCE = 32


def fisher_information(network: Network, images: Tensor, draws: torch.Generator) -> dict[str, Tensor]:
    """F for each parameter by its name, as fp32 from 0 on. images: n x 784."""
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    with torch.inference_mode():
        digits = torch.multinomial(network(images).softmax(dim=1), 1, generator=draws)[:, 0]
    digits = digits.clone()  # vmap takes no tensors made for inference

    def loss(parameters: dict[str, Tensor], image: Tensor, digit: Tensor) -> Tensor:
        return cross_entropy(functional_call(network, parameters, (image,)), digit)

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))
    sums = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    for some, answers in zip(images.split(AT_ONCE), digits.split(AT_ONCE), strict=True):
        for name, found in gradients(parameters, some, answers).items():
            sums[name] += found.square().sum(dim=0)
    return {name: total / len(images) for name, total in sums.items()}
