"""One method on one seed: merged, tested, timed, and merged once more the other way round."""

from __future__ import annotations

import shutil
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from network import Network, load
from recipes import Case
from scene import Scene, mean_accuracy, moved
from tasks import Split

import mergealgebra as ma


@dataclass(frozen=True)
class Trial:
    """What was found. at_one, tuned: percent of test images, with lambda 1 and with the best lambda on other images.

    cpu_seconds: of one merge of files, written to disk. peak_bytes: the most that Python and NumPy held during one.
    roots, reversed_roots: of the models that came out, from the fine-tunes in order, and in reverse.
    """

    at_one: float
    tuned: float
    lambda_: str | None
    cpu_seconds: float
    peak_bytes: int
    roots: Sequence[str]
    reversed_roots: Sequence[str]


class Bench:
    """Merges of one case in one scene. out: a folder that is written again and again."""

    def __init__(self, case: Case, scene: Scene, out: Path) -> None:
        self.case, self.scene, self.out = case, scene, out
        self.chosen = range(len(scene.models))[: case.models]
        self.tasks: Sequence[dict[str, str]] = [{}]
        if case.by_task:
            self.tasks = [{"task": scene.contribution_id(model, self._emptied())} for model in scene.models]

    def measure(self, lambdas: Sequence[str]) -> Trial:
        """Everything. lambdas: those to choose from."""
        roots, networks, seconds = self._merged()
        at_one = self._accuracy(networks, self.scene.test)
        lambda_, tuned = None, at_one
        if self.case.has_lambda:
            lambda_ = self._best(networks, lambdas)
            tuned = self._accuracy(self._merged(lambda_=lambda_)[1], self.scene.test)
        tracemalloc.start()
        reversed_roots = [self._merge(self.chosen[::-1], task) for task in self.tasks]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return Trial(at_one, tuned, lambda_, seconds, peak, roots, reversed_roots)

    def _merged(self, **keys: str) -> tuple[list[str], list[Network], float]:
        """The models, one or one for each task: their roots, what is in their files, and the time of one merge."""
        roots, networks, seconds = [], [], 0.0
        for task in self.tasks:
            started = time.process_time()
            roots.append(self._merge(self.chosen, task | keys))
            seconds += time.process_time() - started
            networks.append(load(self.out))
        return roots, networks, seconds / len(networks)

    def _merge(self, chosen: Sequence[int], keys: dict[str, str]) -> str:
        """Merge these fine-tunes; returns the model root."""
        recipe = self.case.recipe(**keys)
        return ma.merge(
            self.scene.base,
            [self.scene.models[at] for at in chosen],
            recipe,
            out=self._emptied(),
            backend="numpy",
            threads=1,
            auxiliary=[{"fisher": self.scene.fisher[at]} for at in chosen] if recipe.needs.auxiliary else None,
        ).model_root

    def _emptied(self) -> Path:
        shutil.rmtree(self.out, ignore_errors=True)
        return self.out

    def _best(self, networks: Sequence[Network], lambdas: Sequence[str]) -> str:
        """The lambda with the best accuracy on the validation images, of equal ones the nearest to 1.

        What a method makes with another lambda is on the line from the base through what it makes with 1.
        """
        base = load(self.scene.base).state_dict()
        return max(
            sorted(lambdas, key=lambda text: abs(float(text) - 1)),
            key=lambda text: self._accuracy([moved(base, one, float(text)) for one in networks], self.scene.validation),
        )

    def _accuracy(self, networks: Sequence[Network], splits: Sequence[Split]) -> float:
        """The mean over the tasks whose fine-tunes are merged."""
        splits = [splits[at] for at in self.chosen]
        return mean_accuracy(networks if self.case.by_task else [networks[0]] * len(splits), splits)
