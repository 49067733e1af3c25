"""The rows of one vocabulary, from the base and the models: which row stands where [TK-3, TK-4, TK-5]."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Final

import numpy as np

from mergealgebra.errors import TokenizerError
from mergealgebra.formats.tokenizers.vocabulary import Vocabulary
from mergealgebra.formats.tokenizers.wanted import TokenRow
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.derived import MEAN, ZEROS, Host, Rows, derived, wider
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.tensors.tied import EMBEDDINGS, is_vocabulary
from mergealgebra.text import location, shown

#: Besides heads and embeddings, what has an element for each token.
_BIASES: Final = ("lm_head.bias", "embed_out.bias", "cls.predictions.bias", "cls.predictions.decoder.bias")


@dataclass(frozen=True)
class Member:
    """The base or a model, and its vocabulary."""

    held: Checkpoint
    vocabulary: Vocabulary

    def numbers(self, tokens: Sequence[str | None], name: str) -> Host:
        """Where it has the rows of these tokens in one of its tensors; -1 where it has none."""
        return np.array(self.vocabulary.numbers_of(tokens, rows_of(self.held, name)), np.int64)


@dataclass(frozen=True)
class Target:
    """The vocabulary that all are brought to. tokens: by number. rows: of a tensor, by its name. chosen: mergekit's."""

    tokens: Sequence[str | None]
    rows: Callable[[str], int]
    chosen: Mapping[str, TokenRow]

    def row_tokens(self, name: str) -> list[str | None]:
        """The token of each row of a tensor; None for padding."""
        rows = self.rows(name)
        return [*self.tokens[:rows], *[None] * (rows - len(self.tokens))]


def vocabulary_tensors(held: Checkpoint) -> list[str]:
    """The tensors of a model that have a row for each token; none of a model of parts."""
    if held.parts:
        return []
    return [name for name, record in held.records.items() if record.shape and _has_tokens(name)]


def _has_tokens(name: str) -> bool:
    return is_vocabulary(name) or any(name == end or name.endswith(f".{end}") for end in _BIASES)


def rows_of(held: Checkpoint, name: str) -> int:
    """How many rows a tensor has, or another one with a row for each token where that is not there; 0 for none."""
    names = [name] if name in held.records else vocabulary_tensors(held)
    return held.records[names[0]].shape[0] if names else 0


def width_of(record: TensorRecord) -> int:
    """The elements of a row."""
    return prod(record.shape[1:])


def on_target(base: Member, models: Sequence[Member], target: Target) -> Checkpoint:
    """The base with the rows of the target [TK-4]; itself where those are its own. Raises TokenizerError."""
    names = vocabulary_tensors(base.held)
    same = base.vocabulary.tokens == target.tokens and not target.chosen
    if same and all(target.rows(name) == base.held.records[name].shape[0] for name in names):
        return base.held
    return base.held.with_derived({name: _base_record(name, base, models, target) for name in names})


def _base_record(name: str, base: Member, models: Sequence[Member], target: Target) -> TensorRecord:
    record, tokens = base.held.records[name], target.row_tokens(name)
    members = (base, *models)
    has = [_fits(member, name, record) for member in members]
    numbers = [
        m.numbers(tokens, name) if fits else np.full(len(tokens), -1) for m, fits in zip(members, has, strict=True)
    ]
    own, means = numbers[0], list[list[tuple[int, int]]]()
    which, at = np.where(own >= 0, 0, ZEROS), np.where(own >= 0, own, np.arange(len(tokens)))
    for row in np.flatnonzero(own < 0).tolist():
        donors = [(k, int(of[row])) for k, of in enumerate(numbers) if of[row] >= 0]
        if tokens[row] is None:
            if _is_padding(base, row, record.shape[0]):
                which[row] = 0
        elif len(donors) == 1:
            ((which[row], at[row]),) = donors
        elif donors:
            which[row], at[row] = MEAN, len(means)
            means.append(donors)
    for token, chosen in target.chosen.items():
        row = target.tokens.index(token)
        if row < len(tokens) and (chosen.force or own[row] < 0):
            which[row], at[row] = _chosen(token, chosen, name, members)
    sources = [(member.held, name) for member in members]
    made = Rows(record.dtype, width_of(record), sources, which, at, means)
    return derived(record, record.dtype, len(tokens), made)


def _fits(member: Member, name: str, record: TensorRecord) -> bool:
    """Whether a member has rows of this tensor that are as wide."""
    theirs = member.held.records.get(name)
    return theirs is not None and theirs.shape[1:] == record.shape[1:] and theirs.shape != ()


def _is_padding(base: Member, row: int, rows: int) -> bool:
    """Whether the base has a row with this number, and no token of it."""
    tokens = base.vocabulary.tokens
    return row < rows and (row >= len(tokens) or tokens[row] is None)


def _chosen(token: str, chosen: TokenRow, name: str, members: Sequence[Member]) -> tuple[int, int]:
    """The source and the row that were chosen for a token [TK-5]. Raises TokenizerError."""
    if chosen.model is None:
        return ZEROS, 0
    real = chosen.model.resolve()
    k = next((k for k, member in enumerate(members) if member.held.path.resolve() == real), None)
    if k is None:
        raise TokenizerError(
            f"{location(chosen.model)}, named for the token {shown(token)}, is not in the merge; add it"
        )
    wanted = token if chosen.token is None else chosen.token
    number = members[k].vocabulary.ids.get(wanted, -1) if isinstance(wanted, str) else wanted
    rows = rows_of(members[k].held, name)
    if not 0 <= number < rows or name not in members[k].held.records:
        raise TokenizerError(
            f"{location(chosen.model)} has no row of {shown(wanted)}, named for the token {shown(token)}, "
            f"among its {rows:,}"
        )
    return k, number


def model_on_target(model: Member, base: Checkpoint, target: Target) -> Checkpoint:
    """A model with the rows of the target; those of tokens that it lacks are the base's, which is on it [TK-3]."""
    found = {}
    same = model.vocabulary.tokens == target.tokens
    forced = [target.tokens.index(token) for token, chosen in target.chosen.items() if chosen.force]
    for name in vocabulary_tensors(model.held):
        record = model.held.records[name]
        under = _under(name, record, base)
        if under is None or (same and not forced and target.rows(name) == record.shape[0]):
            continue
        tokens = target.row_tokens(name)
        own = model.numbers(tokens, name)
        own[[row for row in forced if row < len(tokens)]] = -1
        which, at = np.where(own >= 0, 0, 1), np.where(own >= 0, own, np.arange(len(tokens)))
        dtype = wider(record.dtype, base.records[under].dtype) if which.any() else record.dtype
        made = Rows(dtype, width_of(record), [(model.held, name), (base, under)], which, at)
        found[name] = derived(record, dtype, len(tokens), made)
    return model.held.with_derived(found) if found else model.held


def _under(name: str, record: TensorRecord, base: Checkpoint) -> str | None:
    """The base's tensor whose rows stand in for those that a model lacks; None where none is as wide.

    A head that the base lacks is tied to its embedding there.
    """
    known = [name] if name in base.records else [n for n in base.records if n.endswith(EMBEDDINGS)]
    return next((n for n in known if base.records[n].shape[1:] == record.shape[1:]), None)


def paths_equal(one: Path, other: Path) -> bool:
    """Whether two paths lead to one place."""
    return one.resolve() == other.resolve()
