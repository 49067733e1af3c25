"""The models of the story: a base that everybody has, four good fine-tunes, and a bad one.

They are the networks of `examples/permuted_mnist`, trained for a shorter time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from accuracy import accuracy
from network import load
from tasks import test_split, train_split
from train import FINETUNE, Plan, Training, ensure_base, ensure_finetune, shuffled_digits

#: Whose fine-tune is for which task: the same digits, with their pixels shuffled otherwise for each.
TASKS = {"alice": 0, "bob": 1, "carol": 2, "bob-too": 3}
MISTAKE = "mistake"
PLAN = Plan(finetune=Training(FINETUNE.optimizer, steps=40, rate=FINETUNE.rate, batch=128, images=3000))


@dataclass(frozen=True)
class Scores:
    """Percent of the test images that a model recognises, for each of the four tasks."""

    by_task: tuple[float, ...]

    @classmethod
    def of(cls, checkpoint: Path) -> Scores:
        network = load(checkpoint)
        return cls(tuple(accuracy(network, test_split(task)) for task in TASKS.values()))

    @property
    def mean(self) -> float:
        return sum(self.by_task) / len(self.by_task)

    def __str__(self) -> str:
        each = ", ".join(f"{score:.0f}" for score in self.by_task)
        return f"{self.mean:.0f}% of the test digits ({each} on the four tasks)"


def train(folder: Path) -> None:
    """Make the models that are not there yet."""
    torch.set_num_threads(1)  # the network is small: more threads only wait for each other
    ensure_base(folder / "base", PLAN)
    for name, task in TASKS.items():
        ensure_finetune(folder / name, folder / "base", train_split(task), PLAN)
    ensure_finetune(folder / MISTAKE, folder / "base", shuffled_digits(train_split(TASKS["alice"])), PLAN)
