"""What is asked of crdt-merge and mergekit, their answers and ours: strategies.py writes what comes of it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import mergealgebra as ma
from mergealgebra.algebra.method import WholeModel
from mergealgebra.dialects.strategies import STRATEGIES
from mergealgebra.dialects.strategy import Setting
from mergealgebra.dialects.strategy_round import round_of
from mergealgebra.methods.names import TOOLS
from mergealgebra.recipe import recipe_from_map

FOLDER = Path(__file__).resolve().parent
CRDT_MERGE, MERGEKIT = "crdt-merge-0.11", "mergekit-0.1.5"
PACKAGES = {CRDT_MERGE: "crdt-merge", MERGEKIT: "mergekit"}

#: The largest difference of what is the same in real numbers, relative to the largest magnitude of the models [NA-1].
SAME = 2.0**-20
#: The largest difference that NA-6 allows, relative to the largest magnitude of the models; 0 of what is not here.
BOUNDS = {"slerp": 2.0**-40, "weight_scope_alignment": 2.0**-40, "dam": 2.0**-40, "ada_merging": 2.0**-30}
BOUNDS |= {"star": 2.0**-40, "adarank": 2.0**-40, "sce": 2.0**-20}

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Question:
    """Models of one tensor, (n, ...), to be merged into a base; weights and settings as the tool takes them."""

    method: str
    models: Array
    base: Array
    weights: Sequence[float]
    settings: Mapping[str, float] = field(default_factory=dict)


def questions(dialect: str, method: str, count: int) -> Iterator[Question]:
    """Random merges: near and far, fp32 and fp64, some larger. Of crdt-merge also on a grid, where much ties, and of up
    to seven models; mergekit leaves ties to a sort, and adds more than four rows in an order of its own [DI-18, DI-19].
    """
    rng, strategy = np.random.default_rng([0, *method.encode()]), STRATEGIES[dialect][method]
    most, tied = (7, True) if dialect == CRDT_MERGE else (4, False)
    for number in range(count):
        shape = tuple(rng.integers(1, 13, size=rng.integers(1, 4)).tolist()) if number % 10 else (30, 40)
        n, near = int(rng.integers(1, most + 1)), (1.0, 0.1, 1e-3)[number % 3]
        base, noise = rng.standard_normal(shape), rng.standard_normal((n, *shape))
        if tied and number % 4 == 3:
            base, noise, near = np.round(base * 2), np.round(noise), 1.0
        dtype = np.float32 if number % 2 else np.float64
        weighted = strategy.coefficients and number % 5 > 1
        weights = np.float32(rng.uniform(0.2, 2, n)).tolist() if weighted else [1.0] * n
        settings = (
            {key: _other(setting, rng) for key, setting in strategy.settings.items() if type(setting) is Setting}
            if number % 5 in (1, 4)
            else {}
        )
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
    asked = list(questions(dialect, method, count))
    theirs = tool.answers("merge", asked)
    equal, worst = 0, 0.0
    for i, question in enumerate(asked):
        found, wanted = ours(dialect, question), theirs[str(i)]
        equal += np.array_equal(found, wanted)
        worst = max(worst, float(np.abs(found - wanted).max() / (np.abs(question.models).max() or 1.0)))
    return Compared(len(asked), equal, worst)


@dataclass(frozen=True)
class AsOurs:
    """How a method of mergekit is asked, and ours for the same: n models, settings there, keys of our recipe.

    coefficients: of our contributions, where they are not the weights. pair: the base is the first model there.
    """

    n: int = 4
    settings: Mapping[str, float] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    weighted: bool = False
    coefficients: Sequence[str] = ()
    pair: bool = False


MERGEKIT_ASKED = {
    "arcee_fusion": AsOurs(1),
    "breadcrumbs": AsOurs(
        settings={"density": 0.6, "gamma": 0.1}, keys={"density": "0.6", "gamma": "0.1"}, weighted=True
    ),
    "karcher": AsOurs(),
    "linear": AsOurs(weighted=True),
    "model_stock": AsOurs(),
    "multislerp": AsOurs(weighted=True),
    "nearswap": AsOurs(1, {"t": 0.05}, {"t": "0.05"}),
    "nuslerp": AsOurs(2, weighted=True),
    "passthrough": AsOurs(1, {"scale": 0.7}, {"scale": "0.7"}),
    "ram": AsOurs(),
    "ramplus_tl": AsOurs(),
    "slerp": AsOurs(1, {"t": 0.3}, coefficients=("0.7", "0.3"), pair=True),
    "task_arithmetic": AsOurs(weighted=True),
}


def same(dialect: str, method: str, count: int) -> Iterator[tuple[Question, Mapping[str, str], Sequence[str], Array]]:
    """Questions about a method that is the same here: each with our recipe, its coefficients, and our models."""
    answer = TOOLS[dialect].names[method]
    how = MERGEKIT_ASKED[method] if dialect == MERGEKIT else AsOurs(weighted=not answer.where)
    rng = np.random.default_rng([1, *method.encode()])
    for number in range(count):
        shape = tuple(rng.integers(2, 13, size=rng.integers(1, 3)).tolist())
        base = rng.standard_normal(shape).astype(np.float32)
        near = np.float32((1.0, 0.1)[number % 2])
        models = base + near * rng.standard_normal((how.n, *shape)).astype(np.float32)
        weights = np.float32(rng.uniform(0.2, 2, how.n)).tolist() if how.weighted else [1.0] * how.n
        texts = how.coefficients or [np.format_float_positional(np.float32(w), trim="-") for w in weights]
        ours_ = np.concatenate([base[None], models]) if how.pair else models
        recipe = {"method": answer.method, **answer.keys, **how.keys}
        yield Question(method, models, base, weights, how.settings), recipe, texts, ours_


def compared_same(tool: Tool, dialect: str, method: str, count: int) -> Compared:
    """The tool's answers against our method's, to which they are equal but for rounding."""
    asked = list(same(dialect, method, count))
    theirs = tool.answers("merge", [question for question, *_ in asked])
    equal, worst = 0, 0.0
    for i, (question, recipe, texts, models) in enumerate(asked):
        method_ = recipe_from_map(recipe)
        on_theta = method_.needs.on == "theta"
        base = np.zeros_like(question.base) if on_theta else question.base
        found = ma.merge({"w": base}, [{"w": model - base} for model in models], method_, texts, "numpy")["w"]
        wanted = theirs[str(i)]
        equal += np.array_equal(found, wanted.astype(np.float32))
        worst = max(worst, float(np.abs(found - wanted).max() / np.abs(models).max()))
    return Compared(len(asked), equal, worst)


# Laws of a tool's own function


@dataclass(frozen=True)
class Law:
    """Whether a law held in all tries: bit for bit, and up to the 10^-7 that crdt-merge's own check allows."""

    equal: bool
    near: bool


def raw_laws(tool: Tool, method: str, tries: int) -> dict[str, Law]:
    """The three laws of a method as a binary merge."""
    rng = np.random.default_rng(2)
    asked = [
        Question(method, rng.standard_normal((3, 6, 5)), rng.standard_normal((6, 5)), [1.0] * 3) for _ in range(tries)
    ]
    found = tool.answers("laws", asked)
    sides = {"commutative": ("ab", "ba"), "associative": ("ab_c", "a_bc"), "idempotent": ("aa", "a")}
    held = {}
    for law, (left, right) in sides.items():
        pairs = [(found[f"{i}.{left}"], found[f"{i}.{right}"]) for i in range(tries)]
        equal = all(np.array_equal(one, other) for one, other in pairs)
        held[law] = Law(equal, all(np.abs(one - other).max() < 1e-7 for one, other in pairs))
    return held


# What tests ask again


def record(tool: Tool, dialect: str, out: Path) -> None:
    """A few questions and the tool's answers, as JSON with exact numbers."""
    cases = []
    for method in STRATEGIES[dialect]:
        asked = [q for q in questions(dialect, method, 40) if q.models.size < 40 and len(q.models) > 1][:4]
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
