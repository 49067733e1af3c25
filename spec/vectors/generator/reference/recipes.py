"""Recipes [RC-4, RC-5, RC-9, RC-12]."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from generator.reference.canonical import encode
from generator.reference.decimals import canonical, check_coefficient, density, fp32, fp32_of, parse, share
from generator.reference.dialect_table import DIALECTS
from generator.reference.hashes import H
from generator.reference.masks import check_seed
from generator.reference.refused import Refused
from generator.reference.round_keys import DEFAULTS as ROUND_DEFAULTS
from generator.reference.round_keys import KEYS as ROUND_KEYS
from generator.reference.round_keys import checked
from generator.reference.settings import NUMBERS, are_well_formed, complete_settings, plain
from generator.reference.tensors import FLOATS

DEFAULTS = {
    "density": "1", "trim_density": "1", "lambda": "1", "seed": "0", "scope": "model", "boundary": "keep_all",
    "t": "0.0001", "scale": "1", "max_iter": "10", "tol": "0.00001",
} | ROUND_DEFAULTS  # fmt: skip
#: What is left out of the recipes of some methods has another meaning there.
OF_METHODS = {
    "breadcrumbs": {"density": "0.9", "gamma": "0.01", "scope": "tensor"},
    "breadcrumbs_ties": {"density": "0.9", "gamma": "0.01", "scope": "tensor"},
    "della": {"density": "0.5", "epsilon": "0.15"},
    "della_linear": {"density": "0.5", "epsilon": "0.15"},
    "pcb": {"ratio": "0.1"},
}
KEYS = {
    "ties": ("density", "lambda", "scope", "boundary"),
    "ties in a dialect": ("dialect", "density", "lambda"),
    "mean": ("lambda",),
    "task_arithmetic": ("lambda",),
    "fisher": ("lambda",),
    "dare_linear": ("density", "seed", "lambda"),
    "dare_ties": ("density", "seed", "trim_density", "lambda", "scope", "boundary"),
    "linear": (),
    "negmerge": ("lambda",),
    "ram": ("lambda",),
    "emr": ("task", "lambda"),
    "magmax": ("lambda",),
    "nearswap": ("t", "lambda"),
    "passthrough": ("scale",),
    "breadcrumbs": ("density", "gamma", "lambda", "scope"),
    "breadcrumbs_ties": ("density", "gamma", "lambda", "scope"),
    "della": ("density", "epsilon", "seed", "lambda"),
    "della_linear": ("density", "epsilon", "seed", "lambda"),
    "slerp": (),
    "nuslerp": ("lambda",),
    "multislerp": ("lambda",),
    "model_stock": ("lambda",),
    "karcher": ("max_iter", "tol"),
    "pcb": ("ratio", "lambda"),
    "arcee_fusion": ("lambda",),
} | ROUND_KEYS
ARITY = {"nearswap": 1, "passthrough": 1, "arcee_fusion": 1, "slerp": 2, "nuslerp": 2}
STEPS = re.compile("0|[1-9][0-9]{0,2}|1000", re.ASCII)
KEY = re.compile("[a-z][a-z0-9_]{0,63}")
CHOICES = {"scope": ("model", "tensor"), "boundary": ("keep_all", "lowest_index")}
SCOPES = {"breadcrumbs": ("tensor", "row"), "breadcrumbs_ties": ("tensor", "row")}


def complete(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The map of RC-4 and ST-1: every key present, decimals in canonical form."""
    if "out_dtype" in recipe:
        full = complete({key: text for key, text in recipe.items() if key != "out_dtype"})
        if recipe["out_dtype"] not in ("", *FLOATS):
            raise Refused("RecipeError")
        return full | ({"out_dtype": recipe["out_dtype"]} if recipe["out_dtype"] else {})
    if "settings" not in recipe:
        return complete_keys(recipe)
    full = complete_keys(plain(recipe))
    if recipe["settings"] != [] and "dialect" in full:
        raise Refused("RecipeError")
    settings = complete_settings(recipe["settings"], full, takes_negative(full["method"]))
    return full | ({"settings": settings} if settings else {})


def takes_negative(method: str) -> bool:
    """Whether coefficients may be negative [RC-6]."""
    try:
        return bool(check_coefficient(fp32("-1"), method))
    except Refused:
        return False


def complete_keys(recipe: Mapping[str, str]) -> dict[str, str]:
    """The map of RC-4."""
    dialect = recipe.get("dialect")
    if dialect == "canonical" and recipe.get("method") == "ties":
        return complete_keys({key: text for key, text in recipe.items() if key != "dialect"})
    method = recipe.get("method")
    row = "ties in a dialect" if method == "ties" and dialect is not None else method
    if not isinstance(row, str) or not isinstance(method, str) or row not in KEYS:
        raise Refused("RecipeError")
    if set(recipe) - {"method", *KEYS[row]}:
        raise Refused("RecipeError")
    defaults = DEFAULTS | OF_METHODS.get(method, {})
    full = {"method": method} | {key: recipe[key] if key in recipe else defaults[key] for key in KEYS[row]}
    for key, choices in (CHOICES | ({"scope": SCOPES[method]} if method in SCOPES else {})).items():
        if key in full and full[key] not in choices:
            raise Refused("RecipeError")
    if "seed" in full:
        check_seed(full["seed"])
    if not STEPS.fullmatch(full.get("max_iter", "0")):
        raise Refused("RecipeError")
    full |= decimals(full) | checked(full)
    check_together(full)
    if dialect is not None:
        options = DIALECTS.get(dialect, {"lambda": None})
        if None in options.values() or (options["lambda"] == "none" and full["lambda"] != "1"):
            raise Refused("RecipeError")
    return full


def decimals(full: Mapping[str, str]) -> dict[str, str]:
    """The decimals of a map in canonical form [RC-1 to RC-3, NS-1, BC-1, DE-1]."""
    found = {
        key: full[key]
        for key in ("density", "trim_density", "gamma", "epsilon", "lambda", "t", "scale", "tol", "ratio")
        if key in full
    }
    for key, text in found.items():
        if key in ("density", "trim_density", "ratio"):
            density(text)
        elif key in ("gamma", "epsilon", "tol"):
            share(text)
        else:
            fp32(text)
        found[key] = canonical(text)
    if found.get("t", "").startswith("-"):
        raise Refused("DecimalError")
    return found


def check_together(full: Mapping[str, str], numbers: Mapping[str, Fraction] = {}) -> None:
    """What density leaves room for [BC-1, DE-1, ST-2]."""
    exact = {key: numbers.get(key, parse(full[key])) for key in ("density", "gamma", "epsilon") if key in full}
    if "gamma" in exact and exact["density"] + exact["gamma"] > 1:
        raise Refused("RecipeError")
    if "epsilon" in exact:
        middle, half = exact["density"], exact["epsilon"]
        if middle - half <= 0 or middle + half > 1:
            raise Refused("RecipeError")


def recipe_id(full: Mapping[str, Any]) -> bytes:
    return H("recipe", encode(dict(full)))


def is_well_formed(x: Mapping[str, Any]) -> bool:
    """Whether a map may be the recipe of some method that is not known here [RC-12]."""
    texts = plain(x)
    return (
        x.get("method") not in KEYS
        and len(x) <= 64
        and all(KEY.fullmatch(key) and len(text.encode("utf-8")) <= 4096 for key, text in texts.items())
        and ("settings" not in x or are_well_formed(x["settings"]))
        and KEY.fullmatch(x.get("method", "")) is not None
        and ("distribution" in x) == ("version" in x)
    )


def is_full_recipe(x: object) -> bool:
    """A map of RC-4 with every key present and decimals in canonical form, or a well-formed one [RC-12]."""
    if not (isinstance(x, dict) and all(isinstance(text, str) for text in plain(x).values())):
        return False
    try:
        return is_well_formed(x) or complete(x) == x
    except Refused:
        return False


@dataclass(frozen=True)
class Recipe:
    """A recipe in the numbers that a merge needs.

    density: of trim, None without trim. drop: the probability with which DARE keeps an element, and DELLA on average,
    None without these. gamma: of breadcrumbs alone. epsilon: of DELLA alone. ratio: of PCB-Merging alone.
    number: fp32 bits of the key of a method by element, t or scale. steps, tolerance: of the Karcher mean.
    """

    method: str
    lambda32: int
    density: Fraction | None = None
    scope: str = "model"
    boundary: str = "keep_all"
    drop: Fraction | None = None
    seed: str = "0"
    number: int = 0
    gamma: Fraction | None = None
    epsilon: Fraction | None = None
    steps: int = 0
    tolerance: Fraction = Fraction(0)
    ratio: Fraction | None = None
    out: str = ""

    @property
    def on_theta(self) -> bool:
        """Whether models are merged, and not task vectors [MG-13]."""
        return self.method in ("linear", "passthrough", "slerp", "karcher")

    @property
    def copies(self) -> bool:
        """Whether bits are copied where all models have the same [MG-14]."""
        return self.method in ("linear", "slerp", "karcher") or (
            self.method == "passthrough" and self.number == fp32("1")
        )

    @property
    def elects(self) -> bool:
        """Whether signs are elected, and what agrees averaged."""
        return self.method in ("ties", "dare_ties", "breadcrumbs_ties", "della")


def read_recipe(spec: Mapping[str, Any], numbers: Mapping[str, Fraction] = {}) -> Recipe:
    """A recipe in numbers; those given are a tensor's, in place of its own [ST-2, ST-4]."""
    full = plain(complete(spec))
    return replace(_read_recipe(full, numbers), out=full.get("out_dtype", ""))


def _read_recipe(full: Mapping[str, str], numbers: Mapping[str, Fraction]) -> Recipe:
    exact = {key: numbers.get(key, parse(full[key])) for key in NUMBERS if key in full}
    lambda32 = fp32_of(exact.get("lambda", Fraction(1)))
    if "dialect" in full:
        raise ValueError("merges in a dialect are those of reference/dialects.py")
    check_together(full, numbers)
    if "gamma" in full:
        return Recipe(full["method"], lambda32, exact["density"], full["scope"], gamma=exact["gamma"])
    if "epsilon" in full:
        return Recipe(full["method"], lambda32, drop=exact["density"], seed=full["seed"], epsilon=exact["epsilon"])
    if "tol" in full:
        return Recipe(full["method"], lambda32, steps=int(full["max_iter"]), tolerance=exact["tol"])
    if "ratio" in full:
        return Recipe(full["method"], lambda32, ratio=density(full["ratio"]))
    drop = exact["density"] if full["method"] in ("dare_linear", "dare_ties") else None
    trim = {"ties": "density", "dare_ties": "trim_density"}.get(full["method"])
    if trim is None:
        number = fp32_of(exact.get("t", exact.get("scale", Fraction(0))))
        return Recipe(full["method"], lambda32, drop=drop, seed=full.get("seed", "0"), number=number)
    return Recipe(full["method"], lambda32, exact[trim], full["scope"], full["boundary"], drop, full.get("seed", "0"))
