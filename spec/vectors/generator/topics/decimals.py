"""Decimals: what is one, its canonical form, its fp32 number in one rounding."""

from __future__ import annotations

from fractions import Fraction

from generator.cases import Case
from generator.prng import Random

HALF_ULP_TOP = str(2**128 - 2**103)  # halfway between the largest fp32 number and 2^128
JUST_BELOW_TOP = str(2**128 - 2**103 - 1)


ACCEPTED = [
    # id, text, canonical, fp32 bits, why
    ("zero", "0", "0", "00000000", "the shortest decimal"),
    ("one", "1", "1", "3f800000", "one"),
    ("minus-one", "-1", "-1", "bf800000", "a sign"),
    ("minus-zero", "-0", "0", "00000000", "-0 is written 0"),
    ("minus-zero-point", "-0.000", "0", "00000000", "-0 with a fraction is written 0"),
    ("trailing-zeros", "0.2500", "0.25", "3e800000", "trailing zeros of the fraction go"),
    ("bare-point", "2.00", "2", "40000000", "and then the point with nothing behind it"),
    ("integer-zeros", "100", "100", "42c80000", "zeros of the integer part stay"),
    ("tenth", "0.1", "0.1", "3dcccccd", "not an fp32 number"),
    ("minus-fraction", "-0.50", "-0.5", "bf000000", "sign and trailing zero"),
    ("one-rounding", "1.0000001788139343", "1.0000001788139343", "3f800001",
     "just below halfway between 3f800001 and 3f800002: through fp64 it is halfway and goes up"),
    ("one-rounding-up", "1.00000005960464477539062500000001", "1.00000005960464477539062500000001", "3f800001",
     "just above halfway between 1 and the next: through fp64 it is halfway and goes down"),
    ("halfway-even-down", "1.000000059604644775390625", "1.000000059604644775390625", "3f800000",
     "exactly halfway, the even neighbour is below"),
    ("halfway-even-up", "1.000000178813934326171875", "1.000000178813934326171875", "3f800002",
     "exactly halfway, the even neighbour is above"),
    ("halfway-integer-down", "16777217", "16777217", "4b800000", "2^24 + 1 is halfway, even is 2^24"),
    ("halfway-integer-up", "16777219", "16777219", "4b800002", "2^24 + 3 is halfway, even is 2^24 + 4"),
    ("carry", "0.99999999", "0.99999999", "3f800000", "rounding carries into the next binade"),
    ("least-normal", "0." + "0" * 37 + "11754943508222875079687", None, "00800000",
     "below the least normal number, nearest to it"),
    ("subnormal", "0.0000000000000000000000000000000000000000001", None, "00000047", "1e-43 is a subnormal"),
    ("least-subnormal", "0.000000000000000000000000000000000000000000001401298464324817", None, "00000001",
     "below 2^-149, nearest to it"),
    ("above-half-least", "0.00000000000000000000000000000000000000000000070064923217", None, "00000001",
     "just above half the least subnormal"),
    ("below-half-least", "0.00000000000000000000000000000000000000000000070064923216", None, "00000000",
     "just below half the least subnormal"),
    ("underflow", "0." + "0" * 59 + "1", None, "00000000", "1e-60 underflows to 0: for a number of its own no error"),
    ("underflow-negative", "-0." + "0" * 59 + "1", "-0." + "0" * 59 + "1", "00000000",
     "-1e-60 underflows to +0, and keeps its text"),
    ("above-half-least-negative", "-0.00000000000000000000000000000000000000000000070064923217", None, "80000001",
     "just above half the least subnormal, negative"),
    ("greatest", JUST_BELOW_TOP, JUST_BELOW_TOP, "7f7fffff", "the largest integer that does not overflow"),
    ("forty-digits-after-one", "1" + "." + "0" * 39 + "1", None, "3f800000", "40 digits of fraction"),
    ("sixty-digits", "0." + "3" * 60, None, "3eaaaaab", "60 digits of fraction, the most there may be"),
    ("sixty-zeros", "1." + "0" * 60, "1", "3f800000", "60 zeros are allowed, and go"),
]  # fmt: skip

REFUSED = [
    ("empty", "", "no digit"),
    ("plus", "+1", "a plus sign"),
    ("exponent", "1e3", "an exponent"),
    ("exponent-capital", "1E3", "an exponent"),
    ("no-fraction", "1.", "a point with nothing behind it"),
    ("no-integer", ".5", "a point with nothing before it"),
    ("leading-zero", "01", "a leading zero"),
    ("leading-zeros", "00.5", "a leading zero"),
    ("two-points", "1.2.3", "two points"),
    ("comma", "0,5", "a comma"),
    ("underscore", "1_000", "an underscore, which some languages read as nothing"),
    ("two-signs", "--1", "two signs"),
    ("sign-alone", "-", "a sign alone"),
    ("space-before", " 1", "a space before"),
    ("space-after", "1 ", "a space after"),
    ("newline", "1\n", "a trailing line feed, which `$` of many regular expressions lets pass"),
    ("arabic-digits", "\u0661", "a digit of another script"),
    ("fullwidth-digits", "0.\uff15", "full-width digits"),
    ("superscript", "1\u00b2", "a superscript digit"),
    ("unicode-minus", "\u22121", "U+2212 is not the ASCII minus"),
    ("nan", "nan", "not a number"),
    ("infinity", "inf", "an infinity"),
    ("hexadecimal", "0x1", "hexadecimal"),
    ("fraction", "1/2", "a quotient"),
    ("41-digits", "1" + "0" * 40, "41 digits before the point"),
    ("61-digits", "0." + "3" * 61, "61 digits behind the point"),
    ("61-zeros", "0." + "0" * 61, "61 zeros behind the point, though they would go"),
    ("overflow-halfway", HALF_ULP_TOP, "halfway above the largest fp32 number: RN32 gives an infinity"),
    ("overflow", "1" + "0" * 39, "40 digits, far too large for fp32"),
    ("overflow-negative", "-" + HALF_ULP_TOP, "negative overflow"),
]  # fmt: skip

DENSITIES = {
    "1": "1", "0.2": "0.2", "0.20": "0.2", "1.000": "1", "0." + "0" * 59 + "1": "0." + "0" * 59 + "1",
    "0." + "9" * 60: "0." + "9" * 60,
}  # fmt: skip
BAD_DENSITIES = {
    "zero": "0", "minus-zero": "-0.0", "negative": "-0.1", "above-one": "1.1",
    "barely-above-one": "1." + "0" * 59 + "1",
    "percent": "20", "exponent": "1e-1",
}  # fmt: skip

COEFFICIENTS = [
    ("one", "1.0", None, {"canonical": "1", "fp32": "3f800000"}, "1 for every method"),
    ("subnormal", "0.0000000000000000000000000000000000000000001", "ties", {"fp32": "00000047"},
     "a subnormal is not zero"),
    ("zero", "0", "ties", "CoefficientError", "zero"),
    ("minus-zero", "-0.0", "task_arithmetic", "CoefficientError", "zero with a sign"),
    ("underflow", "0." + "0" * 59 + "1", "mean", "CoefficientError", "not zero as written, zero as an fp32 number"),
    ("underflow-negative", "-0." + "0" * 59 + "1", "task_arithmetic", "CoefficientError", "the same, negative"),
    ("negative-ties", "-1", "ties", "CoefficientError", "negative in TIES"),
    ("negative-mean", "-0.5", "mean", "CoefficientError", "negative in the mean"),
    ("negative-any", "-1", None, {"canonical": "-1", "fp32": "bf800000"}, "negative, where no method is named"),
    ("zero-any", "0.0", None, "CoefficientError", "zero, where no method is named"),
    ("overflow", HALF_ULP_TOP, "ties", "DecimalError", "beyond fp32: refused as a decimal"),
    ("overflow-any", "1" + "0" * 39, None, "DecimalError", "the same, where no method is named"),
    ("overflow-negative", "-" + HALF_ULP_TOP, "task_arithmetic", "DecimalError", "the same, negative"),
    ("greatest", JUST_BELOW_TOP, "mean", {"fp32": "7f7fffff"}, "the greatest coefficient"),
    ("exponent", "1e0", "mean", "DecimalError", "no decimal"),
    ("negative-task-arithmetic", "-1", "task_arithmetic", {"fp32": "bf800000"}, "negative in task arithmetic"),
]  # fmt: skip


def accepted(i: str, text: str, canonical: str | None, fp32: str | None, why: str) -> Case:
    by_hand = {"canonical": canonical, "fp32": fp32}
    says = {key: said for key, said in by_hand.items() if said is not None}
    return Case("decimal", f"decimal-{i}", "RC-1 RC-2", why, {"text": text}, says)


def breadth() -> list[Case]:
    """Random decimals, half of them close to the midpoint of two fp32 numbers."""
    random, cases = Random(1), []
    for n in range(16):
        sign = random.choose(["", "-"])
        text = f"{sign}{random.below(10 ** random.between(1, 6))}.{random.bits(60):019}"
        cases.append(Case("decimal", f"decimal-random-{n}", "RC-1 RC-2", "random", {"text": text}))
    for n in range(16):
        exponent = random.between(-20, 20)
        odd = 2 * (2**23 + random.bits(23)) + 1
        middle = Fraction(odd) * Fraction(2) ** (exponent - 24) + Fraction(random.choose([-1, 0, 1]), 10**60)
        text = f"{middle.numerator * 10**60 // middle.denominator:061}"
        number = f"{text[:-60].lstrip('0') or '0'}.{text[-60:]}"
        why = "on, or 1e-60 from, the midpoint of two fp32 numbers"
        cases.append(Case("decimal", f"decimal-midpoint-{n}", "RC-1 RC-2", why, {"text": number}))
    return cases


CASES = [
    *(accepted(*row) for row in ACCEPTED),
    *(
        Case("decimal", f"decimal-refused-{i}", "RC-1 RC-2", why, {"text": text}, "DecimalError")
        for i, text, why in REFUSED
    ),
    *(
        Case("density", f"density-{n}", "RC-1 RC-3", "a density", {"text": text}, {"canonical": form})
        for n, (text, form) in enumerate(DENSITIES.items())
    ),
    *(
        Case("density", f"density-{i}", "RC-3", i.replace("-", " "), {"text": text}, "DecimalError")
        for i, text in BAD_DENSITIES.items()
    ),
    *(
        Case("coefficient", f"coefficient-{i}", "RC-6", why, {"text": text, "method": method}, says)
        for i, text, method, says, why in COEFFICIENTS
    ),
    *breadth(),
]
