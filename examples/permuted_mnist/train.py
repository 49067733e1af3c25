"""One base, eight fine-tunes and one mistake, written as ordinary checkpoint folders.

    python train.py --out demo/models

The base sees a little of every task; each fine-tune then learns one task with the head frozen. The
mistake is a ninth fine-tune whose labels were shuffled, for a contribution that somebody will want back.
A folder that is complete and was made with the same settings from the same base is kept as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import torch
from network import MODEL_FILE, Network, load
from rich.console import Console
from safetensors.torch import save_file
from tasks import SEED, TASKS, Split, generator, train_split
from torch.nn.functional import cross_entropy

FINETUNES = [f"task{task}" for task in range(TASKS)]
MISTAKE = "mistake"
Config: TypeAlias = dict[str, object]


@dataclass(frozen=True)
class Training:
    """How long, how fast, and on how many images of a task; the rate falls to zero along a cosine."""

    optimizer: str
    steps: int
    rate: float
    batch: int
    images: int


BASE = Training("Adam", steps=40, rate=1e-3, batch=256, images=200)
FINETUNE = Training("SGD with momentum 0.9", steps=150, rate=2e-2, batch=128, images=3000)


@dataclass(frozen=True)
class Plan:
    """How a base and its fine-tunes are trained. seed: another one draws other tasks, weights and batches."""

    seed: int = SEED
    base: Training = BASE
    finetune: Training = FINETUNE


#: The demo's own.
PLAN = Plan()


def train_all(out: Path) -> dict[str, bool]:
    """Make the checkpoints that are not there yet. Returns every name, and whether it had to be made."""
    torch.set_num_threads(1)  # the network is small: more threads only wait for each other
    made = {"base": ensure_base(out / "base")}
    for task, name in enumerate(FINETUNES):
        made[name] = ensure_finetune(out / name, out / "base", train_split(task))
    made[MISTAKE] = ensure_finetune(out / MISTAKE, out / "base", shuffled_digits(train_split(0)))
    return made


def ensure_base(folder: Path, plan: Plan = PLAN) -> bool:
    """Train the base unless it is there: every batch holds a few images of all tasks."""
    config: Config = {"seed": plan.seed, "training": asdict(plan.base)}
    if is_complete(folder, config):
        return False
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        network = Network()
    optimizer = torch.optim.Adam(network.parameters(), lr=plan.base.rate)
    splits = [train_split(task, plan.seed) for task in range(TASKS)]
    images = torch.stack([split.images for split in splits], dim=1)
    digits = torch.stack([split.digits for split in splits], dim=1)
    draws = generator("batches of base", plan.seed)
    fit(network, optimizer, batches_of(Split(images, digits), plan.base, plan.base.batch // TASKS, draws), plan.base)
    write(folder, network, config)
    return True


def ensure_finetune(folder: Path, base: Path, split: Split, plan: Plan = PLAN) -> bool:
    """Fine-tune the base on one task unless that is there; the head, shared by all tasks, stays frozen."""
    config: Config = {"seed": plan.seed, "training": asdict(plan.finetune), "base": sha256_of(base / MODEL_FILE)}
    if is_complete(folder, config):
        return False
    network = load(base).train()
    network.head.requires_grad_(False)
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(learned, lr=plan.finetune.rate, momentum=0.9)
    draws = generator(f"batches of {folder.name}", plan.seed)
    fit(network, optimizer, batches_of(split, plan.finetune, plan.finetune.batch, draws), plan.finetune)
    write(folder, network, config)
    return True


def fit(network: Network, optimizer: torch.optim.Optimizer, batches: Iterator[Split], training: Training) -> None:
    """Plain training: cross-entropy, and a rate that falls to zero along a cosine."""
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.steps)
    for batch in batches:
        optimizer.zero_grad()
        cross_entropy(network(batch.images), batch.digits).backward()
        optimizer.step()
        schedule.step()


def batches_of(split: Split, training: Training, rows: int, draws: torch.Generator) -> Iterator[Split]:
    """A batch for each step: some rows at random out of the first images."""
    for _ in range(training.steps):
        chosen = torch.randperm(training.images, generator=draws)[:rows]
        yield Split(split.images[chosen].reshape(-1, 784), split.digits[chosen].reshape(-1))


def shuffled_digits(split: Split) -> Split:
    """The same images with their labels dealt out at random."""
    order = torch.randperm(len(split.digits), generator=generator("the mistake"))
    return Split(split.images, split.digits[order])


def write(folder: Path, network: Network, config: Config) -> None:
    """Write the folder under another name and rename it, so that a folder that is there is whole."""
    partial = folder.with_name(folder.name + ".partial")
    for old in (partial, folder):
        shutil.rmtree(old, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file(network.state_dict(), partial / MODEL_FILE, metadata={"format": "pt"})
    (partial / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    partial.rename(folder)


def is_complete(folder: Path, config: Config) -> bool:
    """Was this folder written whole, with these very settings?"""
    written = folder / "config.json"
    return written.exists() and json.loads(written.read_text()) == config and (folder / MODEL_FILE).exists()


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Train into the folder of the command line and say what was made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo/models"), help="where the folders go")
    for name, new in train_all(parser.parse_args().out).items():
        Console().print(f"{name}: {'trained' if new else 'there already'}")


if __name__ == "__main__":
    main()
