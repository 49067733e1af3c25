"""Task vectors: one rounding, F64 through two, what is +0, what is refused and where."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.rounding import is_finite
from generator.reference.tensors import FLOATS, SIZES
from generator.topics import patterns
from generator.writing import bf16, f16, f32, f64, integers, spec, tensor

Json = Any
TINY64 = "2^-1074"


def at(rule: str, tensor: str = "w", index: list[int] | None = None) -> Json:
    place = {} if index is None else {"index": index}
    return {"rule": rule, "tensor": tensor, **place}


# id, base's w, fine-tune's w, tau (or the error), clauses, why
PAIRS: list[tuple[str, Json, Json, Json, str, str]] = [
    ("exact", f32(1, 2, -3), f32("1.5", 2, 3), f32("0.5", 0, 6), "TV-2", "differences that are fp32 numbers"),
    ("one-rounding", f32(-1, -1, 1), f32("2^-24", "2^-24+2^-47", "-2^-25"), f32(1, "1+2^-23", -1), "TV-2",
     "1 + 2^-24 is halfway, to even; a little more goes up; -1 - 2^-25 is below halfway"),
    ("sum-of-far-numbers", f32("-2^100"), f32("2^-149"), f32("2^100"), "TV-2", "the exact difference has 249 bits"),
    ("cancellation", f32("1+2^-23"), f32("1+2^-22"), f32("2^-23"), "TV-2",
     "nothing is lost where close numbers cancel"),
    ("subnormal", f32("2^-126"), f32("2^-126+2^-149"), f32("2^-149"), "TV-2", "a difference that is subnormal"),
    ("subnormal-inputs", f32("2^-149", "-tiny"), f32("2^-148+2^-149", "tiny"), f32("2^-148", "2^-148"), "TV-2",
     "subnormals are numbers like others"),
    ("f16-f16", f16(1, "max", "tiny"), f16("1+2^-10", "-max", "-tiny"), f32("2^-10", -131008, "-2^-23"), "TV-2",
     "the difference of two F16 numbers is an fp32 number, beyond the range of F16 as well"),
    ("bf16-bf16", bf16("2^60", 1), bf16(1, "2^-30"), f32("-2^60", -1), "TV-2",
     "the difference of two BF16 numbers is rounded"),
    ("bf16-f32", bf16(1, "1.5"), f32("1+2^-23", "1.5"), f32("2^-23", 0), "TV-2", "a BF16 base, an F32 fine-tune"),
    ("f32-bf16", f32("1+2^-23", "0.5"), bf16(1, "-0.5"), f32("-2^-23", -1), "TV-2", "an F32 base, a BF16 fine-tune"),
    ("f16-bf16", f16("1+2^-10"), bf16("2^-20"), f32("2^-20-1-2^-10"), "TV-2", "an F16 base, a BF16 fine-tune"),
    ("bf16-f16", bf16("2^30"), f16("2^-24"), f32("-2^30"), "TV-2", "a BF16 base, an F16 fine-tune"),
    ("f64-double-rounding", f64(-1), f64("2^-24+2^-60"), f32(1), "TV-2",
     "RN64 drops 2^-60 and leaves a tie for RN32; one rounding would give 1 + 2^-23"),
    ("f64-f32", f32(-1), f64("2^-24+2^-60"), f32(1), "TV-2",
     "an F64 fine-tune alone is enough for the two roundings"),
    ("f32-f64", f64("-2^-24-2^-60"), f32(1), f32(1), "TV-2", "an F64 base alone is enough for the two roundings"),
    ("f32-single-rounding", f32("-2^-24-2^-47"), f32(1), f32("1+2^-23"), "TV-2", "without F64 there is one rounding"),
    ("f64-underflow", f64(0, TINY64), f64("-2^-200", 0), f32(0, 0), "TV-2 TV-6",
     "a difference that underflows in RN32 is +0, whatever its sign"),
    ("f64-subnormal", f64(0), f64("2^-149+2^-151"), f32("2^-149"), "TV-2", "RN32 to a subnormal"),
    ("f64-half-least", f64(0, 0), f64("2^-150", "2^-150+2^-200"), f32(0, "2^-149"), "TV-2",
     "half the least subnormal is a tie, to even; a little more is not"),
    ("f64-large", f64("max"), f64("max"), f32(0), "TV-2 TV-3", "large and equal"),
    ("zero-signs", f32("-0", 0, "-0", 1), f32(0, "-0", "-0", 1), f32(0, 0, 0, 0), "TV-6",
     "every zero is +0: 0 - (-0), -0 - 0, -0 - (-0), 1 - 1"),
    ("nan-unchanged", f32("nan", "0x7fa00001", "0xffffffff"), f32("nan", "0x7fa00001", "0xffffffff"), f32(0, 0, 0),
     "TV-3", "NaN with the same bits, quiet and signalling"),
    ("inf-unchanged", f32("inf", "-inf"), f32("inf", "-inf"), f32(0, 0), "TV-3", "unchanged infinities"),
    ("inf-across-dtypes", f16("inf", "-inf"), f32("inf", "-inf"), f32(0, 0), "TV-3", "infinities in two dtypes"),
    ("inf-across-f64", f64("inf", "-inf"), bf16("inf", "-inf"), f32(0, 0), "TV-3", "infinities of F64 and BF16"),
    ("nan-changed", f32(0, "nan"), f32(0, "0x7fc00001"), at("NonFinite", index=[1]), "TV-4", "another NaN"),
    ("nan-across-dtypes", bf16("nan"), f32("nan"), at("NonFinite", index=[0]), "TV-3 TV-4", "a NaN in two dtypes"),
    ("nan-sign", f32("nan"), f32("0xffc00000"), at("NonFinite", index=[0]), "TV-3 TV-4", "a NaN of another sign"),
    ("nan-in-base", f32("nan"), f32(1), at("NonFinite", index=[0]), "TV-4", "a NaN in the base alone"),
    ("nan-in-finetuned", f32(1), f32("nan"), at("NonFinite", index=[0]), "TV-4", "a NaN in the fine-tune alone"),
    ("inf-in-base", f32(1, "inf"), f32(1, 2), at("NonFinite", index=[1]), "TV-4", "an infinity in the base alone"),
    ("inf-in-finetuned", f16(1), f16("inf"), at("NonFinite", index=[0]), "TV-4",
     "an infinity in the fine-tune alone"),
    ("inf-opposite", f32("inf"), f32("-inf"), at("NonFinite", index=[0]), "TV-4", "opposite infinities"),
    ("overflow", f32(0, "-max"), f32(0, "max"), at("NonFinite", index=[1]), "TV-4",
     "finite numbers, a difference too large"),
    ("overflow-tie", f32("-2^103"), f32("max"), at("NonFinite", index=[0]), "TV-4",
     "halfway above the largest: overflow"),
    ("no-overflow", f32("-2^102"), f32("max"), f32("max"), "TV-2",
     "less than halfway above the largest: no overflow"),
    ("f64-overflow", f64(0), f64("2^128"), at("NonFinite", index=[0]), "TV-4", "an F64 number too large for RN32"),
    ("f64-overflow-rn64", f64("-max"), f64("max"), at("NonFinite", index=[0]), "TV-4", "too large for RN64 as well"),
    ("index-matrix", f32(*[0] * 6, shape=[2, 3]), f32(0, 0, 0, 0, "nan", "nan", shape=[2, 3]),
     at("NonFinite", index=[1, 1]), "TV-4 TV-9", "C order: element 4 of [2, 3] is [1, 1]; the first is named"),
    ("index-scalar", f32(0, shape=[]), f32("inf", shape=[]), at("NonFinite", index=[]), "TV-4 TV-9",
     "the element of a 0-d tensor is []"),
    ("scalar", f32(1, shape=[]), f32(3, shape=[]), f32(2, shape=[]), "TV-2", "a 0-d tensor"),
    ("zero-size", f32(shape=[0, 3]), bf16(shape=[0, 3]), f32(shape=[0, 3]), "TV-2", "no elements"),
    ("shape", f32(1, 2), f32(1, 2, shape=[1, 2]), at("ShapeError"), "TV-1", "as many elements in another shape"),
    ("shape-scalar", f32(1), f32(1, shape=[]), at("ShapeError"), "TV-1", "[1] against []"),
    ("shape-zero-size", f32(shape=[0]), f32(shape=[0, 1]), at("ShapeError"), "TV-1", "two shapes without elements"),
    ("integers-changed", integers("I64", 1, -2), integers("I64", 1, -3), at("IntegerTensorChanged"), "TV-7",
     "changed bytes"),
    ("integers-shape", integers("I64", 1, 2), integers("I64", 1, 2, shape=[2, 1]), at("ShapeError"), "TV-1 TV-7",
     "shapes are judged before TV-7"),
    ("float-for-integer-shape", integers("I32", 1), f32(1, shape=[]), at("ShapeError"), "TV-1 TV-7",
     "a float tensor for an integer one, of another shape: shapes are judged first"),
    ("integer-for-float-shape", f32(0), integers("I32", 0, 0), at("ShapeError"), "TV-1 TV-7",
     "an integer tensor for a float one, of another shape: shapes are judged first"),
    ("integers-dtype", integers("I64", 1), integers("U64", 1), at("IntegerTensorChanged"), "TV-7", "another dtype"),
    ("bool-changed", integers("BOOL", 1), integers("BOOL", 0), at("IntegerTensorChanged"), "TV-7",
     "a changed boolean"),
    ("float-for-integer", integers("I32", 1), f32(1), at("DtypeError"), "TV-7", "a float tensor for an integer one"),
    ("integer-for-float", f32(0), integers("I32", 0), at("DtypeError"), "TV-7", "an integer tensor for a float one"),
    ("float8-changed", spec("F8_E4M3", [2], b"\x38\x39"), spec("F8_E4M3", [2], b"\x38\x3a"),
     at("IntegerTensorChanged"), "EN-12 TV-7", "numbers of eight bits are not merged, and must be equal"),
    ("float8-zero", spec("F8_E4M3", [1], b"\x00"), spec("F8_E4M3", [1], b"\x80"), at("IntegerTensorChanged"),
     "EN-12 TV-7", "equal numbers are not equal bytes"),
    ("float8-dtype", spec("F8_E4M3", [1], b"\x00"), spec("F8_E5M2", [1], b"\x00"), at("IntegerTensorChanged"),
     "EN-12 TV-7", "another dtype of eight bits"),
    ("float8-for-float", bf16(1), spec("F8_E4M3", [1], b"\x38"), at("DtypeError"), "EN-12 TV-7",
     "a number of eight bits for one that is merged"),
    ("float4-changed", spec("F4", [4], b"\x12\x34"), spec("F4", [4], b"\x12\x35"), at("IntegerTensorChanged"),
     "EN-12 TV-7", "packed numbers that differ"),
]  # fmt: skip

#: A tensor of each dtype whose numbers are not whole and that is not merged.
UNMERGED = {
    dtype.lower(): spec(dtype, [4], bytes.fromhex(data))
    for dtype, data in {
        **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), "017f80ff"),
        "F6_E2M3": "0180ff",
        "F6_E3M2": "0180ff",
        "F4": "0ff1",
        "C64": "0000c07f" * 8,
    }.items()
}

# id, base, fine-tune, options, tau or error, clauses, why
SETS: list[tuple[str, Json, Json, Json, Json, str, str]] = [
    ("missing", {"a": f32(1), "b": f32(2)}, {"a": f32(1)}, {}, at("NamesError", "b"), "TV-8", "a name is missing"),
    ("extra", {"a": f32(1)}, {"a": f32(1), "b": f32(2)}, {}, at("NamesError", "b"), "TV-8", "a name too many"),
    ("integers-equal", {"w": f32(1), "n": integers("I64", 1, -2)}, {"w": f32(2), "n": integers("I64", 1, -2)}, {},
     {"w": f32(1)}, "TV-7", "an equal tensor that is not float is no part of the task vector"),
    ("unmerged-equal", {"w": f32(1), **UNMERGED}, {"w": f32(2), **UNMERGED}, {}, {"w": f32(1)}, "EN-12 TV-7",
     "equal tensors of the dtypes that are not merged, NaN among them, are no part of it either"),
    ("missing-integer", {"a": f32(1), "b": integers("I8", 1)}, {"a": f32(1)}, {}, at("NamesError", "b"), "TV-8",
     "a missing tensor that is not float"),
    ("name-normalised", {"\u00e9": f32(1)}, {"e\u0301": f32(1)}, {}, "NamesError", "TV-8",
     "names are never normalised"),
    ("left-out", {"a": f32(1), "b": f32(2)}, {"a": f32(3)}, {"leave": ["b"]}, {"a": f32(2)}, "TV-8 CT-8",
     "a name missing that was left out"),
    ("left-out-extra", {"a": f32(1)}, {"a": f32(3), "b": f32(2)}, {"leave": ["b"]}, {"a": f32(2)}, "TV-8 CT-8",
     "a name too many that was left out"),
    ("left-out-changed", {"a": f32(1), "n": integers("I64", 1)}, {"a": f32(3), "n": integers("I64", 2)},
     {"leave": ["n"]}, {"a": f32(2)}, "TV-7 CT-8", "a changed integer tensor that was left out"),
    ("left-out-nan", {"a": f32(1), "b": f32(1)}, {"a": f32(3), "b": f32("nan")}, {"leave": ["b"]}, {"a": f32(2)},
     "TV-4 CT-8", "a NaN in a tensor that was left out"),
    ("taken", {"a.x": f32(1), "a.y": f32(1), "b": f32(1)}, {"a.x": f32(2), "a.y": f32(3), "b": f32(4)},
     {"take": ["a.*", "c"], "leave": ["*.y"]}, {"a.x": f32(1)}, "CT-8", "taken by one pattern, and left by none"),
    ("taken-missing", {"a": f32(1), "b": f32(1)}, {"b": f32(2)}, {"take": ["a", "b"]}, at("NamesError", "a"),
     "TV-8 CT-8", "a taken name is missing"),
    ("first-in-name-order", {"z": f32(0), "a": f32(0)}, {"z": f32("nan"), "a": f32("inf")}, {},
     at("NonFinite", "a", [0]), "TV-4 MG-6", "the first tensor in name order is named"),
]  # fmt: skip

STORED: list[tuple[str, Json, Json, Json, str, str]] = [
    ("f32", {"w": bf16(1, 2)}, {"w": f32("2^-149", "-max")}, {"w": f32("2^-149", "-max")}, "TV-5", "F32 as it is"),
    ("bf16", {"w": f32(0, 0)}, {"w": bf16("tiny", -3)}, {"w": f32("2^-133", -3)}, "TV-5", "BF16 widened"),
    ("f16", {"w": f32(0, 0)}, {"w": f16("tiny", "-max")}, {"w": f32("2^-24", -65504)}, "TV-5", "F16 widened"),
    ("f64", {"w": f32(0, 0, 0)}, {"w": f64("1+2^-24", "1+2^-24+2^-52", "2^-150")}, {"w": f32(1, "1+2^-23", 0)},
     "TV-5",
     "F64 rounded once"),
    ("zeros", {"w": f32(0, 0, 0)}, {"w": f64("-0", "-2^-1074", 0)}, {"w": f32(0, 0, 0)}, "TV-5 TV-6",
     "-0, and what underflows, is +0"),
    ("partial", {"v": f32(0), "w": f32(0), "n": integers("I8", 1)}, {"w": f32(1)}, {"w": f32(1)}, "TV-8",
     "may lack names"),
    ("nan", {"w": f32("nan", 0)}, {"w": f32(1, "nan")}, at("NonFinite", index=[1]), "TV-5",
     "a NaN is an error; a NaN of the base is not looked at"),
    ("inf", {"w": f32("inf")}, {"w": f32("inf")}, at("NonFinite", index=[0]), "TV-5",
     "an infinity, the base's too or not"),
    ("f64-overflow", {"w": f32(0, shape=[1, 1])}, {"w": f64("2^128-2^103", shape=[1, 1])},
     at("NonFinite", index=[0, 0]), "TV-5", "finite before RN32, not after"),
    ("f64-no-overflow", {"w": f32(0)}, {"w": f64("2^128-2^103-2^75")}, {"w": f32("max")}, "TV-5",
     "just below the overflow"),
    ("extra", {"w": f32(0)}, {"x": f32(0)}, at("NamesError", "x"), "TV-8 CT-5", "a name that the base lacks"),
    ("shape", {"w": f32(0)}, {"w": f32(0, shape=[1, 1])}, at("ShapeError"), "CT-5", "another shape"),
    ("integer", {"w": integers("I32", 0)}, {"w": integers("I32", 0)}, at("DtypeError"), "TV-5", "not float at all"),
    ("against-integer", {"w": integers("I32", 0)}, {"w": f32(0)}, at("DtypeError"), "CT-5", "not float in the base"),
]  # fmt: skip

NAMES = ["a", "b", "ab", "abc", "a.b", "a.b.c", "A", "-", "[", "", "layers.0.w", "layers.10.w", "\u00e9", "!"]
PATTERNS = {
    "literal": "ab", "any": "*", "empty": "", "prefix": "a*", "suffix": "*c", "inside": "a*c", "one": "?",
    "two": "??",
    "set": "[abc]", "range": "[a-c]", "outside": "[!abc]", "digit": "layers.[0-9].w", "digits": "layers.[0-9]*.w",
    "dots-are-literal": "a.b", "stars-cross-dots": "a.*", "two-stars": "*.*.*", "case": "[A-Z]",
    "non-ascii": "\u00e9",
    "question-mark-non-ascii": "?", "set-of-two-ranges": "[a-bA-B]",
}  # fmt: skip


def says(tau: Json) -> Json:
    return tau if isinstance(tau, str) or (isinstance(tau, dict) and "rule" in tau) else {"tau": tau}


def pair(i: str, base: Json, tuned: Json, tau: Json, clauses: str, why: str) -> Case:
    inputs = {"base": {"w": base}, "finetuned": {"w": tuned}}
    error = isinstance(tau, dict) and "rule" in tau
    by_hand = tau if error else {"tau": {"w": tau} if tau else {}}
    return Case("task-vector", f"task-vector-{i}", clauses, why, inputs, by_hand)


def random_tensor(random: Random, dtype: str, n: int) -> Json:
    """Finite numbers with any exponent, or near 1, so that differences cancel."""
    fmt, size = FLOATS[dtype], SIZES[dtype]
    wide, data = random.below(2), b""
    while len(data) < n * size:
        bits = random.bits(8 * size)
        if not wide:
            near = Fraction(random.between(-256, 256), 256)
            data += bytes.fromhex(tensor(dtype, near)["hex"])
        elif is_finite(fmt, bits) and (dtype != "F64" or not wide or 0x381 <= (bits >> 52) & 0x7FF <= 0x47D):
            data += bits.to_bytes(size, "little")
    return spec(dtype, [n], data)


def breadth() -> list[Case]:
    random = Random(5)
    return [
        Case("task-vector", f"task-vector-random-{b.lower()}-{t.lower()}", "TV-2", "random numbers of two dtypes",
             {"base": {"w": random_tensor(random, b, 8)}, "finetuned": {"w": random_tensor(random, t, 8)}})
        for b in FLOATS for t in FLOATS
    ]  # fmt: skip


CASES = [
    *(pair(*row) for row in PAIRS),
    *(
        Case(
            "task-vector", f"task-vector-{i}", clauses, why,
            {"base": base, "finetuned": tuned, **options}, says(tau),
        )
        for i, base, tuned, options, tau, clauses, why in SETS
    ),
    *(
        Case("stored-task-vector", f"stored-{i}", clauses, why, {"base": base, "stored": stored}, says(tau))
        for i, base, stored, tau, clauses, why in STORED
    ),
    *(
        Case("pattern", f"pattern-{i}", "CT-8", f"the pattern {text!r}", {"pattern": text, "names": NAMES})
        for i, text in PATTERNS.items()
    ),
    *patterns.CASES,
    *breadth(),
]  # fmt: skip
