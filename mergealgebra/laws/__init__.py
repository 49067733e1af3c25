"""Laws of merge functions, and the search for counterexamples to them: `check(merge)`.

    from mergealgebra import laws
    for verdict in laws.check(merge):      # merge(base, task_vectors) -> merged model, of mappings name -> array
        print(verdict.law, verdict)        # holds in N tries, holds but for rounding, broken, does not apply, or error
        print(verdict.counterexample)      # a Python program that runs by itself

No merge keeps every law on every input. Let x . y merge two: with order independence and sign symmetry x . -x is 0,
and then, with idempotence and identity of zero, (x . x) . -x = 0, but x . (x . -x) = x. So associativity is asked where
no two of the three are exact opposites; then all laws can hold together.
"""

from mergealgebra.laws.checker import check
from mergealgebra.laws.table import LAWS, Law
from mergealgebra.laws.verdict import Verdict
from mergealgebra.targets.merge_functions import Target, target

__all__ = ["LAWS", "Law", "Target", "Verdict", "check", "target"]
