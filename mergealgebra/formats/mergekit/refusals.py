"""What a merge refuses of a mergekit file's numbers and models, told with the file, the line and its keys [MK-1]."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from mergealgebra.errors import CoefficientError, DecimalError, NamesError, NonFinite, RecipeError
from mergealgebra.formats.mergekit.document import Document, Reference
from mergealgebra.tensors.forms import Held
from mergealgebra.text import location

_LABEL: Final = re.compile(r"models\[(\d+)\] \(.*?\): ")
_ENTRY: Final = re.compile(r"^settings\[\d+\]: ")
#: What a merge advises somebody who wrote Python.
_LEAVE: Final = re.compile(r"; leave (it|them) out with leave=\[?.*\Z", re.DOTALL)


@contextmanager
def told_with_lines(document: Document, models: Sequence[tuple[Reference, Held]]) -> Iterator[None]:
    """Raise what is refused with the line of the model that it is about, else of the merge."""
    try:
        yield
    except (CoefficientError, DecimalError, NamesError, NonFinite, RecipeError) as error:
        text = str(error)
        if text.startswith(location(document.where.path)):
            raise
        raise type(error)(_with_line(text, document, models)) from None


def _with_line(text: str, document: Document, models: Sequence[tuple[Reference, Held]]) -> str:
    if found := _LABEL.match(text):
        reference, text = models[int(found[1])][0], text[found.end() :]
    else:
        own = (reference for reference, held in models if text.startswith(f"{location(held.path)}: "))
        if (reference_or_none := next(own, None)) is None:
            return f"{document.where}: {text}"
        reference, text = reference_or_none, text.partition(": ")[2]
    text = re.sub(r"^coefficient\b", "`weight`", _ENTRY.sub("", text))
    advice = r"; name layers that all models have under `slices`, or leave \1 out with --leave PATTERN"
    return f"{reference.where}: {reference.text}: {_LEAVE.sub(advice, text)}"
