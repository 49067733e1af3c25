"""Locks that follow from what they say but for one thing, and the texts that a lock may have."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from generator.cases import Case
from generator.reference.contributions import contribution_id, merge_id
from generator.reference.lock import density_of, make_lock, manifest_of, text_of
from generator.reference.recipes import recipe_id
from generator.topics.merges import by_id, mean, stored, task_arithmetic, ties, tuned
from generator.writing import f32, integers

Json = Any
Change = Callable[[Json], object]
BASE = {"a": f32(1, 2, 3), "b": f32(0, shape=[]), 'q"\\\n\x01/\x7f\u00e9\U0001f600': integers("U8", 7, 8, shape=[2, 1])}
PAIR = [tuned({"a": f32(2, 2, 5)}), stored({"a": f32(1, 1, 0), "b": f32(4, shape=[])}, "3")]
SIGNED = [stored({"a": f32(1, 1, 0)}, "-1")]


def merged(contributions: list[Json], recipe: Json, base: Json = BASE) -> Json:
    return {"base": base, "recipe": recipe, "contributions": by_id(base, contributions), "backend": "numpy"}


TIES, MEAN = merged(PAIR, ties(density="0.5")), merged(PAIR, mean())
ARITHMETIC, NEGATIVE = merged(PAIR, task_arithmetic()), merged(SIGNED, task_arithmetic())


def mend(lock: Json) -> None:
    """Let ids, their order, the merge id and the density follow from the rest [LK-4]."""
    entries = lock["contributions"]
    for entry in entries:
        entry["id"] = contribution_id(manifest_of(entry, lock["base"])).hex()
    entries.sort(key=lambda entry: entry["id"])
    ids = [bytes.fromhex(entry["id"]) for entry in entries]
    lock["merge_id"] = merge_id(bytes.fromhex(lock["base"]), recipe_id(lock["recipe"]), ids).hex()
    lock["achieved_density"] = density_of(entries)


def mended(source: Json, change: Change) -> Json:
    """A lock with a change, mended."""
    lock = copy.deepcopy(make_lock(source))
    change(lock)
    mend(lock)
    return lock


def broken(source: Json, change: Change) -> Json:
    """A lock with a change."""
    lock = copy.deepcopy(make_lock(source))
    change(lock)
    return lock


def entry_with(**values: Any) -> Change:
    """Other values in the first contribution; a function makes them of the entry."""

    def change(lock: Json) -> None:
        entry = lock["contributions"][0]
        entry.update({key: value(entry) if callable(value) else value for key, value in values.items()})

    return change


def upper(*path: Any) -> Change:
    """Upper-case digits at a place."""

    def change(lock: Json) -> None:
        for key in path[:-1]:
            lock = lock[key]
        lock[path[-1]] = lock[path[-1]].upper()

    return change


def with_value(key: str, value: Any) -> Change:
    return lambda lock: lock.update({key: value})


def over_and_under(lock: Json) -> None:
    first, second = lock["contributions"]
    first["kept"], second["kept"] = first["elements"] + 1, 0


def second(*changes: Change) -> Change:
    """The lock in format 2: factors and auxiliary tensors first, then something plain; and more changes."""

    def change(lock: Json) -> None:
        lock["format"], first = 2, True
        for entry in lock["contributions"]:
            kept, form = entry.pop("kept"), entry.pop("form")
            entry["forms"], entry["auxiliary"] = ["finetuned", "low_rank"] if first else [form], {}
            if first:
                entry["auxiliary"]["fisher"] = {"elements": entry["elements"], "root": "ab" * 32}
            entry["kept"], first = kept, False
        for more in changes:
            more(lock)

    return change


def plain_forms(lock: Json) -> None:
    for entry in lock["contributions"]:
        entry["forms"], entry["auxiliary"] = ["finetuned"], {}


def kind_with(**values: Any) -> Change:
    return lambda lock: lock["contributions"][0]["auxiliary"]["fisher"].update(values)


def shorter(key: str) -> Change:
    return lambda lock: lock["contributions"][0].pop(key)


SECOND: dict[str, tuple[Change, str]] = {
    "format-2-plain": (plain_forms, "format 2, and format 1 says the same"),
    "format-2-as-1": (with_value("format", 1), "entries of format 2 in a lock of format 1"),
    "forms-order": (entry_with(forms=["low_rank", "finetuned"]), "forms that do not ascend"),
    "forms-none": (entry_with(forms=[]), "no form"),
    "forms-string": (entry_with(forms="low_rank"), "a string for an array"),
    "forms-unknown": (entry_with(forms=["lora"]), "an unknown form"),
    "forms-joined": (entry_with(forms=["finetuned+low_rank"]), "two forms in one string"),
    "form-and-forms": (entry_with(form="finetuned"), "the key of format 1 too"),
    "kind-unknown": (entry_with(auxiliary={"hessian": {"elements": 1, "root": "ab" * 32}}), "an unknown kind"),
    "kind-key": (kind_with(rows=1), "a key too many in a kind"),
    "kind-elements": (kind_with(elements=-1), "a negative number of elements in a kind"),
}
BROKEN_SECOND: dict[str, tuple[Change, str]] = {
    "no-auxiliary": (shorter("auxiliary"), "a key is missing"),
    "no-forms": (shorter("forms"), "the forms are missing"),
    "kind-root": (kind_with(root="AB" * 32), "upper-case digits in the root of a kind"),
    "kind-other-root": (kind_with(root="cd" * 32), "another root of a kind: the id does not follow"),
    "other-forms": (entry_with(forms=["low_rank"]), "other forms: the id does not follow"),
}


def in_second(changes: dict[str, tuple[Change, str]]) -> dict[str, tuple[Json, str]]:
    return {i: (mended(TIES, second(change)), why) for i, (change, why) in changes.items()}


def broken_in_second(change: Change) -> Json:
    lock = mended(TIES, second())
    change(lock)
    return lock


REFUSED: dict[str, tuple[Json, str]] = {
    "kept-above": (mended(TIES, entry_with(kept=lambda e: e["elements"] + 1)), "more kept than elements"),
    "kept-above-balanced": (mended(TIES, over_and_under), "more kept than elements in one of two"),
    "kept-negative": (mended(TIES, entry_with(kept=-1)), "a negative number of kept elements"),
    "kept-mean": (mended(MEAN, entry_with(kept=lambda e: e["elements"] - 1)), "the mean keeps every element"),
    "kept-task-arithmetic": (mended(ARITHMETIC, entry_with(kept=0)), "and so does task arithmetic"),
    "no-contributions": (mended(TIES, with_value("contributions", [])), "no contributions"),
    "negative-ties": (mended(TIES, entry_with(coefficient="bf800000")), "a negative coefficient in TIES"),
    "negative-mean": (mended(MEAN, entry_with(coefficient="bf800000")), "a negative coefficient in the mean"),
    "coefficient-infinity": (mended(TIES, entry_with(coefficient="7f800000")), "an infinite coefficient"),
    "coefficient-minus-zero": (mended(ARITHMETIC, entry_with(coefficient="80000000")), "a coefficient of -0"),
    "coefficient-upper-case": (mended(NEGATIVE, upper("contributions", 0, "coefficient")), "upper-case digits"),
    "form-unknown": (mended(TIES, entry_with(form="lora")), "an unknown form"),
    "elements-negative": (mended(TIES, entry_with(elements=-1, kept=-1)), "a negative number of elements"),
    "uncertified-negative": (broken(TIES, with_value("uncertified", -1)), "a negative number"),
    "uncertified-string": (broken(TIES, with_value("uncertified", "0")), "a string for a number"),
    "uncertified-false": (broken(TIES, with_value("uncertified", False)), "a boolean is no number"),
    "uncertified-null": (broken(TIES, with_value("uncertified", None)), "null for a number"),
    "backend-number": (broken(TIES, with_value("backend", 1)), "a backend that is no string"),
    "backend-null": (broken(TIES, with_value("backend", None)), "no backend"),
    "backend-array": (broken(TIES, with_value("backend", ["numpy"])), "a list of backends"),
    "density-number": (broken(TIES, with_value("achieved_density", 1)), "a density that is no string"),
    "upper-case-base": (broken(TIES, upper("base")), "upper-case digits in the base"),
    "upper-case-id": (broken(NEGATIVE, upper("contributions", 0, "id")), "in an id"),
    "upper-case-tensors": (broken(NEGATIVE, upper("contributions", 0, "tensors")), "in the root of a contribution"),
    "upper-case-merge-id": (broken(TIES, upper("merge_id")), "in the merge id"),
    "upper-case-root": (broken(TIES, upper("tensors", "a", "root")), "in the root of a tensor"),
    "upper-case-model-root": (broken(TIES, upper("model_root")), "in the model root"),
    "array": ([], "no object"),
    **in_second(SECOND),
    **{i: (broken_in_second(change), why) for i, (change, why) in BROKEN_SECOND.items()},
}  # fmt: skip

ACCEPTED: dict[str, tuple[Json, str]] = {
    "mended": (mended(TIES, lambda lock: None), "mending alone changes nothing"),
    "kept-none": (mended(TIES, entry_with(kept=0)), "kept may be any number up to elements where there is trim"),
    "kept-all": (mended(TIES, entry_with(kept=lambda e: e["elements"])), "all elements kept"),
    "negative": (make_lock(NEGATIVE), "a negative coefficient in task arithmetic"),
    "uncertified": (broken(TIES, with_value("uncertified", 3)), "no clause says from what uncertified would follow"),
    "format-2": (mended(TIES, second()), "factors and auxiliary tensors: format 2"),
    "format-2-gram": (
        mended(TIES, second(entry_with(auxiliary={"gram": {"elements": 0, "root": "cd" * 32}}, forms=["low_rank"]))),
        "another kind, factors alone",
    ),
}


def reversed_keys(value: Json) -> Json:
    """The same JSON with the keys of every object in the opposite order."""
    if isinstance(value, list):
        return [reversed_keys(item) for item in value]
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return value


LOCK = make_lock(TIES)
MANY = {"elements": 2**63, "kept": 2}
TEXTS: list[tuple[str, str, Json, str]] = [
    ("as-written", text_of(LOCK) + "\n", {}, "the text of LK-2"),
    ("compact", json.dumps(LOCK, ensure_ascii=False, separators=(",", ":")), {}, "without white space"),
    ("escaped", json.dumps(LOCK, ensure_ascii=True, indent=1), {}, "other escapes, other indentation"),
    ("other-order", json.dumps(reversed_keys(LOCK), ensure_ascii=False), {}, "keys in another order"),
    ("white-space", f"\r\n\t {text_of(LOCK)} \n\n", {}, "JSON's white space around it"),
    ("elements-most", text_of(mended(TIES, entry_with(**{**MANY, "elements": 2**63 - 1}))), {}, "2^63 - 1 elements"),
    ("format-2", text_of(mended(TIES, second())) + "\n", {}, "the text of format 2"),
    ("format-2-other-order", json.dumps(reversed_keys(mended(TIES, second()))), {}, "its keys in another order"),
    ("refused-elements-2-63", text_of(mended(TIES, entry_with(**MANY))), "LockError", "2^63 elements"),
    ("refused-empty", "", "LockError", "no JSON at all"),
    ("refused-two", text_of(LOCK) * 2, "LockError", "two objects"),
    ("refused-nan", text_of(LOCK).replace('"uncertified": 0', '"uncertified": NaN'), "LockError", "NaN is not JSON"),
]  # fmt: skip

CASES = [
    Case("lock-text", "lock-text-ties", "LK-2 EN-17", "the whole file: names as in EN-17, a size on each line", TIES),
    Case("lock-text", "lock-text-mean", "LK-2", "another recipe, one contribution", merged(PAIR[:1], mean("-0.50"))),
    *(
        Case("verify-lock", f"verify-lock-{i}", "LK-2 LK-4", why, {"lock": lock}, {})
        for i, (lock, why) in ACCEPTED.items()
    ),
    *(
        Case("verify-lock", f"verify-lock-refused-{i}", "LK-2 LK-4", why, {"lock": lock}, "LockError")
        for i, (lock, why) in REFUSED.items()
    ),
    *(
        Case("verify-lock", f"verify-lock-text-{i}", "LK-2 LK-4", why, {"text": text}, says)
        for i, text, says, why in TEXTS
    ),
]  # fmt: skip
