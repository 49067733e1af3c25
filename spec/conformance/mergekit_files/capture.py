"""Runs mergekit on a file, in mergekit's own environment, and writes the masks that it draws meanwhile.

    .venvs/mergekit-0.1.5/bin/python spec/conformance/mergekit_files/capture.py CONFIG OUT MASKS [SEED]

MASKS is what `mergealgebra merge CONFIG OUT --as mergekit --masks MASKS` takes: a safetensors file with a tensor
N/NAME for tensor NAME of the Nth model of the file that is not the base, counted from 0. It imports nothing of this
package; mergekit is run as it is, and only what torch answers is looked at.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from mergekit.merge_methods import generalized_task_arithmetic as added
from mergekit.merge_methods import task_adapter
from mergekit.scripts.run_yaml import main as run_yaml
from safetensors.torch import save_file


class Watch:
    """What is merged just now, and what was drawn for it."""

    def __init__(self) -> None:
        self.tensor, self.number = "", -1
        self.masks: dict[str, Any] = {}

    def of_tensor(self, execute: Any) -> Any:
        """The same call, noting which tensor it is for."""

        def watched(task: Any, *arguments: Any, **named: Any) -> Any:
            self.tensor, self.number = task.output_weight.name, -1
            return execute(task, *arguments, **named)

        return watched

    def of_model(self, sparsify: Any) -> Any:
        """The same call, counting the models."""

        def watched(delta: Any, *arguments: Any, **named: Any) -> Any:
            self.number += 1
            self.shape = tuple(delta.shape)
            return sparsify(delta, *arguments, **named)

        return watched

    def of_draw(self, bernoulli: Any) -> Any:
        """The same call, keeping what it gives."""

        def watched(*arguments: Any, **named: Any) -> Any:
            drawn = bernoulli(*arguments, **named)
            self.masks[f"{self.number}/{self.tensor}"] = drawn.reshape(self.shape).to(torch.uint8).clone()
            return drawn

        return watched


def main(config: str, out: str, masks: str, seed: str = "0") -> None:
    watch = Watch()
    task = task_adapter.ExecuteMergeMethodTask
    task.execute = watch.of_tensor(task.execute)
    added.sparsify = watch.of_model(added.sparsify)
    torch.bernoulli = watch.of_draw(torch.bernoulli)
    options = ["--random-seed", seed, "--quiet", "--no-copy-tokenizer", "--no-write-model-card"]
    run_yaml([config, out, *options], standalone_mode=False)
    if watch.masks:
        save_file(watch.masks, masks)


if __name__ == "__main__":
    main(*sys.argv[1:])
