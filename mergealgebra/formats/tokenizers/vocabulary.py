"""The vocabulary of a model: the tokens of its tokenizer.json and their numbers [TK-1]."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from mergealgebra.disk import TooLarge, read_file
from mergealgebra.errors import TokenizerError
from mergealgebra.tensors.companions import MOST_BYTES
from mergealgebra.text import listed, location, shown

TOKENIZER: Final = "tokenizer.json"
#: A tokenizer has a few hundred thousand tokens; a number beyond this is a mistake or a trap.
MOST_TOKENS: Final = 1 << 24
#: Files of tokenizers without the one that is read.
_SLOW: Final = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt")
_AGAIN: Final = "get the file again"


@dataclass(frozen=True)
class Vocabulary:
    """Tokens and their numbers. path: of the file. kind: BPE, Unigram, WordPiece or WordLevel. ids: by token."""

    path: Path
    kind: str
    ids: Mapping[str, int]

    @cached_property
    def size(self) -> int:
        """One more than the largest number."""
        return 1 + max(self.ids.values(), default=-1)

    @cached_property
    def tokens(self) -> Sequence[str | None]:
        """The tokens by number; None where a number has none."""
        found: list[str | None] = [None] * self.size
        for token, number in self.ids.items():
            found[number] = token
        return found

    def numbers_of(self, tokens: Sequence[str | None], rows: int) -> list[int]:
        """The row of each of these tokens in a tensor of so many rows; -1 where there is none."""
        ids = self.ids
        found = (-1 if token is None else ids.get(token, -1) for token in tokens)
        return [number if number < rows else -1 for number in found]


def tokenizer_folder(path: Path) -> Path:
    """Where a model's tokenizer is: in its folder, or in that of its file."""
    return path if path.is_dir() else path.parent


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary of the model at a path. Raises TokenizerError where it has none that can be read [TK-1]."""
    file = tokenizer_folder(path) / TOKENIZER
    return vocabulary_of(read_tokenizer(path), file)


def has_tokenizer(path: Path) -> bool:
    """Whether a model has a file that says its vocabulary."""
    return (tokenizer_folder(path) / TOKENIZER).is_file()


def same_tokenizer(one: Path, other: Path) -> bool:
    """Whether two models have the same file that says their vocabulary."""
    try:
        found = [read_file(tokenizer_folder(path) / TOKENIZER, MOST_BYTES) for path in (one, other)]
    except OSError:
        return False
    return found[0] == found[1]


def read_tokenizer(path: Path) -> dict[str, Any]:
    """What the tokenizer.json of the model at a path holds. Raises TokenizerError."""
    file = tokenizer_folder(path) / TOKENIZER
    try:
        data = read_file(file, MOST_BYTES)
    except TooLarge:
        raise TokenizerError(f"{location(file)} has more than {MOST_BYTES:,} bytes; {_AGAIN}") from None
    except OSError as error:
        raise TokenizerError(f"{location(file)} cannot be read: {error.strerror}; {_instead(file.parent)}") from None
    try:
        found = json.loads(data, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise TokenizerError(f"{location(file)} is not JSON that can be read, {error}; {_AGAIN}") from None
    if not isinstance(found, dict):
        raise TokenizerError(f"{location(file)} is not a JSON object; {_AGAIN}")
    return found


def vocabulary_of(tokenizer: Mapping[str, Any], file: Path) -> Vocabulary:
    """The vocabulary that a tokenizer.json holds: its model's tokens and the added ones. Raises TokenizerError."""
    model = tokenizer.get("model")
    vocab = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(vocab, (dict, list)):
        raise TokenizerError(f"{location(file)} has no `model` with a `vocab`; {_AGAIN}")
    kind = model.get("type") or ("Unigram" if isinstance(vocab, list) else "BPE")
    ids = _of_list(vocab, file) if isinstance(vocab, list) else dict(vocab)
    owners = {number: token for token, number in ids.items() if _is_number(number, shown(token), file)}
    if len(owners) < len(ids):
        token, number = next((t, n) for t, n in ids.items() if owners[n] != t)
        raise _clash(file, token, number, owners[number])
    added = tokenizer.get("added_tokens", [])
    if not isinstance(added, list):
        raise TokenizerError(f"{location(file)}: `added_tokens` is not a list; {_AGAIN}")
    for entry in added:
        token, number = _added(entry, file)
        if ids.get(token, number) != number:
            raise TokenizerError(
                f"{location(file)}: the added token {shown(token)} has the number {number}, and `vocab` gives it "
                f"{ids[token]}: save the tokenizer again"
            )
        if owners.setdefault(number, token) != token:
            raise _clash(file, token, number, owners[number])
        ids[token] = number
    return Vocabulary(file, str(kind), ids)


def _of_list(vocab: Sequence[Any], file: Path) -> dict[str, int]:
    """The tokens of a unigram model, whose numbers are their places."""
    ids: dict[str, int] = {}
    for number, entry in enumerate(vocab):
        if not isinstance(entry, list) or not entry or not isinstance(entry[0], str):
            raise TokenizerError(f"{location(file)}: entry {number} of `vocab` is not a token and its score; {_AGAIN}")
        ids.setdefault(entry[0], number)
    return ids


def _added(entry: Any, file: Path) -> tuple[str, int]:
    token, number = (entry.get("content"), entry.get("id")) if isinstance(entry, dict) else (None, None)
    if not isinstance(token, str):
        raise TokenizerError(f"{location(file)}: an entry of `added_tokens` has no `content`; {_AGAIN}")
    _is_number(number, shown(token), file)
    return token, int(number)  # type: ignore[arg-type]


def _is_number(number: object, token: str, file: Path) -> bool:
    """True. Raises TokenizerError for what cannot be the number of a token."""
    if type(number) is not int or not 0 <= number < MOST_TOKENS:
        raise TokenizerError(f"{location(file)}: the token {token} has the number {shown(number)}; {_AGAIN}")
    return True


def _clash(file: Path, token: str, number: int, other: str) -> TokenizerError:
    return TokenizerError(
        f"{location(file)}: the tokens {shown(token)} and {shown(other)} both have the number {number}: save the "
        "tokenizer again"
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in an object")
    return found


def _instead(folder: Path) -> str:
    """What to do where there is no tokenizer.json."""
    slow = [name for name in _SLOW if (folder / name).is_file()]
    if not slow:
        return "copy the model's tokenizer there, or name a model that has one"
    return (
        f'it is made from {listed(slow)} by `python -c "from transformers import AutoTokenizer as T; '
        f'T.from_pretrained({shown(str(folder))}).save_pretrained({shown(str(folder))})"`'
    )


# How two differ


@dataclass(frozen=True)
class Difference:
    """How a vocabulary differs from another. more, fewer: tokens that only one has. moved: with another number."""

    more: Sequence[str]
    fewer: Sequence[str]
    moved: Sequence[str]

    def __bool__(self) -> bool:
        return bool(self.more or self.fewer or self.moved)

    def __str__(self) -> str:
        """Counted and named.

        >>> str(Difference(["<|im_end|>"], [], ["a", "b"]))
        "has 1 token more ('<|im_end|>') and 2 tokens with other numbers ('a' and 'b')"
        """
        parts = [_counted(self.more, "more"), _counted(self.fewer, "fewer"), _counted(self.moved, "with other numbers")]
        *most, last = [part for part in parts if part] or ["no token that differs"]
        return f"has {', '.join(most)} and {last}" if most else f"has {last}"


def difference(one: Vocabulary, other: Vocabulary) -> Difference:
    """How the first differs from the second; tokens in the order of their numbers."""
    more = [token for token in one.tokens if token is not None and token not in other.ids]
    fewer = [token for token in other.tokens if token is not None and token not in one.ids]
    moved = [token for token, number in one.ids.items() if other.ids.get(token, number) != number]
    return Difference(more, fewer, moved)


def _counted(tokens: Sequence[str], what: str) -> str:
    if not tokens:
        return ""
    return f"{len(tokens):,} {'token' if len(tokens) == 1 else 'tokens'} {what} ({listed(map(shown, tokens))})"
