"""The measured figures, read back from RESULTS/PART.json."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from settings import Label, Measurement

ITEM_BYTES = {"fp32": 4, "bf16": 2}


@dataclass(frozen=True)
class Results:
    """Every part that was measured, by name."""

    parts: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> Results:
        """What lies in a folder; a part that was not measured is not there."""
        files = sorted(folder.glob("*.json"))
        contents = [json.loads(file.read_text()) for file in files]
        return cls({content["part"]: content for content in contents if "measurements" in content})

    def all(self, part: str, **labels: Label) -> list[Measurement]:
        """The measurements of a part that have these labels, in their order."""
        measurements = self.parts.get(part, {}).get("measurements", [])
        return [found for found in measurements if labels.items() <= found["labels"].items()]

    def one(self, part: str, **labels: Label) -> Measurement | None:
        """The first of them."""
        return next(iter(self.all(part, **labels)), None)

    def median(self, part: str, field: str = "wall", **labels: Label) -> float | None:
        """The median of one field of it."""
        found = self.one(part, **labels)
        return found and found["median"][field]


def ratios(slow: Measurement, fast: Measurement) -> list[float]:
    """The ratio of their wall times in each round in which both ran."""
    pairs = zip(slow["runs"], fast["runs"], strict=False)
    return [one["wall"] / other["wall"] for one, other in pairs]


def ratio(slow: Measurement, fast: Measurement) -> tuple[float, float, float]:
    """The median, the least and the greatest ratio over the rounds."""
    found = ratios(slow, fast)
    return statistics.median(found), min(found), max(found)


def moved_bytes(measurement: Measurement) -> int:
    """The bytes that a merge has to read and write: base, fine-tunes and output, each once."""
    labels = measurement["labels"]
    size: int = labels["parameters"] * ITEM_BYTES[labels["dtype"]] * (labels["n"] + 2)
    return size
