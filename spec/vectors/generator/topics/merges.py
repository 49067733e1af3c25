"""How the topics of the three methods write a merge down, and their random breadth."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.contributions import read_contribution
from generator.reference.hashes import model_root
from generator.reference.recipes import complete
from generator.reference.refused import Refused
from generator.reference.rounding import F32, convert, is_finite
from generator.reference.tensors import FLOATS, read_tensors, tensor_of_bits
from generator.writing import f32

Json = Any


def ties(**keys: str) -> Json:
    """A complete recipe; `lambda_` stands for lambda."""
    return complete({"method": "ties"} | {key.rstrip("_"): text for key, text in keys.items()})


def mean(lambda_: str = "1") -> Json:
    return complete({"method": "mean", "lambda": lambda_})


def task_arithmetic(lambda_: str = "1") -> Json:
    return complete({"method": "task_arithmetic", "lambda": lambda_})


def stored(tensors: Json, coefficient: str = "1") -> Json:
    return {"form": "task_vector", "coefficient": coefficient, "tensors": tensors}


def tuned(tensors: Json, coefficient: str = "1") -> Json:
    return {"form": "finetuned", "coefficient": coefficient, "tensors": tensors}


def by_id(base: Json, contributions: Sequence[Json]) -> list[Json]:
    """The contributions in the order of their ids, so that a position is the same in memory and in a workspace."""
    root = model_root(read_tensors(base))
    try:
        return sorted(contributions, key=lambda c: read_contribution(root, c, None).id)
    except Refused:
        return list(contributions)


def merge_case(
    i: str, clauses: str, why: str, base: Json, contributions: Sequence[Json], recipe: Json, says: Json = None
) -> Case:
    """A merge; `says` is the merged tensors, an error, or parts of the answer."""
    inputs = {"base": base, "recipe": recipe, "contributions": by_id(base, contributions)}
    return Case("merge", i, clauses, why, inputs, says)


def vectors(rows: Sequence[Sequence[Any]], coefficients: Sequence[str] = ()) -> list[Json]:
    """Stored task vectors of one F32 tensor `w`, a row for each contribution."""
    cs = coefficients or ["1"] * len(rows)
    return [stored({"w": f32(*row)}, c) for row, c in zip(rows, cs, strict=True)]


def zeros(n: int) -> Json:
    return {"w": f32(*[0] * n)}


def plain(
    i: str,
    clauses: str,
    why: str,
    rows: Sequence[Sequence[Any]],
    result: Sequence[Any],
    recipe: Json,
    coefficients: Sequence[str] = (),
    uncertified: int = 0,
) -> Case:
    """Task vectors to a base of zeros, so that the result is tau_m times lambda."""
    says = {"tensors": {"w": f32(*result)}, "uncertified": uncertified}
    return merge_case(i, clauses, why, zeros(len(rows[0])), vectors(rows, coefficients), recipe, says)


def uncertified_elsewhere(method: str, recipe: Json, a: Sequence[Any], b: Sequence[Any]) -> Case:
    """The holders of `a` have certified coefficients, the three contributions have not."""
    contributions = [stored({"a": f32(1, 2)}), stored({"a": f32(3, 2)}), stored({"b": f32("2^-60")}, str(2**60))]
    return merge_case(
        f"{method}-coefficients-of-all",
        "EX-3",
        "1, 1 and 2^60: every coordinate is uncertified, those of the tensor whose holders have 1 and 1 too",
        {"a": f32(0, 0), "b": f32(0)},
        contributions,
        recipe,
        {"tensors": {"a": f32(*a), "b": f32(*b)}, "uncertified": 3},
    )


# -- random breadth ------------------------------------------------------------------------------------------

COEFFICIENTS = ["1", "1", "1", "2", "0.5", "0.3", "1.7", "0.0001", "12345.678"]
SHAPES = [("a", [3]), ("b", [2, 2]), ("c", []), ("d", [0])]


def number(random: Random, spread: int) -> int:
    """The bits of a random fp32 number with one of `spread` exponents around 2^-1, or +0."""
    if random.below(8) == 0:
        return 0
    exponent = 126 + random.between(-(spread // 2), spread // 2)
    return random.bits(1) << 31 | exponent << 23 | random.choose([random.bits(23), 0, random.bits(23) & 0x7F0000])


def narrow(bits: int, dtype: str) -> int:
    """A finite number in the dtype, close to the fp32 number where it can be."""
    fmt = FLOATS[dtype]
    converted = convert(F32, bits, fmt)
    return converted if is_finite(fmt, converted) else converted - 1


def random_tensors(random: Random, dtype: str, spread: int, names: Sequence[str]) -> Json:
    result = {}
    for name, shape in SHAPES:
        if name in names:
            size = 1
            for n in shape:
                size *= n
            bits = [narrow(number(random, spread), dtype) for _ in range(size)]
            result[name] = tensor_of_bits(dtype, tuple(shape), bits).to_json()
    return result


def opposite(tensors: Json) -> Json:
    """The negative of an F32 vector, but for one element that cancels less well: +0 stays."""
    result = {}
    for name, t in tensors.items():
        words = [int.from_bytes(bytes.fromhex(t["hex"])[i : i + 4], "little") for i in range(0, len(t["hex"]) // 2, 4)]
        flipped = [w ^ F32.sign_bit if w else 0 for w in words]
        result[name] = tensor_of_bits("F32", tuple(t["shape"]), flipped).to_json()
    return result


def random_contributions(random: Random, spread: int, signed: bool) -> list[Json]:
    """Two to five of both forms; some are the negative of the one before, so that sums cancel."""
    result: list[Json] = []
    for _ in range(random.between(2, 5)):
        names = [name for name, _ in SHAPES if random.below(5)] or ["a"]
        coefficient = random.choose(["-1", "-0.25", *COEFFICIENTS] if signed else COEFFICIENTS)
        last = result[-1] if result else None
        if last and last["form"] == "task_vector" and random.below(2):
            result.append(stored(opposite(last["tensors"]), last["coefficient"]))
        elif random.below(3) == 0:
            dtype = random.choose(["F32", "BF16", "F16"])
            result.append(tuned(random_tensors(random, dtype, 8, names), coefficient))
        else:
            result.append(stored(random_tensors(random, "F32", spread, names), coefficient))
    return result


def random_recipe(random: Random, method: str) -> Json:
    lambda_ = random.choose(["1", "1", "0.4", "-1.5", "0.001"])
    if method != "ties":
        return complete({"method": method, "lambda": lambda_})
    return ties(
        density=random.choose(["1", "0.2", "0.5", f"0.{random.between(1, 99):02}"]),
        lambda_=lambda_,
        scope=random.choose(["model", "tensor"]),
        boundary=random.choose(["keep_all", "lowest_index"]),
    )


def breadth(
    method: str,
    seed: int,
    count: int,
    clauses: str = "MG-3 MG-8",
    recipe_of: Callable[[Random, str], Json] = random_recipe,
    signed: Container[str] = ("task_arithmetic",),
) -> list[Case]:
    """Bases of every dtype; narrow and wide ranges of exponents in turn. signed: with negative coefficients."""
    random, cases = Random(seed), []
    slug = method.replace("_", "-")
    while len(cases) < count:
        dtype = random.choose(["F32", "BF16", "F16", "F64"])
        base = random_tensors(random, dtype, 8, ["a", "b", "c", "d"])
        spread = random.choose([4, 24, 120])
        contributions = random_contributions(random, spread, method in signed)
        recipe = recipe_of(random, method)
        case = merge_case(
            f"{slug}-random-{len(cases)}",
            clauses,
            f"random, {spread} exponents, base {dtype}",
            base,
            contributions,
            recipe,
        )
        rule = case.result().get("error", {}).get("rule")
        if rule is None or (rule == "NonFinite" and len(cases) % 8 == 0):
            cases.append(replace(case, says=rule))
    return cases
