"""The files of a tokenizer, and what a merged model gets of them [TK-7]."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mergealgebra.disk import TooLarge, read_file
from mergealgebra.errors import CheckpointError
from mergealgebra.formats.tokenizers.vocabulary import TOKENIZER
from mergealgebra.model_folder.additions import CONFIG, Additions
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.companions import Companion, companions
from mergealgebra.text import location

#: Files that go with a vocabulary; the numbers of special tokens stand in the last.
FILES: Final = frozenset(
    (
        *(TOKENIZER, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json"),
        *("merges.txt", "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model"),
        *("chat_template.jinja", "chat_template.json", "generation_config.json"),
    )
)
#: Of these, those that know nothing of tokens that a union adds.
_WITHOUT_NEW: Final = frozenset(
    ("added_tokens.json", "vocab.json", "merges.txt", "vocab.txt", "tokenizer.model", "spiece.model")
)
_MAX_CONFIG: Final = 16 << 20
_INNER: Final = ("text_config", "language_config", "llm_config")


def sized(base: Checkpoint, rows: int, *, changed: bool) -> Additions:
    """The configuration's number of rows, where it changed."""
    config = read_config(base)
    inner = next((f"{key}." for key in _INNER if "vocab_size" in _object(config.get(key))), "")
    return Additions({f"{inner}vocab_size": rows} if changed and rows else {})


def of_model(base: Checkpoint, model: Checkpoint) -> Additions:
    """The tokenizer of a model in place of the base's, with the numbers of special tokens. Raises CheckpointError."""
    theirs = {c.name: _bytes(c) for c in companions(model) if c.name in FILES}
    ours = {companion.name for companion in companions(base)} & FILES
    config = {key: value for key, value in read_config(model).items() if key.endswith("_token_id")}
    return Additions(config, theirs, frozenset(ours - theirs.keys()))


def of_union(data: bytes) -> Additions:
    """The base's tokenizer with new tokens; files that lack them stay behind."""
    return Additions(files={TOKENIZER: data}, leave=_WITHOUT_NEW)


def read_config(model: Checkpoint) -> dict[str, Any]:
    """What a model's configuration says; nothing where it has none. Raises CheckpointError for a broken one."""
    if model.folder is None:
        return {}
    path = model.folder / CONFIG
    try:
        return _object(json.loads(read_file(path, _MAX_CONFIG)))
    except FileNotFoundError:
        return {}
    except (TooLarge, OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{location(path)} cannot be read as JSON: {error}; get it again") from None


def _object(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _bytes(companion: Companion) -> bytes:
    with companion.opened() as descriptor:
        return b"".join(companion.pieces(descriptor, companion.nbytes))


def folder_checkpoint(path: Path) -> Checkpoint:
    """A model's folder as one without tensors, for what stands beside them."""
    return Checkpoint(path, {})
