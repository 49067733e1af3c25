"""What each method is worth on the demo's data: accuracy with its spread, time and memory of every method.

    python worth.py --out worth

For each seed a base and its fine-tunes are trained, and merged by every method of the registry. Writes results.json,
table.md and accuracy.svg. Exit code 1 says that a model was another when the fine-tunes came in reverse order.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

# The network, the tasks and the training are the demo's; the description of the machine is the benchmarks'.
sys.path.append(str(Path(__file__).resolve().parent.parent / "permuted_mnist"))
sys.path.append(str(Path(__file__).resolve().parent.parent.parent / "benchmarks"))

import torch
from bars import svg
from machine import describe
from network import load
from recipes import Case, cases
from scene import Scale, Scene, make_scene, mean_accuracy
from tables import chart, depending_on_order, markdown
from trials import Bench

#: Small enough for a test: nothing that it finds means anything.
QUICK = Scale(seeds=1, fine_tunes=2, images=50, steps=40, fisher_images=32, lambdas=("1", "2"))
_SIZES = {None: "all", 2: "two", 1: "one"}


def main() -> None:
    """Measure into the folder of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("worth"), help="the folder for everything it writes")
    parser.add_argument("--seeds", type=int, help="how many seeds; five if left out")
    parser.add_argument("--quick", action="store_true", help="one seed, two fine-tunes trained a little, few images")
    given = parser.parse_args()
    scale = QUICK if given.quick else Scale()
    if given.seeds:
        scale = replace(scale, seeds=given.seeds)
    torch.set_num_threads(1)  # the network is small: more threads only wait for each other
    results = measure(given.out, scale, print)
    (given.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (given.out / "table.md").write_text(markdown(results) + "\n")
    (given.out / "accuracy.svg").write_text(svg(chart(results)))
    print(f"written to {given.out}: results.json, table.md, accuracy.svg")
    if results["depend_on_order"]:
        sys.exit(f"worth.py: another model in reverse order: {', '.join(results['depend_on_order'])}")


def measure(out: Path, scale: Scale, say: Callable[[str], None]) -> dict[str, Any]:
    """All figures. Rows are by label, and have what was found with each seed."""
    results: dict[str, Any] = {"machine": describe(), "scale": asdict(scale), "seeds": list(range(scale.seeds))}
    started, cpu = time.monotonic(), time.process_time()
    rows = {case.label: {"group": group_of(case), "keys": case.keys, "trials": []} for case in cases()}
    references: dict[str, Any] = {group: {"base": [], "fine-tunes": []} for group in ("all", "task", "two", "one")}
    for seed in results["seeds"]:
        scene = make_scene(out / f"seed{seed}", seed, scale)
        for group, found in references.items():
            add_references(found, scene, {"two": 2, "one": 1}.get(group))
        for case in cases():
            trial = Bench(case, scene, out / "merged").measure(scale.lambdas)
            rows[case.label]["trials"].append(asdict(trial))
            say(f"seed {seed}  {case.label:22}  lambda 1: {trial.at_one:.1f}  tuned: {trial.tuned:.1f}")
    took = {
        "seconds": round(time.monotonic() - started),
        "cpu_seconds": round(time.process_time() - cpu),
        "load_after": round(os.getloadavg()[0], 2),
    }
    return results | {
        "took": took,
        "references": references,
        "rows": rows,
        "depend_on_order": depending_on_order(rows),
    }


def group_of(case: Case) -> str:
    """With what a case is compared."""
    return "task" if case.by_task else _SIZES[case.models]


def add_references(found: dict[str, list[float]], scene: Scene, models: int | None) -> None:
    """The base, and each fine-tune on its own task, on the tasks of the first so many."""
    test = scene.test[:models]
    found["base"].append(mean_accuracy([load(scene.base)] * len(test), test))
    found["fine-tunes"].append(mean_accuracy([load(model) for model in scene.models[:models]], test))


if __name__ == "__main__":
    main()
