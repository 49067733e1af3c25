"""Write the conformance vectors, or with --check compare the files that are there.

    python spec/vectors/generate.py [--check]

The answers come from `generator/`, an implementation of the clauses in the standard library alone; it shares no
code with the package that the vectors test.
"""

from __future__ import annotations

import sys
from pathlib import Path

from generator.cases import document
from generator.render import render
from generator.topics import (
    aggregates,
    canonical_values,
    checkpoints,
    contributions,
    decimals,
    hashes,
    lock,
    mean,
    operations,
    recipes,
    safetensors,
    states,
    task_arithmetic,
    task_vectors,
    ties,
    trim,
)

FOLDER = Path(__file__).resolve().parent
TOPICS = {
    "decimals": decimals.CASES,
    "canonical_values": canonical_values.CASES,
    "hashes": hashes.CASES,
    "safetensors": safetensors.CASES,
    "checkpoints": checkpoints.CASES,
    "task_vectors": task_vectors.CASES,
    "trim": trim.CASES,
    "ties": ties.CASES,
    "mean": mean.CASES,
    "task_arithmetic": task_arithmetic.CASES,
    "aggregates": aggregates.CASES,
    "recipes": recipes.CASES,
    "contributions": contributions.CASES,
    "operations": operations.CASES,
    "states": states.CASES,
    "lock": lock.CASES,
}


def files() -> dict[Path, str]:
    """The text of every file."""
    return {FOLDER / f"{t}.json": render(document(t, cases)) + "\n" for t, cases in TOPICS.items()}


def check() -> int:
    """0 when the folder holds exactly these files, 1 with the name of each that differs."""
    texts = files()
    stale = [path for path, text in texts.items() if not path.is_file() or path.read_text("utf-8") != text]
    stale += sorted(set(FOLDER.glob("*.json")) - set(texts))
    for path in stale:
        print(f"{path.name} is not what generate.py writes", file=sys.stderr)
    return 1 if stale else 0


def write() -> int:
    for path, text in files().items():
        path.write_text(text, "utf-8")
    for topic, cases in TOPICS.items():
        print(f"{topic}.json: {len(cases)} cases")
    return 0


if __name__ == "__main__":
    sys.exit(check() if sys.argv[1:] == ["--check"] else write())
