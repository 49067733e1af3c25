"""Real functions of rational numbers, rounded once [EF-1 to EF-4]: of intervals of fractions, and by their inverses.

exp, sine and cosine are enclosed: Taylor's series of a small part of the argument, which is then doubled. Of the others
a candidate from `math` is moved until what rounds to it holds the answer, which the inverse function tells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

from generator.reference.rounding import (
    F32,
    F64,
    Format,
    floor_log2,
    is_finite,
    is_infinite,
    magnitude,
    rn,
    value,
)

#: A number lies between these two.
Interval = tuple[Fraction, Fraction]


ONE = Fraction(1)


def outward(low: Fraction, high: Fraction, unit: Fraction) -> Interval:
    """The least interval of multiples of the unit around this one."""
    return low // unit * unit, -(-high // unit) * unit


def precisions() -> Iterator[int]:
    bits = 128
    while True:
        yield bits
        bits += bits // 2


def halvings(x: Fraction) -> int:
    """How often to halve x until it is at most 1/4."""
    return max(0, floor_log2(abs(x)) + 3) if x else 0


def series(t: Fraction, bits: int) -> list[Interval]:
    """t^n / n! for n = 0, 1, ..., and last the bounds of all that follow. |t| <= 1/4."""
    terms, term, n = [], ONE, 0
    while abs(term) > Fraction(1, 2**bits):
        terms.append((term, term))
        n += 1
        term = term * t / n
    return [*terms, (-2 * abs(term), 2 * abs(term))]


def exp(x: Fraction, bits: int) -> Interval:
    """e^x = (e^t)^(2^k)."""
    k = halvings(x)
    terms = series(x / 2**k, bits)
    low, high = sum(low for low, _ in terms), sum(high for _, high in terms)
    for _ in range(k):
        low, high = low * low, high * high
        low, high = outward(low, high, Fraction(2) ** (floor_log2(low) - bits))
    return low, high


def circle(x: Fraction, bits: int) -> tuple[Interval, Interval]:
    """Cosine and sine of x: of t, and as often as t was halved, cos 2t = 1 - 2 (sin t)^2 and sin 2t = 2 sin t cos t."""
    k = halvings(x)
    # An error doubles twice each time.
    unit = Fraction(1, 2 ** (bits + 2 * k))
    *terms, rest = series(x / 2**k, bits + 2 * k)
    signed = [(term * (-1) ** (n // 2), n % 2) for n, (term, _) in enumerate(terms)]
    c, s = (sum((term for term, odd in signed if odd == which), Fraction(0)) for which in (0, 1))
    cosine, sine = outward(c + rest[0], c + rest[1], unit), outward(s + rest[0], s + rest[1], unit)
    for _ in range(k):
        square, product = times(sine, sine), times(sine, cosine)
        # Both are within -1 to 1, however wide their intervals have become.
        cosine = outward(max(1 - 2 * square[1], -ONE), min(1 - 2 * square[0], ONE), unit)
        sine = outward(max(2 * product[0], -ONE), min(2 * product[1], ONE), unit)
    return cosine, sine


def times(x: Interval, y: Interval) -> Interval:
    products = [a * b for a in x for b in y]
    return min(products), max(products)


def enclosed(fmt: Format, of: Callable[[int], Interval]) -> int:
    """The bits of the one number to which both ends of an interval round, with as many bits as that takes."""
    for bits in precisions():
        low, high = (rn(fmt, end) for end in of(bits))
        if low == high:
            return low
    raise AssertionError("there is no last precision")


def below(of: Callable[[int], Interval], bound: Fraction) -> bool:
    """Whether a number is below a bound, which it is not."""
    for bits in precisions():
        low, high = of(bits)
        if high < bound or low > bound:
            return high < bound
    raise AssertionError("there is no last precision")


def found(fmt: Format, candidate: float, above: Callable[[Fraction], bool]) -> int:
    """The bits of the positive number that f(x) >= 0 rounds to. above: whether f(x) is above a positive number."""
    bits = rn(fmt, Fraction(candidate))
    while above(halfway(fmt, bits)):
        bits += 1
    while bits and not above(halfway(fmt, bits - 1)):
        bits -= 1
    return bits


def halfway(fmt: Format, bits: int) -> Fraction:
    """Between a number of 0 or more and the next one."""
    return (value(fmt, bits) + value(fmt, bits + 1)) / 2


def rounded_exp(fmt: Format, x: Fraction) -> int:
    # Beyond 2000 all is infinity, or zero, in either format.
    near = max(min(x, Fraction(2000)), Fraction(-2000))
    return rn(fmt, ONE) if x == 0 else enclosed(fmt, lambda bits: exp(near, bits))


def rounded_log(fmt: Format, x: Fraction) -> int:
    """log x > m when x > e^m; log x = -log 1/x."""
    if x == 1:
        return 0
    if x < 1:
        return fmt.sign_bit | rounded_log(fmt, 1 / x)
    near = math.log1p(x - 1) if x < 2 else math.log(x.numerator) - math.log(x.denominator)
    return found(fmt, near, lambda m: below(lambda bits: exp(m, bits), x))


def rounded_tanh(fmt: Format, x: Fraction) -> int:
    """tanh x > m when e^2x > (1 + m) / (1 - m); tanh -x = -tanh x."""
    if x == 0:
        return 0
    if x < 0:
        bits = rounded_tanh(fmt, -x)
        return fmt.sign_bit | bits if bits else 0

    def above(m: Fraction) -> bool:
        return m < 1 and not below(lambda bits: exp(2 * min(x, Fraction(64)), bits), (1 + m) / (1 - m))

    return found(fmt, math.tanh(x), above)


def rounded_cos(fmt: Format, x: Fraction) -> int:
    return rn(fmt, ONE) if x == 0 else enclosed(fmt, lambda bits: circle(x, bits)[0])


def rounded_sin(fmt: Format, x: Fraction) -> int:
    return 0 if x == 0 else enclosed(fmt, lambda bits: circle(x, bits)[1])


def rounded_acos(fmt: Format, x: Fraction) -> int:
    """acos x > m when m < pi, of which 3 < pi < 4, and cos m > x."""
    if x == 1:
        return 0

    def above(m: Fraction) -> bool:
        if m > 3 and below(lambda bits: circle(m, bits)[1], Fraction(0)):
            return False
        return not below(lambda bits: circle(m, bits)[0], x)

    return found(fmt, math.acos(x), above)


def rounded_sqrt(fmt: Format, q: Fraction) -> int:
    """The root of q is above m when q > m^2. A root halfway between two numbers is rational, and rounded as such."""
    if q == 0:
        return 0
    more = max(0, 64 + q.denominator.bit_length() - q.numerator.bit_length() // 2)
    root = Fraction(math.isqrt((q.numerator << 2 * more) // q.denominator), 2**more)
    return rn(fmt, root) if root * root == q else found(fmt, value(F64, rn(F64, root)), lambda m: q > m * m)


ROUNDED: dict[str, Callable[[Format, Fraction], int]] = {
    "exp": rounded_exp,
    "log": rounded_log,
    "tanh": rounded_tanh,
    "sin": rounded_sin,
    "cos": rounded_cos,
    "acos": rounded_acos,
    "sqrt": rounded_sqrt,
}


def of_array(function: str, bits: int) -> int | None:
    """The bits in F32 of what a function of arrays gives for the bits of an F64 number; None is NaN [EF-1]."""
    negative = bool(bits & F64.sign_bit)
    if is_finite(F64, bits) and not (function == "log" and (negative or bits == 0)):
        answer = ROUNDED[function](F32, value(F64, bits))
        return answer if magnitude(F32, answer) else 0
    if magnitude(F64, bits) > F64.infinity or (function == "log" and negative and magnitude(F64, bits)):
        return None
    if function == "log":
        return F32.infinity if is_infinite(F64, bits) else F32.infinity | F32.sign_bit
    if function == "tanh":
        return rn(F32, Fraction(-1 if negative else 1))
    return 0 if negative else F32.infinity
