"""TIES as other implementations compute it: the points of variation, and that ours is one of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import ml_dtypes
import numpy as np
import pytest

from mergealgebra.algebra.dialects import DIALECTS, POINTS, Dialect
from mergealgebra.engine.in_dialect import merge_in_dialect
from mergealgebra.errors import NamesError, NonFinite, RecipeError
from spec.trace import ROOT
from tests.spec.vectors import arrays, tagged, vectors

REFUSED = "refused"


def canonical_but(**options: str) -> Dialect:
    """The canonical dialect with other options at some points; `lambda_` is the point `lambda`."""
    options = {point.rstrip("_"): option for point, option in options.items()}
    canonical = DIALECTS["canonical"]
    return replace(canonical, options=MappingProxyType({**canonical.options, **options}))


def merged(dialect, task_vectors: Sequence[Sequence[float]], **parameters):
    """What a dialect makes of task vectors of one fp32 tensor, added to zeros, or REFUSED."""
    base = {"w": np.zeros(len(task_vectors[0]), np.float32)}
    try:
        result = merge_in_dialect(dialect, base, [{"w": np.float32(w)} for w in task_vectors], **parameters)
    except RecipeError:
        return REFUSED
    return result["w"].tolist()


TEN = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]


def top(count, of=TEN):
    return [x if x > len(of) - count else 0 for x in of]


@pytest.mark.clause("DI-2")
@pytest.mark.parametrize(("option", "count"), [("decimal", 29), ("double", 28), ("percent", 28)])
def test_density(option, count):
    """0.29 times 100 is 28.999999999999996 in binary64."""
    hundred = list(range(1, 101))
    assert merged(canonical_but(density=option), [hundred], density="0.29") == top(count, hundred)


@pytest.mark.clause("DI-2")
def test_a_density_above_1_may_be_percent():
    assert merged(canonical_but(density="percent"), [TEN], density="20") == top(2)


#: What is kept of ten elements, for densities 0.04, 0.25, 0.26 and 1.
KEPT = {
    "floor_min_1": (1, 2, 2, 10),
    "floor": (0, 2, 2, 10),
    "floor_not_0": (REFUSED, 2, 2, 10),
    "floor_plus_1": (1, 3, 3, REFUSED),
    "complement": (2, 4, 4, REFUSED),
    "complement_min_1": (2, 4, 4, 10),
    "ceil": (1, 3, 3, 10),
    "round_min_1": (1, 2, 3, 10),
    "percentile_nonzero": (1, 3, 3, 10),
}


@pytest.mark.clause("DI-3")
@pytest.mark.parametrize("option", POINTS["kept"])
def test_kept(option):
    for density, count in zip(("0.04", "0.25", "0.26", "1"), KEPT[option], strict=True):
        wanted = count if count == REFUSED else top(count)
        assert merged(canonical_but(kept=option), [TEN], density=density) == wanted, density


@pytest.mark.clause("DI-4")
@pytest.mark.parametrize(("option", "wanted"), [("model", ([0, 0], [3, 4])), ("tensor", ([0, 2], [0, 4]))])
def test_scope(option, wanted):
    base = {"a": np.zeros(2, np.float32), "b": np.zeros(2, np.float32)}
    model = {"a": np.float32([1, 2]), "b": np.float32([3, 4])}
    result = merge_in_dialect(canonical_but(scope=option), base, [model], density="0.5")
    assert tuple(result[name].tolist() for name in "ab") == wanted


@pytest.mark.clause("DI-5", "DI-18")
@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("keep_all", [1, 1, -1, 2]),
        ("lowest_index", [1, 0, 0, 2]),
        ("highest_index", [0, 0, -1, 2]),
        ("any", [1, 0, 0, 2]),
    ],
)
def test_boundary(option, wanted):
    assert merged(canonical_but(boundary=option), [[1, 1, -1, 2]], density="0.5") == wanted


@pytest.mark.clause("DI-6")
@pytest.mark.parametrize(("option", "kept"), [("fp32", 2), ("working", 1)])
def test_key(option, kept):
    """Two fp64 numbers that are one fp32 number."""
    model = {"w": np.array([1.0, 1 + 2.0**-40])}
    dialect = canonical_but(key=option, arithmetic="fp64")
    result = merge_in_dialect(dialect, {"w": np.zeros(2)}, [model], density="0.5")
    assert np.count_nonzero(result["w"]) == kept


@pytest.mark.clause("DI-7")
@pytest.mark.parametrize(("option", "wanted"), [("sum", 3), ("weighted_sum", -1), ("count", -1)])
def test_election(option, wanted):
    """Unweighted, 3 outweighs 1 and 1; with their coefficients, and by count, it does not."""
    assert merged(canonical_but(election=option), [[3], [-1], [-1]], coefficients=["1", "2", "2"]) == [wanted]


@pytest.mark.clause("DI-7")
def test_an_election_by_count_is_not_one_by_weighted_sum():
    assert merged(canonical_but(election="count"), [[9], [-1], [-1]]) == [-1]
    assert merged(canonical_but(election="weighted_sum"), [[9], [-1], [-1]]) == [9]


#: What is elected for 1 against -1, beside two coordinates of a sign, and beside one of each.
ZERO_SUMS = {
    "zero": (0, 0),
    "plus": (1, 1),
    "minus": (-1, -1),
    "majority_or_zero": (1, 0),
    "majority_or_minus": (1, -1),
}


@pytest.mark.clause("DI-8")
@pytest.mark.parametrize("option", POINTS["zero_sum"])
def test_zero_sum(option):
    beside_two, beside_each = ZERO_SUMS[option]
    assert merged(canonical_but(zero_sum=option), [[1, 5, 7], [-1, 5, 7]]) == [beside_two, 5, 7]
    assert merged(canonical_but(zero_sum=option), [[1, 5, -7], [-1, 5, -7]]) == [beside_each, 5, -7]


@pytest.mark.clause("DI-9")
@pytest.mark.parametrize(("option", "wanted"), [("mean", [-2, 2]), ("sum", [-4, 4]), ("max", [-3, 3])])
def test_aggregate(option, wanted):
    assert merged(canonical_but(aggregate=option), [[-3, 3], [-1, 1], [1, -1]]) == wanted


@pytest.mark.clause("DI-10")
@pytest.mark.parametrize(("option", "wanted"), [("coefficients", 5), ("count", 10), ("all", 5)])
def test_denominator(option, wanted):
    """5 with coefficient 2 agrees, -1 does not."""
    assert merged(canonical_but(denominator=option), [[5], [-1]], coefficients=["2", "1"]) == [wanted]


@pytest.mark.clause("DI-10")
def test_all_contributions_are_not_the_coefficients_of_those_that_agree():
    assert merged(canonical_but(denominator="all"), [[5], [-1]]) == [2.5]


@pytest.mark.clause("DI-11")
@pytest.mark.parametrize(("option", "wanted"), [("given", 12), ("normalised", 3), ("none", REFUSED)])
def test_coefficients(option, wanted):
    dialect = canonical_but(coefficients=option, aggregate="sum", arithmetic="fp32")
    wanted = wanted if wanted == REFUSED else [wanted]
    assert merged(dialect, [[4], [-1]], coefficients=["3", "1"]) == wanted


@pytest.mark.clause("DI-12")
@pytest.mark.parametrize(("option", "wanted"), [("after", [6]), ("none", REFUSED)])
def test_lambda(option, wanted):
    assert merged(canonical_but(lambda_=option), [[4]], lambda_="1.5") == wanted


@pytest.mark.clause("DI-13")
@pytest.mark.parametrize(("option", "wanted"), [("merged", [0, 2]), ("returned", [1, 2])])
def test_alone(option, wanted):
    assert merged(canonical_but(alone=option), [[1, 2]], density="0.5") == wanted


@pytest.mark.clause("DI-14", "DI-19")
@pytest.mark.parametrize(("option", "finds_it"), [("exact", True), ("fp32", False), ("fp64", True), ("storage", False)])
def test_arithmetic(option, finds_it):
    """1 decides between 2^24 and -2^24; in fp32 it is lost unless it comes last."""
    large, dialect = 2.0**24, canonical_but(arithmetic=option)
    assert (merged(dialect, [[1], [large], [-large]])[0] > 0) is finds_it
    assert merged(dialect, [[large], [-large], [1]])[0] > 0


@pytest.mark.clause("DI-14")
def test_sums_of_narrow_numbers_round_once():
    """256 + 1 + 1 is 258 in bfloat16, though 256 + 1 is 256."""
    base = {"w": np.zeros(1, ml_dtypes.bfloat16)}
    models = [{"w": np.array([x], ml_dtypes.bfloat16)} for x in (256, 1, 1)]
    result = merge_in_dialect(canonical_but(arithmetic="storage", aggregate="sum"), base, models)
    assert result["w"].astype(np.float32).tolist() == [258]


@pytest.mark.clause("DI-15")
@pytest.mark.parametrize(("option", "wanted"), [("base", ml_dtypes.bfloat16), ("working", np.float32)])
def test_output(option, wanted):
    base = {"w": np.zeros(1, ml_dtypes.bfloat16)}
    result = merge_in_dialect(canonical_but(output=option), base, [{"w": np.ones(1, ml_dtypes.bfloat16)}])
    assert result["w"].dtype == wanted


@pytest.mark.clause("DI-16")
def test_non_finite():
    with pytest.raises(NonFinite, match=r"model 1: tensor 'w': element 1 "):
        merged(canonical_but(), [[1, 2], [3, np.inf]])
    with np.errstate(invalid="ignore"):
        assert merged(canonical_but(non_finite="propagate", arithmetic="fp32"), [[1, np.inf]]) == [1, np.inf]
        assert merged(canonical_but(non_finite="zero", arithmetic="fp32"), [[1, np.inf]]) == [1, 0]


@pytest.mark.clause("DI-17")
@pytest.mark.parametrize(("option", "wanted"), [("absent", [4, 2]), ("same", NamesError), ("common", [4, 0])])
def test_keys(option, wanted):
    base = {"a": np.zeros(1, np.float32), "b": np.zeros(1, np.float32)}
    models = [{"a": np.float32([5]), "b": np.float32([2])}, {"a": np.float32([3])}]
    if isinstance(wanted, type):
        with pytest.raises(wanted, match="model 1 lacks tensor 'b'"):
            merge_in_dialect(canonical_but(keys=option), base, models)
    else:
        result = merge_in_dialect(canonical_but(keys=option), base, models)
        assert [result["a"].item(), result["b"].item()] == wanted


#: What three implementations, run on these inputs, made of them. None stands for any of the tied ones.
SEEN = {
    "the paper's trim": ([[1, -2, 2, 1, 3]], "0.2", [0, -2, 2, 0, 3], [0, 0, 0, 0, 3], [0, 0, 0, 0, 3]),
    "no ties": ([[1, 2, 3, 4, 5]] * 2, "0.5", [0, 0, 3, 4, 5], [0, 0, 0, 4, 5], [0, 0, 0, 4, 5]),
    "all tie": ([[1, 1, 1, 1]] * 2, "0.5", [1, 1, 1, 1], None, None),
    "an even election": ([[1, 3], [-1, 3]], "0.6", [1, 3], [0, 3], [0, 3]),
    "a single even election": ([[1], [-1]], "0.9", [-1], [1], [0]),
}


@pytest.mark.clause("DI-1")
@pytest.mark.parametrize("case", SEEN)
def test_known_implementations_differ_as_they_do(case):
    task_vectors, density, *wanted = SEEN[case]
    for name, values in zip(("authors", "mergekit-0.1.5", "peft-0.21"), wanted, strict=True):
        result = merged(DIALECTS[name], task_vectors, density=density)
        assert result == values if values is not None else np.count_nonzero(result) == 2, name


@pytest.mark.clause("DI-1")
def test_an_open_point_has_to_be_settled():
    with pytest.raises(RecipeError, match=r"dialect paper leaves density, kept, .* open"):
        merge_in_dialect(DIALECTS["paper"], {}, [{}])


def test_every_dialect_takes_options_that_there_are():
    for dialect in DIALECTS.values():
        assert dialect.options.keys() == POINTS.keys()
        assert all(option is None or option in POINTS[point] for point, option in dialect.options.items())
        assert dialect.name == "paper" or None not in dialect.options.values()


MERGES = [
    vector
    for vector in vectors()
    if vector.check == "merge"
    and vector.input["recipe"]["method"] == "ties"
    and vector.error is None
    and all(contribution["form"] == "finetuned" for contribution in vector.input["contributions"])
]


@pytest.mark.clause("DI-1")
@pytest.mark.parametrize("vector", MERGES, ids=lambda vector: vector.id)
def test_the_canonical_dialect_is_the_specification(vector):
    recipe, contributions = vector.input["recipe"], vector.input["contributions"]
    options = {key: recipe[key] for key in ("scope", "boundary") if key in recipe}
    result = merge_in_dialect(
        canonical_but(**options),
        arrays(vector.input["base"]),
        [arrays(contribution["tensors"]) for contribution in contributions],
        density=recipe.get("density", "1"),
        lambda_=recipe.get("lambda", "1"),
        coefficients=[contribution["coefficient"] for contribution in contributions],
    )
    assert tagged(result) == vector.expected["tensors"]


@pytest.mark.clause("DI-1")
def test_the_specification_lists_what_the_code_has():
    text = (ROOT / "spec" / "dialects.md").read_text()
    for number, (point, options) in enumerate(POINTS.items(), 2):
        start = text.index(f"- **DI-{number}** `{point}`: ")
        clause = text[start : text.find("\n- **", start + 1)]
        assert dict(re.findall(r"^  \| `(\w+)` \| (.+) \|$", clause, re.MULTILINE)) == options
    for point in POINTS:
        row = " | ".join(dialect[point] or "open" for dialect in DIALECTS.values())
        assert f"| `{point}` | {row} |" in text
    for dialect in DIALECTS.values():
        assert f"- `{dialect.name}`: {dialect.of}." in text
