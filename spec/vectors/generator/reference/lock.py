"""merge.lock [LK-2, LK-4]."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from generator.reference.contributions import (
    Outcome,
    check_manifest,
    contribution_id,
    is_integer,
    merge_contributions,
    merge_id,
)
from generator.reference.decimals import check_coefficient
from generator.reference.hashes import model_root, root_of_records, tensor_root
from generator.reference.recipes import is_full_recipe, recipe_id
from generator.reference.refused import Refused
from generator.reference.rounding import nearest_even
from generator.reference.safetensors import quote
from generator.reference.tensors import in_name_order, name_key

KEYS = {
    "format", "spec", "base", "recipe", "contributions", "merge_id", "tensors", "model_root",
    "achieved_density", "uncertified", "backend",
}  # fmt: skip
#: Methods that leave elements out.
DROP = (
    "ties",
    "dare_linear",
    "dare_ties",
    "breadcrumbs",
    "breadcrumbs_ties",
    "della",
    "della_linear",
    "pcb",
    "arcee_fusion",
)
ENTRY_KEYS = {
    1: {"id", "form", "coefficient", "elements", "tensors", "kept"},
    2: {"id", "forms", "coefficient", "elements", "tensors", "auxiliary", "kept"},
}


def achieved_density(kept: int, elements: int) -> str:
    """Six decimals, rounded to nearest even; no elements at all give 0 [LK-2]."""
    millionths = nearest_even(Fraction(kept, elements or 1) * 10**6)
    return f"{millionths // 10**6}.{millionths % 10**6:06}"


def lock_of(outcome: Outcome, backend: str) -> dict[str, Any]:
    """The lock of a merge; an entry's `tensors` is the manifest's root in hexadecimal."""
    entries = [
        {
            "id": c.id.hex(),
            "form": c.form,
            "coefficient": c.manifest["coefficient"],
            "elements": c.manifest["elements"],
            "tensors": c.manifest["tensors"].hex(),
            "kept": kept,
        }
        for c, kept in zip(outcome.contributions, outcome.kept, strict=True)
    ]
    return {
        "format": 1,
        "spec": 1,
        "base": outcome.base_root.hex(),
        "recipe": outcome.recipe,
        "contributions": sorted(entries, key=lambda entry: str(entry["id"])),
        "merge_id": outcome.merge_id.hex(),
        "tensors": {
            name: {"dtype": t.dtype, "shape": list(t.shape), "root": tensor_root(t).hex()}
            for name, t in in_name_order(outcome.merged.tensors)
        },
        "model_root": model_root(outcome.merged.tensors).hex(),
        "achieved_density": achieved_density(
            sum(outcome.kept), sum(c.manifest["elements"] for c in outcome.contributions)
        ),
        "uncertified": outcome.merged.uncertified,
        "backend": backend,
    }


def make_lock(spec: Any) -> dict[str, Any]:
    return lock_of(merge_contributions(spec), spec["backend"])


def text_of(lock: Any, indent: str = "") -> str:
    """The text of a value of a lock: two spaces of indentation, every item on a line of its own [LK-2]."""
    inner = indent + "  "
    if isinstance(lock, str):
        return quote(lock)
    if isinstance(lock, int):
        return str(lock)
    if isinstance(lock, list):
        items, (first, last) = [text_of(item, inner) for item in lock], "[]"
    else:
        items, (first, last) = [f"{quote(key)}: {text_of(item, inner)}" for key, item in lock.items()], "{}"
    if not items:
        return first + last
    return first + "\n" + ",\n".join(inner + item for item in items) + "\n" + indent + last


def is_hex_root(x: Any) -> bool:
    """64 lower-case hexadecimal digits [EN-4]."""
    return isinstance(x, str) and len(x) == 64 and set(x) <= set("0123456789abcdef")


def is_count(x: Any) -> bool:
    return is_integer(x) and x >= 0


def leaves_out(recipe: Any) -> bool:
    """Whether some elements may not count [LK-4, SC-6]."""
    return recipe["method"] in DROP or recipe.get("select_topk", "1") != "1"


def is_usable(entry: Any, recipe: Any) -> bool:
    """`kept` and the coefficient of a contribution suit the method; refuses what does not [LK-4, RC-6]."""
    check_coefficient(int(entry["coefficient"], 16), recipe["method"])
    kept, elements = entry["kept"], entry["elements"]
    return is_count(kept) and kept <= elements and (leaves_out(recipe) or kept == elements)


def manifest_of(entry: Any, base: str) -> dict[str, Any]:
    """The manifest of a contribution of a lock; in format 2 it is the simplest that says the same [CT-2]."""
    common = {
        "base": bytes.fromhex(base),
        "coefficient": entry["coefficient"],
        "elements": entry["elements"],
        "tensors": bytes.fromhex(entry["tensors"]),
    }
    if "form" in entry:
        return {**common, "form": entry["form"], "format": 1}
    forms, auxiliary = entry["forms"], entry["auxiliary"]
    if forms in (["finetuned"], ["task_vector"]) and auxiliary == {}:
        return {**common, "form": forms[0], "format": 1}
    kinds = {k: {**of, "root": bytes.fromhex(of["root"])} for k, of in auxiliary.items()}
    return {**common, "forms": forms, "auxiliary": kinds, "format": 2}


def follows(entry: Any, base: str) -> bool:
    """Whether a contribution's id follows from its manifest [LK-4]."""
    return contribution_id(check_manifest(manifest_of(entry, base))).hex() == entry["id"]


def format_of(entries: list[Any], base: str) -> int:
    """The format of a lock of these contributions [LK-2]."""
    return max(int(manifest_of(entry, base)["format"]) for entry in entries)


def density_of(entries: list[Any]) -> str:
    return achieved_density(sum(e["kept"] for e in entries), sum(e["elements"] for e in entries))


def agrees(lock: Any) -> bool:
    """LK-2 and LK-4."""
    entries = lock["contributions"]
    ids = [entry["id"] for entry in entries]
    records = [
        (name, t["dtype"], t["shape"], bytes.fromhex(t["root"]))
        for name, t in sorted(lock["tensors"].items(), key=lambda item: name_key(item[0]))
    ]
    roots = [lock["base"], lock["merge_id"], lock["model_root"], *(t["root"] for t in lock["tensors"].values())]
    roots += [entry[key] for entry in entries for key in ("id", "tensors")]
    roots += [of["root"] for entry in entries for of in entry.get("auxiliary", {}).values()]
    merge = merge_id(bytes.fromhex(lock["base"]), recipe_id(lock["recipe"]), [bytes.fromhex(i) for i in ids])
    return (
        is_integer(lock["format"])
        and lock["format"] in ENTRY_KEYS
        and lock["spec"] == 1
        and is_integer(lock["spec"])
        and is_full_recipe(lock["recipe"])
        and is_count(lock["uncertified"])
        and isinstance(lock["backend"], str)
        and all(map(is_hex_root, roots))
        and len(entries) > 0
        and all(set(entry) == ENTRY_KEYS[lock["format"]] and follows(entry, lock["base"]) for entry in entries)
        and format_of(entries, lock["base"]) == lock["format"]
        and all(is_usable(entry, lock["recipe"]) for entry in entries)
        and sorted(set(ids)) == ids
        and merge.hex() == lock["merge_id"]
        and root_of_records(records).hex() == lock["model_root"]
        and density_of(entries) == lock["achieved_density"]
    )


def refuse_constant(text: str) -> None:
    raise ValueError(text)


def read_lock(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except ValueError:
        raise Refused("LockError") from None


def check_lock(lock: Any) -> None:
    """A lock that agrees with itself, or LockError."""
    try:
        ok = set(lock) == KEYS and agrees(lock)
    except (KeyError, TypeError, ValueError, Refused):
        ok = False
    if not ok:
        raise Refused("LockError")
