"""Ed25519 from RFC 8032 in integers, without the cofactor [SG-1, SG-2]: slow, and by the book."""

from __future__ import annotations

from functools import cache
from hashlib import sha512

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)

#: A point in extended coordinates: x = X/Z, y = Y/Z, XY = ZT.
Point = tuple[int, int, int, int]
NEUTRAL: Point = (0, 1, 1, 0)


def add(a: Point, b: Point) -> Point:
    """RFC 8032, section 5.1.4."""
    left, right = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = right - left, d - c, d + c, right + left
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n: int, a: Point) -> Point:
    total = NEUTRAL
    while n:
        if n & 1:
            total = add(total, a)
        a, n = add(a, a), n >> 1
    return total


def negative(a: Point) -> Point:
    return P - a[0], a[1], a[2], P - a[3]


def x_of(y: int, sign: int) -> int | None:
    """The x of that parity, None where no point has this y (section 5.1.3)."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT_OF_MINUS_ONE % P
    if x * x % P != square or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def encode_point(a: Point) -> bytes:
    inverse = pow(a[2], -1, P)
    x, y = a[0] * inverse % P, a[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode_point(data: bytes) -> Point | None:
    """None for what encodes no point, or is not the one encoding of it."""
    number = int.from_bytes(data, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    if y >= P or (x := x_of(y, sign)) is None:
        return None
    return x, y, 1, x * y % P


def is_small(a: Point) -> bool:
    return encode_point(times(8, a)) == encode_point(NEUTRAL)


BASE_Y = 4 * pow(5, -1, P) % P
_BASE_X = x_of(BASE_Y, 0)
BASE: Point = (_BASE_X or 0, BASE_Y, 1, (_BASE_X or 0) * BASE_Y % P)


def has_small_y(data: bytes) -> bool:
    """Whether y is that of a point of small order, whatever the sign."""
    y = int.from_bytes(data, "little") & ((1 << 255) - 1)
    found = [x_of(y, 0), x_of(y, 1)]
    return any(x is not None and is_small((x, y, 1, x * y % P)) for x in found)


@cache
def is_key(data: bytes) -> bool:
    """SG-1. A key need not be on the curve: nothing is valid for one that is not."""
    y = int.from_bytes(data, "little") & ((1 << 255) - 1)
    return len(data) == 32 and y < P and not has_small_y(data)


def number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def challenge(r: bytes, key: bytes, message: bytes) -> int:
    return number(sha512(r + key + message).digest()) % L


@cache
def secrets(seed: bytes) -> tuple[int, bytes]:
    """The secret number and the prefix (section 5.1.5)."""
    h = bytearray(sha512(seed).digest())
    h[0] &= 248
    h[31] = h[31] & 127 | 64
    return number(bytes(h[:32])), bytes(h[32:])


@cache
def public_key(seed: bytes) -> bytes:
    return encode_point(times(secrets(seed)[0], BASE))


@cache
def sign(seed: bytes, message: bytes) -> bytes:
    secret, prefix = secrets(seed)
    r = number(sha512(prefix + message).digest()) % L
    point = encode_point(times(r, BASE))
    s = (r + challenge(point, public_key(seed), message) * secret) % L
    return point + s.to_bytes(32, "little")


@cache
def verify(key: bytes, signature: bytes, message: bytes) -> bool:
    """SG-2."""
    if len(signature) != 64 or not is_key(key) or not is_key(signature[:32]):
        return False
    s, point = number(signature[32:]), decode_point(key)
    if s >= L or point is None:
        return False
    k = challenge(signature[:32], key, message)
    return encode_point(add(times(s, BASE), times(k, negative(point)))) == signature[:32]
