"""Which vocabulary a merged model is to have, as mergekit's files and ours say it [TK-2, TK-5]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

BASE: Final = "base"
UNION: Final = "union"


@dataclass(frozen=True)
class TokenRow:
    """Where the row of a token comes from, in place of what the base has: mergekit's `tokens` [TK-5].

    model: the path of a model of the merge, or of the base; None for zeros. token: of which the row is, itself or its
    number there; None for the token that is spoken of. force: whether all models have this row, also those with the
    token; else the base has it where it lacks the token, and so have models that lack it.
    """

    model: Path | None = None
    token: str | int | None = None
    force: bool = False


@dataclass(frozen=True)
class Wanted:
    """source: BASE, UNION, or the path of the model whose tokenizer the merged model gets; None where nobody said.

    tokens: rows for some. pad_to_multiple_of: the rows of the merged model are filled up with zeros to a multiple of
    this. chat_template: as of `with_template`; empty for none [TK-8].
    """

    source: str | Path | None = BASE
    tokens: Mapping[str, TokenRow] = field(default_factory=dict)
    pad_to_multiple_of: int | None = None
    chat_template: str = ""
