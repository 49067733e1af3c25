"""How many test digits a checkpoint reads rightly, task by task.

    python accuracy.py demo/models/base demo/merged/alice

The weights come from the files on disk as the safetensors package reads them: what is measured is what
was written, whoever wrote it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from network import Network, load
from rich.console import Console
from rich.table import Table
from tasks import TASKS, Split, test_split


def accuracy(network: Network, split: Split) -> float:
    """Percent of the images whose digit the network names."""
    with torch.inference_mode():
        right = network(split.images).argmax(dim=1) == split.digits
    return 100 * right.double().mean().item()


def accuracies(checkpoint: Path) -> list[float]:
    """Accuracy on the 1,300 test images of each task in turn, in percent."""
    network = load(checkpoint)
    return [accuracy(network, test_split(task)) for task in range(TASKS)]


def accuracy_table(rows: dict[str, list[float]]) -> Table:
    """One row per model: its name, the mean over the tasks, then every task."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("accuracy by task, %")
    table.add_column("mean", justify="right", style="bold")
    for task in range(TASKS):
        table.add_column(str(task), justify="right")
    for name, scores in rows.items():
        table.add_row(name, *(f"{score:.1f}" for score in [sum(scores) / len(scores), *scores]))
    return table


def main() -> None:
    """Print the table of the checkpoint folders named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="+", type=Path, help="folders that hold a model.safetensors")
    folders = parser.parse_args().checkpoints
    Console().print(accuracy_table({str(folder): accuracies(folder) for folder in folders}))


if __name__ == "__main__":
    main()
