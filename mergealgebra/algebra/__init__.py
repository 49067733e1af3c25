"""Pure equations on fp32 and fp64 arrays, NumPy or torch, exact wherever they sum.

One namespace for whoever writes a method: a name is looked up when it is first used (PEP 562), so that a method's file
can be read, and a recipe checked, before an array library is loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from mergealgebra.algebra.arrays import Array, array_namespace, either, kept, to_numpy
    from mergealgebra.algebra.decimals import exact_density
    from mergealgebra.algebra.divergence import RankedImportances, importance
    from mergealgebra.algebra.dots import Dots, Dotted
    from mergealgebra.algebra.elementary import exp, log, tanh
    from mergealgebra.algebra.exact import Coefficients, Sums
    from mergealgebra.algebra.masks import keep_below, mask_key, words, words_from, words_of
    from mergealgebra.algebra.method import Columns, Gram, Look, Round, Stage, Statistic, Terms, View, WholeRound
    from mergealgebra.algebra.needs import Needs
    from mergealgebra.algebra.outliers import CutLargest
    from mergealgebra.algebra.quantity import Of
    from mergealgebra.algebra.ranked import Ranked
    from mergealgebra.algebra.rounded import product, quotient, scaled
    from mergealgebra.algebra.rows import CutLargestOfRows, TrimRows, by_rank, row_length
    from mergealgebra.algebra.tally import Tally
    from mergealgebra.algebra.thresholds import Thresholds, Trim
    from mergealgebra.algebra.trim import magnitude_bits

_HOMES = {
    "Array": "arrays",
    "Coefficients": "exact",
    "Columns": "method",
    "CutLargest": "outliers",
    "CutLargestOfRows": "rows",
    "Dots": "dots",
    "Dotted": "dots",
    "Gram": "method",
    "Look": "method",
    "Needs": "needs",
    "Ranked": "ranked",
    "RankedImportances": "divergence",
    "Of": "quantity",
    "Round": "method",
    "Stage": "method",
    "Statistic": "method",
    "Sums": "exact",
    "Tally": "tally",
    "Terms": "method",
    "Thresholds": "thresholds",
    "Trim": "thresholds",
    "TrimRows": "rows",
    "View": "method",
    "WholeRound": "method",
    "array_namespace": "arrays",
    "by_rank": "rows",
    "either": "arrays",
    "exact_density": "decimals",
    "exp": "elementary",
    "importance": "divergence",
    "keep_below": "masks",
    "kept": "arrays",
    "log": "elementary",
    "magnitude_bits": "trim",
    "mask_key": "masks",
    "product": "rounded",
    "quotient": "rounded",
    "row_length": "rows",
    "scaled": "rounded",
    "tanh": "elementary",
    "to_numpy": "arrays",
    "words": "masks",
    "words_from": "masks",
    "words_of": "masks",
}

__all__ = [
    "Array",
    "Coefficients",
    "Columns",
    "CutLargest",
    "CutLargestOfRows",
    "Dots",
    "Dotted",
    "Gram",
    "Look",
    "Needs",
    "Of",
    "Ranked",
    "RankedImportances",
    "Round",
    "Stage",
    "Statistic",
    "Sums",
    "Tally",
    "Terms",
    "Thresholds",
    "Trim",
    "TrimRows",
    "View",
    "WholeRound",
    "array_namespace",
    "by_rank",
    "either",
    "exact_density",
    "exp",
    "importance",
    "keep_below",
    "kept",
    "log",
    "magnitude_bits",
    "mask_key",
    "product",
    "quotient",
    "row_length",
    "scaled",
    "tanh",
    "to_numpy",
    "words",
    "words_from",
    "words_of",
]


def __getattr__(name: str) -> "Any":
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'mergealgebra.algebra' has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(f"mergealgebra.algebra.{home}"), name)  # it is not asked again
    return found
