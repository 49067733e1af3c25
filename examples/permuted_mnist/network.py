"""The network of every checkpoint in this example, and its folder on disk."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

MODEL_FILE = "model.safetensors"
WIDTH = 256
#: The layers in the order in which an image passes them.
LAYERS = ["embed", "residual", "project", "norm", "head"]


class Network(nn.Module):
    """784 - 256 (ReLU) - residual 256 (ReLU) - 256 - LayerNorm, and a linear head for ten digits."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(784, WIDTH)
        self.residual = nn.Linear(WIDTH, WIDTH)
        self.project = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Ten scores for each image: n x 784 gives n x 10."""
        hidden = torch.relu(self.embed(images))
        hidden = hidden + torch.relu(self.residual(hidden))
        return self.head(self.norm(self.project(hidden)))


def load(checkpoint: Path) -> Network:
    """The network in a checkpoint folder, read by the safetensors package; a wrong name or shape raises."""
    network = Network()
    network.load_state_dict(load_file(checkpoint / MODEL_FILE), strict=True)
    return network.eval()
