"""What is merged: each method of the registry, by a recipe, over all fine-tunes or the first of them.

A method that is added to the registry is here by itself. Only numbers that have no good default stand below.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mergealgebra.methods.mean import Mean
from mergealgebra.methods.method import Method, keys_of
from mergealgebra.methods.registry import METHODS

#: What a recipe has beside its defaults: methods that leave something out keep 20%, as TIES does in its paper.
KEYS = {
    "ties": {"density": "0.2"},
    "dare_linear": {"density": "0.2"},
    "dare_ties": {"density": "0.2"},
    "della": {"density": "0.2"},
    "della_linear": {"density": "0.2"},
    "breadcrumbs": {"density": "0.2"},
    "breadcrumbs_ties": {"density": "0.2"},
}
#: What is tried for lambda. Some methods add and some average, so the best is far apart.
LAMBDAS = ("0.2", "0.3", "0.4", "0.5", "0.6", "0.8", "1", "1.3", "1.6", "2", "2.4", "3.2", "4")


@dataclass(frozen=True)
class Case:
    """A row of the table. models: how many fine-tunes are merged, the first ones; None for all.

    by_task: whether a model is made for each task, by the recipe's key `task`.
    """

    label: str
    method: type[Method]
    keys: dict[str, str] = field(default_factory=dict)
    models: int | None = None
    by_task: bool = False

    def recipe(self, **more: str) -> Method:
        """The recipe, with some more keys."""
        return self.method(**self.keys, **more)

    @property
    def has_lambda(self) -> bool:
        return "lambda" in keys_of(self.method)


def cases() -> list[Case]:
    """All that is measured: every method, those with a key `task` twice, and the mean of two for comparison."""
    found = []
    for name, method in METHODS.items():
        one = Case(name, method, KEYS.get(name, {}), method().needs.arity)
        found.append(one)
        if "task" in keys_of(method):
            found.append(Case(f"{name}, by task", method, one.keys, by_task=True))
    return [*found, Case("mean of two", Mean, models=2)]
