"""The looks of arcee fusion by compiled code, around exp and log of NumPy [AF-2 to AF-4]."""

from __future__ import annotations

from typing import Any

import numpy as np

from mergealgebra.algebra.divergence import RankedImportances, row_divergences
from mergealgebra.algebra.dots import CHUNK
from mergealgebra.algebra.method import View
from mergealgebra.algebra.rows import row_length
from mergealgebra.kernels.calls import CompiledCode, address
from mergealgebra.kernels.fused import table as word
from mergealgebra.kernels.reference import Host


def observe(code: CompiledCode, base: Host, statistic: RankedImportances, look: Any, view: View, seen: Any) -> Any:
    """As `RankedImportances.observe`, to the same bits and counts."""
    code.load("centred_block", "shares_block", "divergences_block", "importances_block")
    change, columns = np.ascontiguousarray(statistic.tau(view)), row_length(view)
    counts, rows = seen
    if look is None:
        moved = _divergences(code, base, change, columns)
        rows[view.start] = columns, moved
    else:
        moved = look.moved.between(view.start, view.start + change.size)
    highs = [] if look is None else [[high] + [0] * (word.ROW - 1) for high, _ in look.ranked]
    asked = {
        word.COLUMNS: columns,
        word.VECTORS: address(change),
        word.DIVERGENCES: address(moved),
        word.COUNTED: address(counts),
    }
    code.call("importances_block", base, highs, asked)
    return seen


def _divergences(code: CompiledCode, base: Host, change: Host, columns: int) -> Host:
    """As `row_divergences`, which takes over where a number is not finite or exp or log have no certificate."""
    wide, old = np.empty((2, change.size)), np.empty(change.size, np.float32)
    found, folded = np.empty(change.size // columns), np.empty(CHUNK // 2 + columns // CHUNK + 1)
    asked = {
        word.COLUMNS: columns,
        word.VECTORS: address(change),
        word.WIDE: address(wide),
        word.FOLDED: address(folded),
        word.DIVERGENCES: address(old),
    }
    if not code.call("centred_block", base, [], asked):
        return np.asarray(row_divergences(base, change, columns))
    np.exp(wide, out=wide)
    if not code.call("shares_block", base, [], asked):
        return np.asarray(row_divergences(base, change, columns))
    np.log(wide[1], out=wide[1])
    if not code.call("divergences_block", base, [], asked | {word.DIVERGENCES: address(found)}):
        return np.asarray(row_divergences(base, change, columns))
    return found
