"""Write the conformance vectors, or with --check compare the files that are there; either way they are linted.

    python spec/vectors/generate.py [--check]

The answers come from `generator/`, an implementation of the clauses in the standard library alone; it shares no
code with the package that the vectors test.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from generator.cases import Case, document
from generator.lint import problems
from generator.render import render
from generator.topics import (
    aggregates,
    blob_maps,
    breadcrumbs,
    canonical_values,
    checkpoints,
    competition,
    contribution_settings,
    contributions,
    dare,
    decimals,
    della,
    dialects,
    elementary,
    elements,
    fisher,
    forms,
    geometry,
    hashes,
    lock,
    masks,
    mean,
    operations,
    packs,
    ranges,
    recipes,
    requests,
    result_dtypes,
    rounds,
    safetensors,
    settings,
    signatures,
    states,
    task_arithmetic,
    task_vectors,
    ties,
    trim,
)

FOLDER = Path(__file__).resolve().parent
TOPICS: Mapping[str, Sequence[Case]] = {
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
    "masks": masks.CASES,
    "elementary": elementary.CASES,
    "fisher": fisher.CASES,
    "dare": dare.CASES,
    "elements": elements.CASES,
    "breadcrumbs": breadcrumbs.CASES,
    "della": della.CASES,
    "competition": competition.CASES,
    "rounds": rounds.CASES,
    "geometry": geometry.CASES,
    "aggregates": aggregates.CASES,
    "recipes": recipes.CASES,
    "settings": settings.CASES,
    "contribution_settings": contribution_settings.CASES,
    "result_dtypes": result_dtypes.CASES,
    "contributions": contributions.CASES,
    "forms": forms.CASES,
    "operations": operations.CASES,
    "states": states.CASES,
    "ranges": ranges.CASES,
    "packs": packs.CASES,
    "blob_maps": blob_maps.CASES,
    "signatures": signatures.CASES,
    "requests": requests.CASES,
    "lock": lock.CASES,
    "dialects": dialects.CASES,
}
#: The keys that a file has besides those of every file.
MORE: Mapping[str, Mapping[str, Any]] = {"dialects": dialects.MORE}


def documents() -> dict[str, Any]:
    """Every file, by its topic. Raises AssertionError if one is not fit to be written."""
    made = {topic: document(topic, cases, MORE.get(topic, {})) for topic, cases in TOPICS.items()}
    wrong = problems(made)
    if wrong:
        raise AssertionError("\n".join(wrong))
    return made


def files() -> dict[Path, str]:
    """The text of every file."""
    return {FOLDER / f"{topic}.json": render(made) + "\n" for topic, made in documents().items()}


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
