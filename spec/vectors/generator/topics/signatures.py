"""Keys and signatures: what is one, and every way in which libraries are known to disagree [SG-1, SG-2]."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.reference import ed25519 as ed
from generator.topics.signed_operations import OPERATIONS
from generator.topics.signed_states import STATES

Json = Any
SEEDS = [bytes([i]) * 32 for i in range(1, 5)]
KEY = ed.public_key(SEEDS[0])
MESSAGE = b"what is signed"
SIGNATURE = ed.sign(SEEDS[0], MESSAGE)


def little(n: int) -> bytes:
    return n.to_bytes(32, "little")


#: A point of order 8, and its multiples: all points of small order.
EIGHTH = next(
    point
    for y in range(2, 100)
    if (x := ed.x_of(y, 0)) is not None
    and ed.encode_point(ed.times(4, point := ed.times(ed.L, (x, y, 1, x * y % ed.P)))) != ed.encode_point(ed.NEUTRAL)
)
SMALL = [ed.encode_point(ed.times(i, EIGHTH)) for i in range(8)]
#: y of p or more encodes a point once more; those whose points are of small order have y = 0 and y = 1.
AGAIN = {"p": little(ed.P), "p-and-1": little(ed.P + 1), "p-and-2": little(ed.P + 2), "all-ones": little(2**255 - 1)}
SIGN = 1 << 255


def key(i: str, why: str, data: bytes, sound: bool) -> Case:
    return Case("key", f"key-{i}", "SG-1" + (" SG-13" if sound else ""), why, {"key": data.hex()}, {"sound": sound})


KEYS = [
    *(key(f"seed-{n}", "the key of a private one", ed.public_key(seed), True) for n, seed in enumerate(SEEDS)),
    *(key(f"small-{n}", f"{n} times a point of order 8", data, False) for n, data in enumerate(SMALL)),
    *(
        key(f"small-{n}-sign", "the same y and the other sign", little(int.from_bytes(data, "little") ^ SIGN), False)
        for n, data in enumerate(SMALL)
    ),
    *(key(i, "y of p or more", data, False) for i, data in AGAIN.items()),
    *(
        key(f"{i}-sign", "y of p or more, and the sign", little(int.from_bytes(data, "little") | SIGN), False)
        for i, data in AGAIN.items()
    ),
    key("below-p", "y = p - 2", little(ed.P - 2), True),
    key("off-curve", "y = 2: no point has it, so nothing is valid for it; it is a key all the same", little(2), True),
    key("short", "31 bytes", KEY[:31], False),
    key("long", "33 bytes", KEY + b"\0", False),
]


def signature(i: str, why: str, valid: bool, data: bytes, key: bytes = KEY, message: bytes = MESSAGE) -> Case:
    given = {"key": key.hex(), "signature": data.hex(), "message": message.hex()}
    return Case("signature", f"signature-{i}", "SG-2", why, given, {"valid": valid})


def s_of(data: bytes) -> int:
    return int.from_bytes(data[32:], "little")


def with_s(s: int) -> bytes:
    return SIGNATURE[:32] + little(s)


def flipped(data: bytes, bit: int) -> bytes:
    return little_of(int.from_bytes(data, "little") ^ 1 << bit, len(data))


def little_of(n: int, width: int) -> bytes:
    return n.to_bytes(width, "little")


def made(key: bytes, r: bytes, nonce: int, secret: int, message: bytes = MESSAGE) -> bytes:
    """A signature whose S fits the R that stands there, whatever point that is."""
    return r + little((nonce + ed.challenge(r, key, message) * secret) % ed.L)


SECRET = ed.secrets(SEEDS[0])[0]
NEUTRAL = ed.encode_point(ed.NEUTRAL)
#: A key with a part of order 8: its signatures hold without the cofactor only where the challenge is a multiple of 8.
MIXED = ed.encode_point(ed.add(ed.times(SECRET, ed.BASE), EIGHTH))
R = ed.encode_point(ed.times(7, ed.BASE))
MIXED_R = ed.encode_point(ed.add(ed.times(7, ed.BASE), EIGHTH))
FITTING = next(m for i in range(500) if ed.challenge(R, MIXED, m := b"message %d" % i) % 8 == 0)
STRANGE = next(m for i in range(500) if ed.challenge(R, MIXED, m := b"message %d" % i) % 8 != 0)

SIGNATURES = [
    *(
        signature(f"seed-{n}", "signed", True, ed.sign(seed, MESSAGE), ed.public_key(seed))
        for n, seed in enumerate(SEEDS)
    ),
    signature("rfc-8032-1", "the first test of RFC 8032, section 7.1", True,
              bytes.fromhex("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
                            "1cf9b46bd25bf5f0595bbe24655141438e7a100b"),
              bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"), b""),
    signature("empty", "an empty message", True, ed.sign(SEEDS[0], b""), KEY, b""),
    signature("other-message", "of another message", False, SIGNATURE, KEY, MESSAGE + b"."),
    signature("other-key", "of another key", False, SIGNATURE, ed.public_key(SEEDS[1])),
    signature("bit-of-r", "a bit of R", False, flipped(SIGNATURE, 9)),
    signature("bit-of-s", "a bit of S", False, flipped(SIGNATURE, 300)),
    signature("sign-of-r", "the sign of R", False, flipped(SIGNATURE, 255)),
    signature("short", "63 bytes", False, SIGNATURE[:63]),
    signature("long", "65 bytes", False, SIGNATURE + b"\0"),
    signature("s-and-l", "S + L fits the same equation", False, with_s(s_of(SIGNATURE) + ed.L)),
    signature("s-and-7-l", "S + 7 L", False, with_s(s_of(SIGNATURE) + 7 * ed.L)),
    signature("s-of-l", "S = L, for S = 0", False, R + little(ed.L)),
    signature("small-r", "R is the neutral point, and the equation holds", False, made(KEY, NEUTRAL, 0, SECRET)),
    signature("small-r-again", "the same point encoded as y = p + 1", False, made(KEY, AGAIN["p-and-1"], 0, SECRET)),
    signature("mixed-r", "R with a part of order 8: holds only with the cofactor", False,
              made(KEY, MIXED_R, 7, SECRET)),
    signature("mixed-key", "a key with a part of order 8, and a challenge that is no multiple of 8", False,
              made(MIXED, R, 7, SECRET, STRANGE), MIXED, STRANGE),
    signature("mixed-key-fits", "the same key, and a challenge that is a multiple of 8", True,
              made(MIXED, R, 7, SECRET, FITTING), MIXED, FITTING),
    signature("off-curve", "a key that is no point", False, SIGNATURE, little(2)),
    *(
        signature(f"small-key-{n}", "a key of small order: S = 0 and R = A would do", False, data + bytes(32), data)
        for n, data in enumerate(SMALL)
    ),
    *(
        signature(f"neutral-key-{n}", "the neutral key: R = [S]B is valid of every message", False,
                  R + little(7), key)
        for n, key in enumerate([NEUTRAL, AGAIN["p-and-1"]])
    ),
    signature("key-again", "y = p + 1, with a message of another", False, NEUTRAL + bytes(32), AGAIN["p-and-1"]),
]  # fmt: skip


CASES = [*KEYS, *SIGNATURES, *OPERATIONS, *STATES]
