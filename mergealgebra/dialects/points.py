"""The points on which implementations of TIES differ, the options at each, and who takes which [DI-1].

The paper's Algorithm 1 settles some points; the rest was decided in code, in different ways. What stands here is data:
`dialects/merge.py` computes what it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

#: The points, with what an implementation does that takes an option. rho: the density; d: the elements of a group;
#: m: the rank of the threshold t among the magnitudes, the largest first [DI-2 to DI-17].
POINTS: Final[Mapping[str, Mapping[str, str]]] = {
    "density": {
        "decimal": "rho is the decimal number as written",
        "double": "rho is the nearest binary64 number, and products with it are rounded to binary64",
        "percent": "as `double`, and what is above 1 is divided by 100",
        "drop_rate": "1 - rho, written as a decimal, is the nearest binary64 number, and products with it are rounded",
    },
    "kept": {
        "floor_min_1": "m = max(1, floor(rho d))",
        "floor": "m = floor(rho d); 0 keeps nothing",
        "floor_not_0": "m = floor(rho d); 0 is an error",
        "floor_plus_1": "m = floor(rho d) + 1; above d is an error",
        "complement": "m = d - floor((1 - rho) d) + 1; above d is an error",
        "complement_min_1": "m = d - max(1, floor((1 - rho) d)) + 1",
        "ceil": "m = ceil(rho d)",
        "round_min_1": "m = max(1, rho d rounded to the nearest integer, halves to even)",
        "percentile_nonzero": "t is the (1 - rho)-quantile of the non-zero magnitudes, interpolated linearly",
    },
    "scope": {
        "model": "a group is the whole task vector",
        "tensor": "a group is one tensor",
    },
    "boundary": {
        "keep_all": "all that tie with t are kept",
        "lowest_index": "m elements are kept: of those that tie with t, the first",
        "highest_index": "m elements are kept: of those that tie with t, the last",
        "any": "m elements are kept: of those that tie with t, the ones that the sort leaves in front",
        "none": "none that ties with t is kept, only what is above t",
    },
    "key": {
        "fp32": "magnitudes are compared as binary32 numbers",
        "working": "magnitudes are compared as they are held",
    },
    "election": {
        "sum": "the sign of the sum of the trimmed values",
        "weighted_sum": "the sign of the sum of the trimmed values times their coefficients",
        "count": "the sign that more contributions have, whatever the size of their values",
    },
    "zero_sum": {
        "zero": "the merged value is 0",
        "plus": "the sign is +",
        "minus": "the sign is -",
        "majority_or_zero": "the sign that more coordinates of the group elected; if none, the merged value is 0",
        "majority_or_minus": "the sign that more coordinates of the group elected; if none, -",
    },
    "aggregate": {
        "mean": "the agreeing values are averaged",
        "sum": "the agreeing values are added",
        "max": "the agreeing value of the largest magnitude is taken",
    },
    "denominator": {
        "coefficients": "the mean divides by the sum of the coefficients of the agreeing values",
        "count": "the mean divides by the number of agreeing values",
        "kept": "the mean divides by the number of kept values other than 0, agreeing or not",
        "kept_coefficients": "the mean divides by the sum of the coefficients of those kept values, agreeing or not",
        "all": "the mean divides by the number of contributions",
    },
    "coefficients": {
        "given": "values count times their coefficients",
        "normalised": "values count times their coefficients divided by the sum of all coefficients",
        "none": "there are no coefficients",
    },
    "lambda": {
        "after": "lambda times the merged task vector is added to the base",
        "after_once": "as `after`, with one rounding for product and sum in binary32",
        "none": "the merged task vector is added to the base, or left to the caller",
    },
    "alone": {
        "merged": "one contribution is trimmed and merged as several are",
        "returned": "one contribution is the result, untrimmed",
    },
    "arithmetic": {
        "exact": "sums are exact, and rounded where TI-8 and MG-3 say",
        "fp32": "each operation rounds to binary32, sums run in the order of the list",
        "fp64": "each operation rounds to binary64, sums run in the order of the list",
        "storage": "each operation rounds to the base's dtype, sums of narrow ones once, at their end, in list order",
        "storage_to_sum": "as `storage` up to the sums of agreeing values; the quotient and what follows in binary32",
        "storage_to_election": "as `storage`, but for the sums of agreeing values and their quotient, in binary32",
    },
    "output": {
        "base": "the merged tensors have the base's dtypes",
        "working": "the merged tensors have the dtype in which they were computed",
    },
    "non_finite": {
        "error": "infinities and NaN are refused",
        "propagate": "infinities and NaN go through the arithmetic",
        "zero": "merged values that are not finite become 0",
    },
    "keys": {
        "absent": "a contribution has no votes in a tensor that it lacks",
        "same": "contributions that lack a tensor are refused",
        "common": "a tensor that some contribution lacks stays as the base has it",
    },
}


@dataclass(frozen=True)
class Dialect:
    """One way to compute TIES: an option at every point, None where its source leaves the point open [DI-1].

    of: what computes so, with its version. defaults: the parameters that it takes when none are given.
    """

    name: str
    of: str
    options: Mapping[str, str | None]
    defaults: Mapping[str, str]

    def __getitem__(self, point: str) -> str | None:
        return self.options[point]


_CANONICAL: Final = {
    "density": "decimal",
    "kept": "floor_min_1",
    "scope": "model",
    "boundary": "keep_all",
    "key": "fp32",
    "election": "weighted_sum",
    "zero_sum": "zero",
    "aggregate": "mean",
    "denominator": "coefficients",
    "coefficients": "given",
    "lambda": "after",
    "alone": "merged",
    "arithmetic": "exact",
    "output": "base",
    "non_finite": "error",
    "keys": "absent",
}
_PAPER: Final = dict.fromkeys(POINTS) | {
    "scope": "model",
    "election": "sum",
    "aggregate": "mean",
    "denominator": "count",
    "coefficients": "none",
    "lambda": "after",
    "alone": "merged",
}
_AUTHORS: Final = _PAPER | {
    "density": "percent",
    "kept": "floor_plus_1",
    "boundary": "keep_all",
    "key": "working",
    "zero_sum": "majority_or_minus",
    "arithmetic": "storage_to_sum",
    "output": "working",
    "non_finite": "propagate",
    "keys": "same",
}
_MERGEKIT: Final = _CANONICAL | {
    "density": "double",
    "scope": "tensor",
    "boundary": "any",
    "zero_sum": "plus",
    "arithmetic": "storage",
    "non_finite": "propagate",
    "keys": "same",
}
_MERGEKIT_0_1_4: Final = _MERGEKIT | {"kept": "floor_not_0"}
_PEFT: Final = _MERGEKIT | {
    "kept": "floor",
    "key": "working",
    "election": "sum",
    "denominator": "count",
    "lambda": "none",
    "arithmetic": "storage_to_election",
}
_FUSION_BENCH: Final = _AUTHORS | {"aggregate": "sum", "arithmetic": "storage", "output": "base"}
_MERGELM: Final = _AUTHORS | {"density": "drop_rate", "kept": "complement", "zero_sum": "majority_or_zero"}
_CRDT_MERGE: Final = _CANONICAL | {
    "density": "double",
    "kept": "percentile_nonzero",
    "scope": "tensor",
    "key": "working",
    "election": "count",
    "denominator": "count",
    "coefficients": "normalised",
    "lambda": "none",
    "alone": "returned",
    "arithmetic": "fp64",
    "output": "working",
    "non_finite": "propagate",
    "keys": "same",
}
_SD_MECHA: Final = _AUTHORS | {
    "density": "double",
    "kept": "complement_min_1",
    "scope": "tensor",
    "key": "fp32",
    "election": "count",
    "zero_sum": "zero",
    "lambda": "after_once",
    "arithmetic": "fp32",
    "non_finite": "zero",
}


def _dialect(name: str, of: str, options: Mapping[str, str | None], **defaults: str) -> Dialect:
    return Dialect(name, of, MappingProxyType({point: options[point] for point in POINTS}), MappingProxyType(defaults))


DIALECTS: Final[Mapping[str, Dialect]] = {
    dialect.name: dialect
    for dialect in (
        _dialect("canonical", "this specification", _CANONICAL, density="1", lambda_="1"),
        _dialect("paper", "Algorithm 1 of Yadav et al., NeurIPS 2023", _PAPER, density="0.2", lambda_="1"),
        _dialect("authors", "the authors' code, src/utils/merge_utils.py", _AUTHORS, density="20", lambda_="1"),
        _dialect("mergekit-0.1.5", "mergekit 0.1.5, method ties", _MERGEKIT, density="1", lambda_="1"),
        _dialect("mergekit-0.1.4", "mergekit 0.1.4, method ties", _MERGEKIT_0_1_4, density="1", lambda_="1"),
        _dialect("peft-0.21", "peft 0.21, peft.utils.merge_utils.ties", _PEFT),
        _dialect("fusion-bench-0.2", "fusion-bench 0.2, ties_merging", _FUSION_BENCH, density="20", lambda_="0.3"),
        _dialect("mergelm", "MergeLM, merging_methods.py", _MERGELM, density="0.2", lambda_="1"),
        _dialect("crdt-merge-0.11", "crdt-merge 0.11, TIESMerge", _CRDT_MERGE, density="0.2"),
        _dialect("sd-mecha-1.1", "sd-mecha 1.1, ties_sum", _SD_MECHA, density="1", lambda_="1"),
    )
}
