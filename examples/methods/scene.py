"""What is merged and tested with one seed: a base, its fine-tunes, and images that none of them saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accuracy import accuracy
from fisher_information import fisher_information
from network import Network, load
from recipes import LAMBDAS
from safetensors.torch import save_file
from tasks import Split, generator, test_split, train_split, validation_split
from train import BASE, FINETUNE, FINETUNES, Plan, ensure_base, ensure_finetune

import mergealgebra as ma


@dataclass(frozen=True)
class Scale:
    """How much is done. fine_tunes: the first so many of the demo's eight. images: the most of each task to test on.

    steps: of training; None for as many as the demo has. fisher_images: for Fisher information. lambdas: what is tried.
    """

    seeds: int = 5
    fine_tunes: int = 8
    images: int = 1300
    steps: int | None = None
    fisher_images: int = 512
    lambdas: Sequence[str] = LAMBDAS

    def plan(self, seed: int) -> Plan:
        """How the models are trained: as in the demo, or with fewer steps."""
        if self.steps is None:
            return Plan(seed)
        return Plan(seed, replace(BASE, steps=self.steps), replace(FINETUNE, steps=self.steps))


@dataclass(frozen=True)
class Scene:
    """One seed. base, models: checkpoint folders. fisher: a file for each model. validation, test: images by task."""

    base: Path
    models: Sequence[Path]
    fisher: Sequence[Path]
    validation: Sequence[Split]
    test: Sequence[Split]

    def contribution_id(self, model: Path, out: Path) -> str:
        """The id of a model as a contribution, which the recipe key `task` names: the lock of any merge has it."""
        (one,) = ma.merge(self.base, [model], ma.Mean(), out=out, backend="numpy").lock.contributions
        return one.id


def make_scene(folder: Path, seed: int, scale: Scale) -> Scene:
    """Train what is not there yet, and choose the images."""
    plan, names = scale.plan(seed), FINETUNES[: scale.fine_tunes]
    base, models = folder / "base", [folder / name for name in names]
    ensure_base(base, plan)
    for task, model in enumerate(models):
        ensure_finetune(model, base, train_split(task, seed), plan)
    fisher = [folder / f"{name}-fisher.safetensors" for name in names]
    for task, (model, file) in enumerate(zip(models, fisher, strict=True)):
        images = train_split(task, seed).images[: scale.fisher_images]
        save_file(fisher_information(load(model), images, generator(f"fisher {task}", seed)), file)
    tasks = range(scale.fine_tunes)
    validation = [_first(validation_split(task, seed), scale.images) for task in tasks]
    return Scene(base, models, fisher, validation, [_first(test_split(task, seed), scale.images) for task in tasks])


def _first(split: Split, images: int) -> Split:
    return Split(split.images[:images], split.digits[:images])


def mean_accuracy(networks: Sequence[Network], splits: Sequence[Split]) -> float:
    """Percent of digits named rightly, the mean over tasks. networks: one for each task, perhaps the same."""
    return sum(map(accuracy, networks, splits)) / len(splits)


def moved(base: Mapping[str, torch.Tensor], merged: Network, factor: float) -> Network:
    """The network on the line from the base through a merged one, factor times as far away."""
    network = Network()
    network.load_state_dict({name: base[name] + factor * (x - base[name]) for name, x in merged.state_dict().items()})
    return network.eval()
