"""merge.lock: the lock of small merges, its density, and locks that contradict themselves."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from generator.cases import Case
from generator.reference.lock import make_lock
from generator.topics import lock_mended
from generator.topics.merges import by_id, mean, stored, task_arithmetic, ties, tuned
from generator.writing import bf16, f32, integers

Json = Any
BASE = {"w": bf16(1, 2, 3, 4, shape=[2, 2]), "b": f32(0, "2^60"), "n": integers("I64", 7, shape=[]), "\u00e9": f32(1)}


def lock_input(contributions: list[Json], recipe: Json, base: Json = BASE) -> Json:
    return {"base": base, "recipe": recipe, "contributions": by_id(base, contributions), "backend": "numpy"}


THREE = [
    tuned({"w": bf16("1.5", 2, 4, 4, shape=[2, 2]), "b": f32("2^60", 1)}),
    stored({"w": f32(1, 1, -1, 2, shape=[2, 2])}, "0.3"),
    stored({"b": f32(1, 2)}, "2"),
]
SMALL = lock_input(THREE, ties(density="0.5"))

LOCKS = {
    "ties": (SMALL, "three contributions, one coordinate that is not certified"),
    "ties-all": (lock_input(THREE, ties(lambda_="0.4", scope="tensor", boundary="lowest_index")), "another recipe"),
    "mean": (lock_input(THREE, mean("0.5")), "without trim every element is kept"),
    "no-elements": (
        lock_input([stored({"e": f32(shape=[0])})], ties(), {"e": f32(shape=[0]), "w": f32(1)}),
        "contributions without any element: the density is 0.000000",
    ),
    "no-elements-mean": (
        lock_input([stored({"e": f32(shape=[0])})], mean(), {"e": f32(shape=[0]), "w": f32(1)}),
        "the same without trim",
    ),
    "task-arithmetic": (lock_input([stored({"\u00e9": f32(1)}, "-1")], task_arithmetic()), "a negative coefficient"),
}

DENSITIES = {
    "all": (7, 7, "1.000000"), "none": (0, 7, "0.000000"), "third": (1, 3, "0.333333"),
    "two-thirds": (2, 3, "0.666667"),
    "no-elements": (0, 0, "0.000000"),
    "half-even-down": (1, 2_000_000, "0.000000"), "half-even-up": (3, 2_000_000, "0.000002"),
    "half-of-even": (5, 2_000_000, "0.000002"), "rounds-to-one": (9_999_999, 10_000_000, "1.000000"),
    "large": (2**60 + 1, 2**61, "0.500000"), "float-misleads": (1_000_001, 1_600_000_000, "0.000625"),
}  # fmt: skip


def changed(change: Callable[[Json], object]) -> Json:
    lock = copy.deepcopy(make_lock(SMALL))
    change(lock)
    return {"lock": lock}


def flip(text: str) -> str:
    return ("1" if text[0] == "0" else "0") + text[1:]


def set_at(*path: Any, to: Any) -> Callable[[Json], object]:
    """Put a value, or a function of the old one, at a place of the lock."""

    def change(lock: Json) -> None:
        at = lock
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = to(at[path[-1]]) if callable(to) else to

    return change


BAD: dict[str, tuple[Callable[[Json], object], str]] = {
    "format": (set_at("format", to=2), "another format"),
    "spec": (set_at("spec", to=2), "another version of the specification"),
    "format-true": (set_at("format", to=True), "true is not 1"),
    "missing-key": (lambda lock: lock.pop("uncertified"), "a key is missing"),
    "extra-key": (set_at("date", to="today"), "a key too many"),
    "base": (set_at("base", to=flip), "another base: no id follows"),
    "id": (set_at("contributions", 0, "id", to=flip), "an id that its manifest does not give"),
    "coefficient": (set_at("contributions", 0, "coefficient", to="40400000"), "another coefficient"),
    "coefficient-zero": (set_at("contributions", 0, "coefficient", to="00000000"), "a coefficient of zero"),
    "form": (
        set_at("contributions", 0, "form", to=lambda f: "task_vector" if f == "finetuned" else "finetuned"),
        "another form",
    ),
    "elements": (set_at("contributions", 0, "elements", to=lambda n: n + 1), "another number of elements"),
    "tensors-root": (set_at("contributions", 0, "tensors", to=flip), "another root of a contribution's tensors"),
    "entry-extra-key": (set_at("contributions", 0, "author", to="me"), "a key too many in a contribution"),
    "order": (lambda lock: lock["contributions"].reverse(), "contributions that are not in the order of their ids"),
    "twice": (lambda lock: lock["contributions"].append(lock["contributions"][-1]), "a contribution twice"),
    "left-out": (lambda lock: lock["contributions"].pop(), "a contribution that merge_id counts is left out"),
    "recipe": (set_at("recipe", "density", to="0.6"), "another recipe"),
    "recipe-form": (set_at("recipe", "density", to="0.50"), "a decimal that is not in canonical form"),
    "recipe-key": (lambda lock: lock["recipe"].pop("scope"), "a recipe without every key"),
    "merge-id": (set_at("merge_id", to=flip), "another merge id"),
    "model-root": (set_at("model_root", to=flip), "another model root"),
    "tensor-root": (set_at("tensors", "w", "root", to=flip), "another root of a tensor"),
    "tensor-dtype": (set_at("tensors", "w", "dtype", to="F16"), "another dtype"),
    "tensor-shape": (set_at("tensors", "w", "shape", to=[4]), "another shape"),
    "tensor-left-out": (lambda lock: lock["tensors"].pop("n"), "a tensor that is left out"),
    "kept": (
        set_at("contributions", 0, "kept", to=lambda n: n + 1),
        "kept elements that do not give the achieved density",
    ),
    "density": (set_at("achieved_density", to="0.123456"), "another achieved density"),
}

CASES = [
    *(Case("lock", f"lock-{i}", "LK-2 LK-3", why, x) for i, (x, why) in LOCKS.items()),
    *(
        Case("achieved-density", f"achieved-density-{i}", "LK-2", i.replace("-", " "),
             {"kept": str(kept), "elements": str(elements)}, {"text": text})
        for i, (kept, elements, text) in DENSITIES.items()
    ),
    Case("verify-lock", "verify-lock-plain", "LK-4", "a lock that agrees with itself", changed(lambda lock: None),
         {}),
    Case("verify-lock", "verify-lock-backend", "LK-3 LK-4", "another backend contradicts nothing",
         changed(set_at("backend", to="torch")), {}),
    *(
        Case("verify-lock", f"verify-lock-refused-{i}", "LK-2 LK-4", why, changed(change), "LockError")
        for i, (change, why) in BAD.items()
    ),
    *lock_mended.CASES,
]  # fmt: skip
