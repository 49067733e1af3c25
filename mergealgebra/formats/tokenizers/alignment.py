"""Models brought to one vocabulary: views whose rows are those of the same tokens, for base and models alike [TK-2]."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mergealgebra.errors import TokenizerError
from mergealgebra.formats.tokenizers import files
from mergealgebra.formats.tokenizers.chat import with_template
from mergealgebra.formats.tokenizers.rows import (
    Member,
    Target,
    model_on_target,
    on_target,
    paths_equal,
    rows_of,
    vocabulary_tensors,
)
from mergealgebra.formats.tokenizers.union import union_of
from mergealgebra.formats.tokenizers.vocabulary import (
    Vocabulary,
    difference,
    has_tokenizer,
    read_vocabulary,
    same_tokenizer,
    tokenizer_folder,
)
from mergealgebra.formats.tokenizers.wanted import BASE, UNION, Wanted
from mergealgebra.model_folder.additions import NOTHING, Additions
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.forms import Held
from mergealgebra.text import listed, location, shown


@dataclass(frozen=True)
class Aligned:
    """A base and models of one vocabulary; what the merged model gets beside its weights; a line for what was done."""

    base: Checkpoint
    models: Sequence[Held]
    additions: Additions = NOTHING
    remarks: tuple[str, ...] = ()


def align(
    base: Checkpoint,
    models: Sequence[Held],
    wanted: Wanted | None = None,
    advice: str = "say which one counts",
    looked: Sequence[Container[str]] | None = None,
) -> Aligned:
    """Bring a base and models to one vocabulary [TK-2].

    advice: how to say which, for the message that asks. looked: for each model, the names that are merged of it.
    Without `wanted`, models whose tokens have the base's numbers get the base's padding, and others are refused where
    they have another number of rows. Adapters and models of parts stay as they are. The inputs stay open, and are the
    caller's to close. Raises TokenizerError, and what reading raises.
    """
    done = _brought(base, models, wanted or Wanted(None), advice, looked)
    if wanted is None or not wanted.chat_template:
        return done
    members = [base, *(model for model in models if isinstance(model, Checkpoint))]
    return replace(done, additions=with_template(done.additions, wanted.chat_template, base, members))


def _brought(
    base: Checkpoint, models: Sequence[Held], wanted: Wanted, advice: str, looked: Sequence[Container[str]] | None
) -> Aligned:
    """As `align`, but for chat templates."""
    if wanted.source is None and not wanted.tokens and wanted.pad_to_multiple_of is None:
        whole = _with_tokens(models, looked)
        grown = [model for model in whole if _is_grown(model, base) and _both_known(model, base)]
        for model in grown:
            _refuse_other_tokens(model, base, advice)
        if not grown:
            return Aligned(base, models, remarks=tuple(_doubts(base, whole, advice)))
    if not vocabulary_tensors(base):
        raise TokenizerError(f"{location(base.path)} has no embedding by its name, so its rows cannot be aligned")
    return _aligned(base, models, wanted)


def _with_tokens(models: Sequence[Held], looked: Sequence[Container[str]] | None) -> list[Checkpoint]:
    """The models of which rows of tokens are merged."""
    found = []
    for number, model in enumerate(models):
        if isinstance(model, Checkpoint):
            names = vocabulary_tensors(model)
            if names if looked is None else any(name in looked[number] for name in names):
                found.append(model)
    return found


def _aligned(base: Checkpoint, models: Sequence[Held], wanted: Wanted) -> Aligned:
    start = Member(base, read_vocabulary(base.path))
    members = {id(m): Member(m, _vocabulary(m, start)) for m in models if isinstance(m, Checkpoint)}
    target, additions = _target(start, list(members.values()), wanted)
    for token in wanted.tokens:
        if token not in target.tokens:
            raise TokenizerError(f"the token {shown(token)}, for which a row was chosen, is not in the vocabulary")
    view = on_target(start, list(members.values()), target)
    shown_as, remarks = list[Held](), list[str]()
    for model in models:
        member = members.get(id(model))
        shown_as.append(model if member is None else model_on_target(member, view, target))
        if member is not None:
            remarks += _remarks(member, target)
    first = vocabulary_tensors(base)[0]
    rows = target.rows(first)
    sized = files.sized(base, rows, changed=rows != base.records[first].shape[0])
    return Aligned(view, shown_as, additions | sized, tuple(remarks))


def _vocabulary(model: Checkpoint, base: Member) -> Vocabulary:
    """A model's vocabulary; without a tokenizer it is the base's where it has as many rows. Raises TokenizerError."""
    if not vocabulary_tensors(model) or same_tokenizer(model.path, base.held.path):
        return base.vocabulary
    if has_tokenizer(model.path) or _is_grown(model, base.held):
        return read_vocabulary(model.path)
    return base.vocabulary


def _target(base: Member, models: Sequence[Member], wanted: Wanted) -> tuple[Target, Additions]:
    """The vocabulary that is wanted, and the files that go with it."""
    made = partial(_made, wanted)
    source = wanted.source
    if source in (None, BASE) or (isinstance(source, Path) and paths_equal(source, base.held.path)):
        return made(base.vocabulary, lambda name: rows_of(base.held, name)), NOTHING
    if source == UNION:
        paths = [m.held.path for m in models if m.vocabulary is not base.vocabulary]
        vocabulary, data = union_of(base.held.path, paths)
        if not difference(vocabulary, base.vocabulary):
            return made(base.vocabulary, lambda name: rows_of(base.held, name)), NOTHING
        return made(vocabulary, lambda name: max(vocabulary.size, rows_of(base.held, name))), files.of_union(data)
    path = Path(str(source))
    member = next((m for m in models if paths_equal(m.held.path, path)), None)
    vocabulary = read_vocabulary(path)
    folder = files.folder_checkpoint(tokenizer_folder(path))
    if member is None:
        return made(vocabulary, lambda _: vocabulary.size), files.of_model(base.held, folder)
    return made(vocabulary, partial(rows_of, member.held)), files.of_model(base.held, folder)


def _made(wanted: Wanted, vocabulary: Vocabulary, rows: Callable[[str], int]) -> Target:
    multiple = 1 if wanted.pad_to_multiple_of is None else wanted.pad_to_multiple_of
    if multiple < 1:
        raise TokenizerError(f"pad_to_multiple_of is {multiple}; give a number of at least 1")
    return Target(vocabulary.tokens, lambda name: -(-rows(name) // multiple) * multiple, wanted.tokens)


# What is told


def _is_grown(model: Checkpoint, base: Checkpoint) -> bool:
    """Whether a model has another number of rows than the base, each as wide."""
    pairs = [(model.records[n].shape, base.records[n].shape) for n in vocabulary_tensors(model) if n in base.records]
    return any(ours[0] != theirs[0] and ours[1:] == theirs[1:] for ours, theirs in pairs if ours and theirs)


def _both_known(model: Checkpoint, base: Checkpoint) -> bool:
    return has_tokenizer(model.path) and has_tokenizer(base.path)


def _refuse_other_tokens(model: Checkpoint, base: Checkpoint, advice: str) -> None:
    """Raise TokenizerError where a model with another number of rows has other tokens than the base."""
    name = next(n for n in vocabulary_tensors(model) if n in base.records)
    found = difference(read_vocabulary(model.path), read_vocabulary(base.path))
    if found:
        raise TokenizerError(
            f"{location(model.path, name)} has {model.records[name].shape[0]:,} rows and the base "
            f"{base.records[name].shape[0]:,}: the model's tokenizer {found}; to align rows by token, {advice}"
        )


def _doubts(base: Checkpoint, models: Sequence[Checkpoint], advice: str) -> list[str]:
    """A line for each model with as many rows, some of which are not those of the same tokens."""
    lines, known = list[str](), None
    for model in models:
        if not _both_known(model, base) or same_tokenizer(model.path, base.path):
            continue
        try:
            known = known or read_vocabulary(base.path)
            found = difference(read_vocabulary(model.path), known)
        except TokenizerError:
            continue  # nobody asked for it, and the merge needs none
        if found:
            lines.append(
                f"{location(model.path)}: its tokenizer {found} than the base's, and rows are merged by their number; "
                f"if that is not meant, {advice}"
            )
    return lines


def _remarks(model: Member, target: Target) -> list[str]:
    """What of a model's tokens is left out, and which it lacks."""
    if model.vocabulary.tokens == target.tokens:
        return []
    tokens = {token for token in target.tokens if token is not None}
    lacks = [token for token in target.tokens if token is not None and token not in model.vocabulary.ids]
    left = [token for token in model.vocabulary.tokens if token is not None and token not in tokens]
    where, lines = location(model.held.path), []
    if left:
        lines.append(f"{where}: left out, as the tokenizer lacks them: {_some(left)}")
    if lacks:
        lines.append(f"{where}: it changes nothing of what it lacks: {_some(lacks)}")
    return lines


def _some(tokens: Sequence[str]) -> str:
    count = "1 token" if len(tokens) == 1 else f"{len(tokens):,} tokens"
    return f"{count}, {listed(map(shown, tokens))}"
