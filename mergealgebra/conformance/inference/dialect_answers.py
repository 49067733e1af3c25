"""What a dialect answers, and whether an answer is the dialect's, bit for bit.

Where the dialect leaves the choice among ties to the sort, every choice is right [DI-18].
"""

from __future__ import annotations

from mergealgebra.conformance.inference.tie_choices import is_a_choice
from mergealgebra.dialects.merge import merge_in_dialect
from mergealgebra.dialects.points import Dialect
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.targets.differences import same_bits
from mergealgebra.targets.questions import Answer, Merged, Question, Refused


def computed(dialect: Dialect, question: Question) -> Answer:
    """What the dialect answers; of tied elements it takes the first."""
    try:
        return Merged(
            merge_in_dialect(
                dialect,
                question.base,
                question.models,
                density=question.density,
                lambda_=question.lambda_,
                coefficients=question.coefficients,
            )
        )
    except MergeAlgebraError as error:
        return Refused(str(error))


def agrees(dialect: Dialect, question: Question, answer: Answer) -> bool:
    """Whether an answer is the dialect's: a refusal where that refuses, else its dtypes and bits."""
    wanted = computed(dialect, question)
    if not (isinstance(wanted, Merged) and isinstance(answer, Merged)):
        return isinstance(wanted, Refused) and isinstance(answer, Refused)
    if {name: array.shape for name, array in answer.tensors.items()} != {n: a.shape for n, a in wanted.tensors.items()}:
        return False
    if all(same_bits(answer.tensors[name], array) for name, array in wanted.tensors.items()):
        return True
    return dialect["boundary"] == "any" and is_a_choice(dialect, question, answer.tensors)
