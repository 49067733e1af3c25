"""Other tools' names against the tools themselves, and the laws of each, raw and by replicas: writes strategies.md.

    python spec/conformance/strategies.py [--environments PATH] [--out PATH] [--record]

`make conformance` makes the environments and calls this. --record also writes crdt-merge's answers to a few questions,
which tests ask again where the tool is not installed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mergealgebra.algebra.method import WholeModel
from mergealgebra.dialects.strategies import STRATEGIES, Strategy
from mergealgebra.dialects.strategy_round import round_of

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
CRDT_MERGE, MERGEKIT = "crdt-merge-0.11", "mergekit-0.1.5"
PACKAGES = {CRDT_MERGE: "crdt-merge", MERGEKIT: "mergekit"}

#: The largest difference that NA-6 allows, relative to the largest magnitude of the models; 0 of what is not here.
BOUNDS = {"slerp": 2.0**-40, "weight_scope_alignment": 2.0**-40, "dam": 2.0**-40, "ada_merging": 2.0**-30}
BOUNDS |= {"star": 2.0**-40, "adarank": 2.0**-40}

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Question:
    """Models of one tensor, (n, ...), to be merged into a base; weights and settings as the tool takes them."""

    method: str
    models: Array
    base: Array
    weights: Sequence[float]
    settings: Mapping[str, float] = field(default_factory=dict)


def questions(method: str, strategy: Strategy, count: int, seed: int = 0) -> Iterator[Question]:
    """Random merges of one to seven models: near and far; on a grid where much ties; fp32 and fp64; some larger."""
    rng = np.random.default_rng([seed, *method.encode()])
    for number in range(count):
        shape = tuple(rng.integers(1, 13, size=rng.integers(1, 4)).tolist()) if number % 10 else (60, 70)
        n, near = int(rng.integers(1, 8)), (1.0, 0.1, 1e-3)[number % 3]
        base, noise = rng.standard_normal(shape), rng.standard_normal((n, *shape))
        if number % 4 == 3:
            base, noise, near = np.round(base * 2), np.round(noise), 1.0
        dtype = np.float32 if number % 2 else np.float64
        weighted = strategy.coefficients and number % 5 > 1
        weights = np.float32(rng.uniform(0.2, 2, n)).tolist() if weighted else [1.0] * n
        settings = {key: _other(setting, rng) for key, setting in strategy.settings.items()} if number % 5 == 4 else {}
        yield Question(method, (base + near * noise).astype(dtype), base.astype(dtype), weights, settings)


def _other(setting: Any, rng: np.random.Generator) -> float:
    """A value of a setting, near its default."""
    if setting.whole:
        return int(rng.integers(0, 1000))
    return round(float(setting.default) * float(rng.uniform(0.6, 1.05)), 3)


# The tools


class Tool:
    """A tool in its environment."""

    def __init__(self, dialect: str, environments: Path) -> None:
        self._python, self._name = environments / dialect / "bin" / "python", PACKAGES[dialect]

    def names(self) -> list[str]:
        """What it calls its methods."""
        return list(json.loads(self._run("names", self._name)))

    def answers(self, what: str, asked: Sequence[Question]) -> dict[str, Array]:
        """The arrays that `theirs.py` gives for these questions, by its names."""
        with tempfile.TemporaryDirectory() as folder:
            arrays: dict[str, Any] = {}
            for i, question in enumerate(asked):
                how = {"method": question.method, "weights": question.weights, "settings": dict(question.settings)}
                arrays |= {f"{i}.models": question.models, f"{i}.base": question.base, f"{i}.asked": json.dumps(how)}
            np.savez(Path(folder, "questions.npz"), **arrays)
            self._run(what, self._name, f"{folder}/questions.npz", f"{folder}/answers.npz")
            return dict(np.load(Path(folder, "answers.npz")))

    def _run(self, *arguments: str) -> str:
        command = [str(self._python), "-W", "ignore", str(FOLDER / "theirs.py"), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# Ours


def ours(dialect: str, question: Question) -> Array:
    """What the dialect computes, in binary64."""
    settings = STRATEGIES[dialect][question.method].settings
    given = {key: repr(question.settings.get(key, setting.default)).strip("'") for key, setting in settings.items()}
    models = [
        WholeModel(f"model {i}", {"w": model}, repr(weight))
        for i, (model, weight) in enumerate(zip(question.models, question.weights, strict=True))
    ]
    return np.asarray(round_of(question.method, dialect, given).merge({"w": question.base}, models)[0]["w"], float)


@dataclass(frozen=True)
class Compared:
    """How many answers were asked for and were equal, and the largest difference, relative to the models."""

    asked: int
    equal: int
    difference: float


def compared(tool: Tool, dialect: str, method: str, count: int) -> Compared:
    """The tool's answers against the dialect's."""
    asked = list(questions(method, STRATEGIES[dialect][method], count))
    theirs = tool.answers("merge", asked)
    equal, worst = 0, 0.0
    for i, question in enumerate(asked):
        found, wanted = ours(dialect, question), theirs[str(i)]
        equal += np.array_equal(found, wanted)
        worst = max(worst, float(np.abs(found - wanted).max() / (np.abs(question.models).max() or 1.0)))
    return Compared(len(asked), equal, worst)


def record(tool: Tool, dialect: str, out: Path) -> None:
    """A few questions and the tool's answers, as JSON with exact numbers."""
    cases = []
    for method, strategy in STRATEGIES[dialect].items():
        asked = [q for q in questions(method, strategy, 40) if q.models.size < 40 and len(q.models) > 1][:4]
        theirs = tool.answers("merge", asked)
        cases += [_case(question, theirs[str(i)]) for i, question in enumerate(asked)]
    text = ",\n".join(json.dumps(case) for case in cases)
    out.write_text(f"[\n{text}\n]\n")


def _case(question: Question, answer: Array) -> dict[str, Any]:
    return {
        "method": question.method,
        "dtype": question.base.dtype.name,
        "shape": list(question.base.shape),
        "base": _hex(question.base),
        "models": [_hex(model) for model in question.models],
        "weights": [weight.hex() for weight in question.weights],
        "settings": {key: str(value) for key, value in question.settings.items()},
        "answer": _hex(answer),
    }


def _hex(array: Array) -> list[str]:
    return [float(number).hex() for number in array.reshape(-1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--environments", type=Path, default=ROOT / ".venvs", help="the folder of environments")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the report goes")
    parser.add_argument("--record", action="store_true", help="write crdt-merge's answers for the tests")
    options = parser.parse_args()
    tool = Tool(CRDT_MERGE, options.environments)
    if options.record:
        record(tool, CRDT_MERGE, options.out / f"{CRDT_MERGE}.answers.json")
    for method in STRATEGIES[CRDT_MERGE]:
        print(method, compared(tool, CRDT_MERGE, method, 60), file=sys.stderr)


if __name__ == "__main__":
    main()
