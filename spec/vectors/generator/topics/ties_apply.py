"""The merged tau onto the base: every dtype, every rounding, signs of zero, lambda."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.topics.merges import merge_case, stored, ties
from generator.writing import bf16, f16, f32, f64

Json = Any
NO_SUCH = "0." + "0" * 59 + "1"
SUBNORMAL_LAMBDA = "0." + "0" * 44 + "14012984643248"  # next to 2^-149


def applied(i: str, clauses: str, why: str, base: Json, tau: Json, result: Json, lambda_: str = "1") -> Case:
    """One stored task vector onto a base of one tensor."""
    return merge_case(f"ties-apply-{i}", clauses, why, {"w": base}, [stored({"w": tau})], ties(lambda_=lambda_),
                      {"tensors": {"w": result}})  # fmt: skip


CASES = [
    applied("copied", "MG-2", "tau_m of 0: the bits of the base, -0, NaN and infinities included",
            f32("-0", "0xffc12345", "0x7f800001", "-inf", 0, 5), f32(0, 0, 0, 0, 0, 1),
            f32("-0", "0xffc12345", "0x7f800001", "-inf", 0, 6)),
    applied("copied-f16", "MG-2", "the same in F16", f16("-0", "0xfe01", "0x7c01", 1), f32(0, 0, 0, 1),
            f16("-0", "0xfe01", "0x7c01", 2)),
    applied("copied-bf16", "MG-2", "the same in BF16", bf16("-0", "0xffc1", "0x7f81", 1), f32(0, 0, 0, 1),
            bf16("-0", "0xffc1", "0x7f81", 2)),
    applied("copied-f64", "MG-2", "the same in F64", f64("-0", "0xfff0000000000001", "2^-1074", 1), f32(0, 0, 0, 1),
            f64("-0", "0xfff0000000000001", "2^-1074", 2)),
    applied("lambda-zero", "MG-2", "lambda 0 copies the base, NaN included", f32("nan", "-0", 1), f32(1, 1, 1),
            f32("nan", "-0", 1), "0"),
    applied("lambda-minus-zero", "MG-2 RC-1", "-0.0 is 0", f32("-0", "inf"), f32(1, 1), f32("-0", "inf"), "-0.0"),
    applied("lambda-underflow", "MG-1 MG-2", "1e-60 is 0 as an fp32 number", f32("-0", "nan"), f32("max", 1),
            f32("-0", "nan"),
            NO_SUCH),
    applied("lambda-negative", "MG-1", "lambda -2", f32(1, 1), f32(1, -3), f32(-1, 7), "-2"),
    applied("lambda-decimal", "MG-1", "lambda32 is RN32 of 0.1: 10 * lambda32 is above 1, RN32 of it is 1",
            f32(0, "2^-60"), f32(10, 10), f32(1, 1), "0.1"),
    applied("lambda-one-rounding", "MG-1 RC-2", "lambda through fp64 would be 3f800002", f32(0), f32(1),
            f32("1+2^-23"),
            "1.0000001788139343"),
    applied("lambda-subnormal", "MG-1 MG-3", "2^-149 * 2^126", f32(0, 1), f32("2^126", "2^126"),
            f32("2^-23", "1+2^-23"),
            SUBNORMAL_LAMBDA),
    applied("product-exact", "MG-3", "lambda * tau_m = 1 + 3 * 2^-23 + 2^-45 is not rounded to fp32 before the sum",
            f32(-1), f32("1+2^-23"), f32("2^-22+2^-23+2^-45"), "1.0000002384185791015625"),
    applied("result-twice-rounded", "MG-3",
            "1 + 2^-24 + 2^-60: RN64 makes it a tie, RN32 takes it to 1; one rounding would give 1 + 2^-23",
            f32("2^-60"), f32("0.6572265625"), f32(1), "1.52154541015625"),
    applied("f64-once-rounded", "MG-3", "1 + 2^-53 is a tie, 1 + 2^-53 + 2^-76 is not", f64(1, 1),
            f32("2^-53", "2^-53+2^-76"), f64(1, "1+2^-52")),
    applied("f64-no-rn32", "MG-3", "no RN32 for a base of F64", f64("2^-60", "2^200"), f32(1, "2^127"),
            f64("1", "2^200")),
    applied("f64-max", "MG-3", "the largest F64 number stays", f64("max"), f32("max"), f64("max")),
    applied("f32-ties-even", "MG-3", "halfway results go to even", f32(1, "1+2^-23", -1),
            f32("2^-24", "2^-24", "-2^-24"),
            f32(1, "1+2^-22", -1)),
    applied("f16-ties-even", "MG-3", "halfway results of F16", f16(1, "1+2^-10", -1), f32("2^-11", "2^-11", "-2^-11"),
            f16(1, "1+2^-9", -1)),
    applied("f16-through-fp32", "MG-3", "1 + 2^-11 + 2^-34: RN32 makes it a tie, F16 takes it to 1",
            f16(1, 1), f32("2^-11+2^-34", "2^-11+2^-23"), f16(1, "1+2^-10")),
    applied("f16-subnormal", "MG-3", "subnormals of F16: 1.5 and 2.5 of the least, both to 2",
            f16("2^-24", "2^-23"), f32("2^-25", "2^-25"), f16("2^-23", "2^-23")),
    applied("f16-normal-boundary", "MG-3", "a carry from the subnormals of F16 to its least normal number",
            f16("2^-14-2^-24"), f32("2^-25"), f16("2^-14")),
    applied("f16-underflow", "MG-4", "half the least of F16 goes to 0, with its sign", f16(0, 0, "-0", 0),
            f32("2^-25", "-2^-25", "-2^-26", "2^-25+2^-48"), f16(0, "-0", "-0", "2^-24")),
    applied("f16-largest", "MG-3", "65519 rounds to the largest", f16("max", "-max"), f32(15, -15),
            f16("max", "-max")),
    applied("bf16-ties-even", "MG-3", "halfway results of BF16", bf16(1, "1+2^-7", -1), f32("2^-8", "2^-8", "-2^-8"),
            bf16(1, "1+2^-6", -1)),
    applied("bf16-through-fp32", "MG-3", "1 + 2^-8 + 2^-30: RN32 makes it a tie, BF16 takes it to 1",
            bf16(1, 1), f32("2^-8+2^-30", "2^-8+2^-23"), bf16(1, "1+2^-7")),
    applied("bf16-subnormal", "MG-3", "subnormals of BF16", bf16("2^-133", "2^-132"), f32("2^-134", "2^-134"),
            bf16("2^-132", "2^-132")),
    applied("bf16-underflow", "MG-4", "half the least of BF16 goes to 0, with its sign", bf16(0, 0),
            f32("2^-134", "-2^-134"), bf16(0, "-0")),
    applied("f32-subnormal", "MG-3", "a subnormal result", f32("2^-126"), f32("-2^-149"), f32("2^-126-2^-149")),
    applied("f32-underflow", "MG-4", "2^-150 goes to 0, with its sign", f32(0, 0, "-0"),
            f32("2^-149", "-2^-149", "-2^-149"),
            f32(0, "-0", "-0"), "0.5"),
    applied("exact-zero", "MG-4", "a sum of exactly 0 is +0", f32(1, -1, "2^-149"), f32(-1, 1, "-2^-149"),
            f32(0, 0, 0)),
    applied("exact-zero-f16", "MG-4", "the same in F16", f16(1, -1), f32(-1, 1), f16(0, 0)),
    applied("exact-zero-f64", "MG-4", "the same in F64", f64(1, -1), f32(-1, 1), f64(0, 0)),
    applied("base-minus-zero", "MG-2 MG-3", "-0 is 0 where something is added", f32("-0", "-0"), f32(1, "-2^-149"),
            f32(1, "-2^-149")),
    applied("largest", "MG-3", "less than halfway above the largest", f32("max"), f32("2^102"), f32("max")),
]  # fmt: skip
