"""Recipes as a genesis has them, of methods that need not be known: from outside, or of a later specification."""

from __future__ import annotations

from typing import Any

from generator.cases import Case

Json = Any
FROM_OUTSIDE = {"method": "swirl", "distribution": "swirl-merge", "version": "1.2.0"}
LONG = "a" * 64
MAPS: list[tuple[str, Json, Json, str]] = [
    ("outside", {**FROM_OUTSIDE, "angle": "0.5"}, None, "a method from outside, with a key of its own"),
    ("outside-other-version", {**FROM_OUTSIDE, "angle": "0.5", "version": "1.2.1"}, None, "the version is in the id"),
    ("outside-other-distribution", {**FROM_OUTSIDE, "angle": "0.5", "distribution": "swirl"}, None,
     "and so is the distribution"),
    ("unknown", {"method": "later", "lambda": "1.0"}, None, "of another version of this specification, taken as it is"),
    ("most-keys", {"method": "later", **{f"k{i}": "" for i in range(63)}}, None, "64 keys, empty texts"),
    ("longest", {"method": LONG, LONG: "a" * 4096}, None, "64 bytes of method and key, 4096 of text"),
    ("known", {"method": "dare_linear", "density": "1", "seed": "0", "lambda": "1"}, None,
     "a known method, complete"),
    ("known-incomplete", {"method": "dare_linear", "density": "1", "seed": "0"}, "RecipeError", "a key is missing"),
    ("known-of-outside", {"method": "mean", "lambda": "1", "distribution": "d", "version": "1"}, "RecipeError",
     "names of this specification are not from outside"),
    ("too-many-keys", {"method": "later", **{f"k{i}": "" for i in range(64)}}, "RecipeError", "65 keys"),
    ("key-too-long", {"method": "later", LONG + "a": "1"}, "RecipeError", "65 bytes of key"),
    ("key-upper-case", {"method": "later", "Angle": "1"}, "RecipeError", "an upper-case letter"),
    ("key-digit", {"method": "later", "2d": "1"}, "RecipeError", "a digit in front"),
    ("key-line-feed", {"method": "later", "k\n": "1"}, "RecipeError", "a line feed behind a key"),
    ("key-accent", {"method": "later", "\u00e9": "1"}, "RecipeError", "letters of ASCII"),
    ("text-too-long", {"method": "later", "k": "\u00e9" * 2048 + "a"}, "RecipeError", "4097 bytes of text"),
    ("method-dash", {"method": "la-ter"}, "RecipeError", "a method is of the form of a key"),
    ("no-method", {"lambda": "1"}, "RecipeError", "no method"),
    ("distribution-alone", {"method": "later", "distribution": "d"}, "RecipeError", "no version"),
    ("version-alone", {"method": "later", "version": "1"}, "RecipeError", "no distribution"),
]  # fmt: skip

CASES = [Case("recipe-map", f"recipe-map-{i}", "RC-11 RC-12", why, {"recipe": x}, says) for i, x, says, why in MAPS]
