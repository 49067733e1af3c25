"""TIES as other implementations compute it: the points of variation, and that ours is one of them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mergealgebra.dialects.merge import merge_in_dialect
from mergealgebra.dialects.points import DIALECTS, POINTS
from mergealgebra.errors import NamesError
from spec.trace import ROOT
from tests.dialects.cases import REFUSED, canonical_but, merged
from tests.spec.vectors import arrays, tagged, vectors


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
@pytest.mark.parametrize(
    ("option", "wanted"),
    [("coefficients", 5), ("count", 15), ("kept", 7.5), ("kept_coefficients", 3.75), ("all", 7.5)],
)
def test_denominator(option, wanted):
    """5 with coefficient 3 agrees, -1 does not."""
    assert merged(canonical_but(denominator=option), [[5], [-1]], coefficients=["3", "1"]) == [wanted]


@pytest.mark.clause("DI-10")
def test_all_contributions_are_not_the_coefficients_of_those_that_agree():
    assert merged(canonical_but(denominator="all"), [[5], [-1]]) == [2.5]


@pytest.mark.clause("DI-10")
@pytest.mark.parametrize(("option", "wanted"), [("kept", 3), ("kept_coefficients", 3), ("all", 2)])
def test_what_moved_nothing_is_not_kept(option, wanted):
    assert merged(canonical_but(denominator=option), [[6], [-1], [0]]) == [wanted]


@pytest.mark.clause("DI-11")
@pytest.mark.parametrize(("option", "wanted"), [("given", 12), ("normalised", 3), ("none", REFUSED)])
def test_coefficients(option, wanted):
    dialect = canonical_but(coefficients=option, aggregate="sum", arithmetic="fp32")
    wanted = wanted if wanted == REFUSED else [wanted]
    assert merged(dialect, [[4], [-1]], coefficients=["3", "1"]) == wanted


@pytest.mark.clause("DI-12")
@pytest.mark.parametrize(("option", "wanted"), [("after", [6]), ("after_once", [6]), ("none", REFUSED)])
def test_lambda(option, wanted):
    assert merged(canonical_but(lambda_=option), [[4]], lambda_="1.5") == wanted


@pytest.mark.clause("DI-13")
@pytest.mark.parametrize(("option", "wanted"), [("merged", [0, 2]), ("returned", [1, 2])])
def test_alone(option, wanted):
    assert merged(canonical_but(alone=option), [[1, 2]], density="0.5") == wanted


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
    and "settings" not in vector.input["recipe"]
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
