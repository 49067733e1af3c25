"""What crdt-merge or mergekit answers, run in an environment that has it: it imports nothing of this package.

    python theirs.py names crdt-merge                     the names of its methods, a JSON list
    python theirs.py merge crdt-merge QUESTIONS ANSWERS   one merged tensor for each question
    python theirs.py laws crdt-merge QUESTIONS ANSWERS    the five binary merges that the laws compare

QUESTIONS and ANSWERS are files of NumPy arrays. Question i is `i.models`, of shape (n, ...), `i.base`, and `i.asked`, a
JSON object with `method`, `weights` and `settings`. Answer i is `i`, or `i.refused`, a text; of laws, `i.ab` and so on.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np


def main(what: str, tool: str, *files: str) -> None:
    if what == "names":
        print(json.dumps(NAMES[tool]()))
        return
    questions, answers = dict(np.load(files[0])), {}
    for i in range(sum(key.endswith(".asked") for key in questions)):
        asked = json.loads(str(questions[f"{i}.asked"]))
        models, base = list(questions[f"{i}.models"]), questions[f"{i}.base"]
        try:
            answers |= ANSWERS[what](str(i), tool, asked, models, base)
        except Exception as error:
            answers[f"{i}.refused"] = np.array(f"{type(error).__name__}: {error}")
    np.savez(files[1], **answers)


def merged(i: str, tool: str, asked: Any, models: list[Any], base: Any) -> dict[str, Any]:
    return {i: MERGES[tool](asked["method"], models, base, asked["weights"], asked["settings"])}


def laws(i: str, tool: str, asked: Any, models: list[Any], base: Any) -> dict[str, Any]:
    """The method as a binary merge, as `verify_crdt` of crdt-merge calls it: one base for all, equal weights."""

    def f(x: Any, y: Any) -> Any:
        return MERGES[tool](asked["method"], [x, y], base, None, {})

    a, b, c = models
    found = {"ab": f(a, b), "ba": f(b, a), "aa": f(a, a), "ab_c": f(f(a, b), c), "a_bc": f(a, f(b, c)), "a": a}
    return {f"{i}.{name}": np.asarray(value) for name, value in found.items()}


# crdt-merge: as its state layer calls a strategy, where no settings are given


def crdt_merge(method: str, models: list[Any], base: Any, weights: Any, settings: dict[str, Any]) -> Any:
    from crdt_merge.model.crdt_state import CRDTMergeState
    from crdt_merge.model.strategies import get_strategy

    if settings or weights is None:
        needed = {"base": base} if method in CRDTMergeState.BASE_REQUIRED else {}
        return get_strategy(method).merge([np.asarray(m, float) for m in models], weights=weights, **needed, **settings)
    state = CRDTMergeState(method, base=base)
    for number, (model, weight) in enumerate(zip(models, weights, strict=True)):
        state.add(model, model_id=f"{number:06}", weight=weight)
    return state.resolve()


def crdt_merge_names() -> list[str]:
    from crdt_merge.model.strategies import list_strategies

    return sorted(list_strategies())


# mergekit: tensors in memory


def mergekit(method: str, models: list[Any], base: Any, weights: Any, settings: dict[str, Any]) -> Any:
    import torch
    from mergekit import merge_methods

    spec = merge_methods.get(method).spec
    inputs = [{"w": torch.from_numpy(np.ascontiguousarray(array))} for array in (base, *models)]
    parameters = dict(settings)
    with_base = spec.contract.base != "ignored"
    if weights and any(parameter.name == "weight" for parameter in spec.parameters):
        parameters["weight"] = dict(enumerate(weights, 1 if with_base else 0))
    given = inputs if with_base else inputs[1:]
    answer = merge_methods.merge_state_dicts(given, method, parameters=parameters, base=0 if with_base else None)
    return answer["w"].numpy()


def mergekit_names() -> list[str]:
    from mergekit import merge_methods

    return sorted(method.spec.name for method in merge_methods.registered_methods())


NAMES = {"crdt-merge": crdt_merge_names, "mergekit": mergekit_names}
MERGES = {"crdt-merge": crdt_merge, "mergekit": mergekit}
ANSWERS = {"merge": merged, "laws": laws}

if __name__ == "__main__":
    main(*sys.argv[1:])
