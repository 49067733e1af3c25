"""Forms: contributions stored as factors or in several forms, and their auxiliary tensors."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.prng import Random
from generator.reference.tensors import tensor_of_bits
from generator.topics.merges import narrow, number
from generator.writing import bf16, f16, f32, f64, integers

Json = Any
BASE = {
    "w": f32(1, 2, 3, 4, 5, 6, shape=[2, 3]), "b": f32("0.5", 0), "k": bf16(*[1] * 8, shape=[2, 1, 2, 2]),
    "n": integers("I64", 7),
}  # fmt: skip


def factors(name: str, up: Json, down: Json, scale: Json = None) -> Json:
    scale = f64(1, shape=[]) if scale is None else scale
    return {f"{name}.low_rank_up": up, f"{name}.low_rank_down": down, f"{name}.low_rank_scale": scale}


UP, DOWN = f32(1, 2, shape=[2, 1]), f32(1, 2, 3, shape=[1, 3])
PLAIN = factors("w", UP, DOWN)
TAU = {"w": f32(1, 2, 3, 2, 4, 6, shape=[2, 3])}


def at(rule: str, tensor: str, index: list[int] | None = None) -> Json:
    return {"rule": rule, "tensor": tensor, **({} if index is None else {"index": index})}


def row(*numbers: Any) -> Json:
    """Up of one row: with a column of ones below it, the sum of its numbers."""
    return f32(*numbers, shape=[1, len(numbers)])


def summed(up: Json, scale: Json = None) -> Json:
    """The factors whose tau has one element, the sum of a row."""
    rank = up["shape"][1]
    return factors("w", up, f32(*[1] * rank, shape=[rank, 1]), scale)


ONE = {"w": f32(0, shape=[1, 1])}

# id, base, stored, tau or the error, clauses, why
VECTORS: list[tuple[str, Json, Json, Json, str, str]] = [
    ("product", BASE, PLAIN, TAU, "CT-14", "rank 1: every product of a row and a column"),
    ("scale", BASE, factors("w", UP, DOWN, f64("0.5", shape=[])), {"w": f32("0.5", 1, "1.5", 1, 2, 3, shape=[2, 3])},
     "CT-14", "a scale"),
    ("axes", BASE, factors("k", f32(1, -1, shape=[2, 1]), f32(1, 2, 3, 4, shape=[1, 1, 2, 2])),
     {"k": f32(1, 2, 3, 4, -1, -2, -3, -4, shape=[2, 1, 2, 2])}, "CT-14", "down has the other axes of a convolution"),
    ("one-axis", BASE, factors("b", f32(1, 2, 3, 4, shape=[2, 2]), f32(1, 10)), {"b": f32(21, 43)}, "CT-14",
     "down has no other axis: a vector"),
    ("dtypes", BASE, factors("w", bf16(1, 2, shape=[2, 1]), f16(1, 2, 3, shape=[1, 3])), TAU, "CT-14",
     "factors in their own dtypes"),
    ("ascending", ONE, summed(row("2^60", 1, "-2^60")), {"w": f32(0, shape=[1, 1])}, "CT-14",
     "1 is lost in 2^60, which then cancels"),
    ("ascending-other", ONE, summed(row("2^60", "-2^60", 1)), {"w": f32(1, shape=[1, 1])}, "CT-14",
     "in this order it is not"),
    ("products-exact", ONE, factors("w", f32("1+2^-23", -1, shape=[1, 2]), f32("1+2^-23", "1+2^-22", shape=[2, 1])),
     {"w": f32("2^-46", shape=[1, 1])}, "CT-14", "(1 + 2^-23)^2 - (1 + 2^-22) = 2^-46: no product is rounded"),
    ("double-rounding", ONE, summed(row("1+2^-23"), f64("1-2^-24+2^-53", shape=[])), None, "CT-14",
     "the scaled sum is rounded to fp64, and then to fp32"),
    ("f64-factors-first", ONE, summed(f64("1+2^-24", "-1", shape=[1, 2])), {"w": f32(0, shape=[1, 1])}, "CT-14",
     "F64 factors are rounded to fp32 before they are multiplied"),
    ("subnormal", ONE, summed(row("2^-149"), f64("0.5", shape=[])), {"w": f32(0, shape=[1, 1])}, "CT-14 TV-6",
     "half of the least subnormal is a tie, to even: +0"),
    ("negative-zero", ONE, summed(row("2^-149"), f64("-0.25", shape=[])), {"w": f32(0, shape=[1, 1])}, "CT-14 TV-6",
     "what rounds to -0 is +0"),
    ("zero-scale", BASE, factors("w", UP, DOWN, f64(0, shape=[])), {"w": f32(*[0] * 6, shape=[2, 3])}, "CT-14",
     "a scale of zero"),
    ("large-within", ONE, summed(row("2^127", "2^127"), f64("0.5", shape=[])), {"w": f32("2^127", shape=[1, 1])},
     "CT-14", "the sum is beyond fp32, and the scaled one is not"),
    ("overflow", ONE, summed(row("2^127", "2^127")), at("NonFinite", "w", [0, 0]), "CT-14", "tau is beyond fp32"),
    ("nan", BASE, factors("w", f32(1, "nan", shape=[2, 1]), DOWN), at("NonFinite", "w", [1, 0]), "CT-14",
     "a factor that is NaN: the first element that it reaches"),
    ("infinity-times-zero", BASE, factors("w", f32("inf", 1, shape=[2, 1]), f32(0, 1, 1, shape=[1, 3])),
     at("NonFinite", "w", [0, 0]), "CT-14", "an infinity is not finite, whatever it is multiplied with"),
    ("scale-nan", BASE, factors("w", UP, DOWN, f64("nan", shape=[])), at("NonFinite", "w", [0, 0]), "CT-14",
     "a scale that is NaN"),
    ("f64-beyond", ONE, summed(f64("2^200", shape=[1, 1])), at("NonFinite", "w", [0, 0]), "CT-14",
     "an F64 factor that is beyond fp32"),
    ("mixed", BASE, {**PLAIN, "b": f32(1, 1), "k.task_vector": f16(*[2] * 8, shape=[2, 1, 2, 2])},
     {**TAU, "b": f32("0.5", 1), "k": f32(*[2] * 8, shape=[2, 1, 2, 2])}, "CT-13", "three forms in one contribution"),
    ("suffix-twice", {"w.low_rank_up": f32(0, shape=[1, 1])}, {
        "w.low_rank_up.task_vector": f32(1, shape=[1, 1]),
    }, {"w.low_rank_up": f32(1, shape=[1, 1])}, "CT-13", "the last suffix counts"),
    ("no-scale", BASE, {name: t for name, t in PLAIN.items() if not name.endswith("scale")},
     at("NamesError", "w.low_rank_scale"), "CT-13", "a scale is missing"),
    ("no-up", BASE, {name: t for name, t in PLAIN.items() if not name.endswith("up")},
     at("NamesError", "w.low_rank_up"), "CT-13", "a factor is missing"),
    ("two-forms", BASE, {**PLAIN, "w": f32(*[1] * 6, shape=[2, 3])}, at("DuplicateName", "w"), "CT-13",
     "one tensor in two forms"),
    ("not-in-the-base", BASE, factors("x", UP, DOWN), at("NamesError", "x"), "CT-5", "a name that the base lacks"),
    ("ranks", BASE, factors("w", f32(1, 2, 3, 4, shape=[2, 2]), DOWN), at("ShapeError", "w"), "CT-14",
     "two ranks"),
    ("rank-0", BASE, factors("w", f32(shape=[2, 0]), f32(shape=[0, 3])), at("ShapeError", "w"), "CT-14", "no rank"),
    ("up-vector", BASE, factors("w", f32(1, 2), DOWN), at("ShapeError", "w"), "CT-14", "up has one axis"),
    ("transposed", BASE, factors("w", f32(1, 2, 3, shape=[3, 1]), f32(1, 2, shape=[1, 2])), at("ShapeError", "w"),
     "CT-5", "the product has another shape than the base"),
    ("scale-f32", BASE, factors("w", UP, DOWN, f32(1, shape=[])), at("DtypeError", "w.low_rank_scale"), "CT-14",
     "a scale that is not F64"),
    ("scale-vector", BASE, factors("w", UP, DOWN, f64(1)), at("ShapeError", "w.low_rank_scale"), "CT-14",
     "a scale with an axis"),
    ("integer-factor", BASE, factors("w", integers("I64", 1, 2, shape=[2, 1]), DOWN),
     at("DtypeError", "w.low_rank_up"), "CT-14", "factors of integers"),
]  # fmt: skip

ROOT_FISHER = {"w": f32(0, "0.5", 1, 2, "max", "-0", shape=[2, 3])}
GRAM = {"w": f32(2, 1, 0, 1, 3, "-0", 0, 0, 1, shape=[3, 3]), "w.gram_rows": integers("I64", 5, shape=[])}
DELTA = {"w": f32(*[1] * 6, shape=[2, 3])}


def gram(matrix: Json = GRAM["w"], rows: Json = GRAM["w.gram_rows"]) -> Json:
    return {"gram": {"w": matrix, "w.gram_rows": rows}}


def fisher(tensor: Json) -> Json:
    return {"fisher": {"w": tensor}}


# id, form, tensors, auxiliary, the error if it is one, clauses, why
MADE: list[tuple[str, str, Json, Json, Json, str, str]] = [
    ("low-rank", "mixed", PLAIN, {}, None, "CT-2 CT-13", "factors alone; elements counts tau"),
    ("mixed", "mixed", {**PLAIN, "b": f32(1, 1)}, {}, None, "CT-2 CT-13", "factors and a whole tensor"),
    ("fisher", "task_vector", DELTA, {"fisher": ROOT_FISHER}, None, "CT-2 CT-15",
     "auxiliary tensors are a blob of their own; the tensors keep their names"),
    ("gram", "task_vector", DELTA, gram(), None, "CT-2 CT-15", "a Gram matrix, whose zeros may have signs"),
    ("both", "mixed", PLAIN, {"fisher": ROOT_FISHER, **gram()}, None, "CT-2 CT-15", "two kinds beside factors"),
    ("fisher-bf16", "task_vector", DELTA, fisher(bf16(*[1] * 6, shape=[2, 3])), None, "CT-15", "any float dtype"),
    ("fisher-f64-underflow", "task_vector", DELTA, fisher(f64(*[0] * 5, "-2^-200", shape=[2, 3])), None, "CT-15",
     "what rounds to zero is zero"),
    ("fisher-negative", "task_vector", DELTA, fisher(f32(0, 0, 0, 0, -1, 0, shape=[2, 3])),
     at("AuxiliaryError", "w", [1, 1]), "CT-15", "a Fisher number below zero"),
    ("fisher-nan", "task_vector", DELTA, fisher(f32(0, 0, "nan", 0, 0, 0, shape=[2, 3])),
     at("NonFinite", "w", [0, 2]), "CT-15", "a NaN"),
    ("fisher-beyond", "task_vector", DELTA, fisher(f64("2^128", *[0] * 5, shape=[2, 3])),
     at("NonFinite", "w", [0, 0]), "CT-15", "a number beyond fp32"),
    ("fisher-shape", "task_vector", DELTA, fisher(f32(*[1] * 6)), at("ShapeError", "w"), "CT-15", "another shape"),
    ("fisher-integers", "task_vector", DELTA, fisher(integers("I64", *[1] * 6, shape=[2, 3])),
     at("DtypeError", "w"), "CT-15", "integers"),
    ("fisher-lacks", "task_vector", {**DELTA, "b": f32(1, 1)}, {"fisher": ROOT_FISHER}, at("NamesError", "b"),
     "CT-15", "a tensor of the contribution has none"),
    ("fisher-extra", "task_vector", DELTA, {"fisher": {**ROOT_FISHER, "b": f32(1, 1)}}, at("NamesError", "b"),
     "CT-15", "a tensor that the contribution does not hold"),
    ("gram-asymmetric", "task_vector", DELTA, gram(f32(2, 1, 0, 1, 3, 1, 0, 0, 1, shape=[3, 3])),
     at("AuxiliaryError", "w", [2, 1]), "CT-15", "a matrix that is not symmetric"),
    ("gram-infinity", "task_vector", DELTA, gram(f32("inf", 1, 0, 1, 3, 0, 0, 0, 1, shape=[3, 3])),
     at("NonFinite", "w", [0, 0]), "CT-15", "an infinity"),
    ("gram-of-outputs", "task_vector", DELTA, gram(f32(2, 1, 1, 2, shape=[2, 2])), at("ShapeError", "w"), "CT-15",
     "a matrix of the outputs"),
    ("gram-of-a-vector", "task_vector", {"b": f32(1, 1)},
     {"gram": {"b": f32(1, 0, 0, 1, shape=[2, 2]), "b.gram_rows": integers("I64", 1, shape=[])}},
     at("ShapeError", "b"), "CT-15", "a vector is no linear layer"),
    ("gram-no-rows", "task_vector", DELTA, {"gram": {"w": GRAM["w"]}}, at("NamesError", "w.gram_rows"), "CT-15",
     "the number of rows is missing"),
    ("gram-zero-rows", "task_vector", DELTA, gram(rows=integers("I64", 0, shape=[])),
     at("AuxiliaryError", "w.gram_rows"), "CT-15", "no rows"),
    ("gram-float-rows", "task_vector", DELTA, gram(rows=f32(5, shape=[])), at("DtypeError", "w.gram_rows"), "CT-15",
     "a number of rows that is a float"),
    ("gram-rows-vector", "task_vector", DELTA, gram(rows=integers("I64", 5)), at("ShapeError", "w.gram_rows"),
     "CT-15", "a number of rows with an axis"),
]  # fmt: skip


def random_factors(random: Random) -> Json:
    """Factors of a rank up to 9 for a matrix of up to 4 by 4, in dtypes of all kinds."""
    dtype, rank = random.choose(["F32", "F32", "BF16", "F16", "F64"]), random.between(1, 9)
    m, n, spread = random.between(1, 4), random.between(1, 4), random.choose([4, 12, 60])

    def tensor(*shape: int) -> Json:
        bits = [narrow(number(random, spread), dtype) for _ in range(shape[0] * shape[1])]
        return tensor_of_bits(dtype, shape, bits).to_json()

    scale = random.choose(["1", "0.5", "0x3fb999999999999a", "0x4006a09e667f3bcd", "-16"])
    return m, n, factors("w", tensor(m, rank), tensor(rank, n), f64(scale, shape=[]))


def breadth(seed: int, count: int) -> list[Case]:
    random, cases = Random(seed), []
    while len(cases) < count:
        m, n, stored = random_factors(random)
        inputs = {"base": {"w": f32(*[0] * (m * n), shape=[m, n])}, "stored": stored}
        case = Case("formed-task-vector", f"form-random-{len(cases)}", "CT-14", "random factors", inputs)
        if "error" not in case.result():
            cases.append(case)
    return cases


CASES = [
    *(
        Case("formed-task-vector", f"form-{i}", clauses, why, {"base": base, "stored": stored},
             said if said is None or "rule" in said else {"tau": said})
        for i, base, stored, said, clauses, why in VECTORS
    ),
    *breadth(20, 24),
    *(
        Case("contribution", f"contribution-{i}", clauses, why,
             {"base": BASE, "form": form, "coefficient": "1", "tensors": tensors, "auxiliary": auxiliary}, said)
        for i, form, tensors, auxiliary, said, clauses, why in MADE
    ),
]  # fmt: skip
