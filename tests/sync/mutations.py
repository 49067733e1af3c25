"""What a hostile side makes of a message: changed, cut, long, reordered, retyped, or something else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Final

from mergealgebra.sync.messages import ANSWER_BYTES
from tests.fuzz.mutation import Mutation, mutate_bytes, mutate_value


def cut_short(random: Random, data: bytes) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def made_long(random: Random, data: bytes) -> bytes:
    return data + random.randbytes(random.choice((1, 40, ANSWER_BYTES)))


def retyped(random: Random, data: bytes) -> bytes:
    """Text, JSON, or some other thing that is no message."""
    return random.choice((b"", b"\xc0", b"<html>", json.dumps(list(data[:20])).encode(), b"\xdd" + b"\xff" * 4 + data))


MUTATIONS: Final[Mapping[str, Mutation]] = {
    "bytes": mutate_bytes,
    "values": mutate_value,  # reorders, repeats, drops and retypes what is in it
    "short": cut_short,
    "long": made_long,
    "other": retyped,
}
#: Of how many hundred messages each is made.
SHARES: Final = {"bytes": 35, "values": 45, "short": 10, "long": 1, "other": 9}


def mutated(random: Random, data: bytes) -> bytes:
    """A message changed in one of these ways."""
    (kind,) = random.choices(list(SHARES), list(SHARES.values()))
    return MUTATIONS[kind](random, data)
