"""Random masks: the words of counters, keys, and what is kept."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from generator.cases import Case
from generator.checks import mask
from generator.reference.masks import WORD, philox

Json = Any
ROOT, OTHER = "00" * 32, "".join(f"{i:02x}" for i in range(32))
LARGEST = str(2**64 - 1)
FEW = list(range(12))
#: 2^-32 and the decimals beside it.
LEAST = "0.00000000023283064365386962890625"

#: Published in kat_vectors of Random123: counter, key, words.
KNOWN = [
    ([0] * 4, (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([WORD] * 4, (WORD, WORD), [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        (0xA4093822, 0x299F31D0),
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]
for counter, key, words in KNOWN:
    if philox(key, counter) != words:
        raise ValueError(f"philox of {key}, {counter} is not {words}")

WORDS: list[tuple[str, str, int, Json, str]] = [
    ("zero", "00" * 8, 0, {"words": ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]}, "published: all zero"),
    ("one", "00" * 8, 1, None, "the next counter"),
    ("key-first", "00000001" + "00000000", 0, None, "1 as the first word of the key"),
    ("key-second", "00000000" + "00000001", 0, None, "1 as the second word of the key"),
    ("key-largest", "ff" * 8, 0, None, "the words of the key wrap around"),
    ("low-word", "0123456789abcdef", 2**32 - 1, None, "the greatest low word of the counter"),
    ("high-word", "0123456789abcdef", 2**32, None, "1 as the second word of the counter, which is not the third"),
    ("large", "0123456789abcdef", 2**61 - 1, None, "the counter of the largest tensors"),
]

MASKS: list[tuple[str, str, str, str, list[int], str, Json, str]] = [
    ("plain", "0", ROOT, "w", FEW, "0.5", None, "half of them"),
    ("seed-one", "1", ROOT, "w", FEW, "0.5", None, "another seed, another mask"),
    ("seed-ten", "10", ROOT, "w", FEW, "0.5", None, "a seed is text in the key"),
    ("seed-largest", LARGEST, ROOT, "w", FEW, "0.5", None, "the greatest seed"),
    ("root", "0", OTHER, "w", FEW, "0.5", None, "another root"),
    ("name", "0", ROOT, "v", FEW, "0.5", None, "another tensor"),
    ("name-empty", "0", ROOT, "", FEW, "0.5", None, "the empty name"),
    ("name-unicode", "0", ROOT, "\u00e9\U0001f600", FEW, "0.5", None, "a name is UTF-8"),
    ("far", "7", OTHER, "w", [2**20 - 1, 2**20, 2**32 + 1, 2**34 - 1, 2**34, 2**50 + 3], "0.5", None,
     "positions whose counters have one word and two"),
    ("all", "0", ROOT, "w", FEW, "1", {"kept": FEW}, "the bound is 2^32: every word is below"),
    ("almost-all", "0", ROOT, "w", FEW, "0." + "9" * 60, {"kept": FEW}, "the bound is 2^32 - 1, the product exact"),
    ("none", "0", ROOT, "w", FEW, "0." + "0" * 59 + "1", {"kept": []}, "the bound is 0"),
    ("least", "0", ROOT, "w", FEW, LEAST, {"kept": []}, "the bound is 1: a word of 0 alone is kept"),
]  # fmt: skip


def bounds() -> list[Case]:
    """Densities by which an element is just kept, or just not: floor(2^32 p) is its word plus one, or its word."""
    asked = {"seed": "3", "root": OTHER, "tensor": "w", "positions": [5], "density": "1"}
    (hexadecimal,) = mask(asked)["words"]
    word = int(hexadecimal, 16)
    cases = []
    for i, bound, kept, why in (
        ("at", Fraction(word, 2**32), [], "the bound is the word: not kept"),
        ("above", Fraction(word + 1, 2**32), [5], "the bound is one more: kept"),
        ("below", Fraction(word + 1, 2**32) - Fraction(1, 10**50), [], "less by 1e-50: the bound is the word again"),
    ):
        inputs = {**asked, "density": decimal(bound)}
        cases.append(Case("mask", f"mask-bound-{i}", "RM-3", why, inputs, {"kept": kept}))
    return cases


def decimal(x: Fraction) -> str:
    """The digits of a fraction that has at most 60 of them."""
    digits = x * 10**60
    if digits.denominator != 1:
        raise ValueError(f"{x} has more than 60 digits")
    return f"0.{digits.numerator:060}".rstrip("0")


CASES = [
    *(
        Case("random-words", f"random-words-{i}", "RM-2", why, {"key": key, "counter": str(counter)}, says)
        for i, key, counter, says, why in WORDS
    ),
    *(
        Case("mask", f"mask-{i}", "RM-1 RM-2 RM-3", why,
             {"seed": seed, "root": root, "tensor": tensor, "positions": positions, "density": density}, says)
        for i, seed, root, tensor, positions, density, says, why in MASKS
    ),
    *bounds(),
]  # fmt: skip
