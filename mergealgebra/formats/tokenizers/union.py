"""The union of several vocabularies, by token: the base's numbers stay, and new tokens follow [TK-6]."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mergealgebra.errors import TokenizerError
from mergealgebra.formats.tokenizers.vocabulary import Vocabulary, read_tokenizer, vocabulary_of
from mergealgebra.text import location

Tokenizer = dict[str, Any]


def union_of(base: Path, models: Sequence[Path]) -> tuple[Vocabulary, bytes]:
    """The vocabulary of base and models together, and its tokenizer.json.

    New tokens are in the order of their UTF-8 bytes, so neither the order of the models nor a hash decides. Raises
    TokenizerError where one is not BPE.
    """
    whole = read_tokenizer(base)
    known = vocabulary_of(whole, base)
    _refuse_other_kind(known, base)
    others = []
    for path in models:
        tokenizer = read_tokenizer(path)
        vocabulary = vocabulary_of(tokenizer, path)
        _refuse_other_kind(vocabulary, path)
        others.append((tokenizer, vocabulary))
    new = sorted({t for _, v in others for t in v.ids} - known.ids.keys(), key=lambda t: t.encode(errors="replace"))
    numbers = {token: known.size + place for place, token in enumerate(new)}
    added = _added([tokenizer for tokenizer, _ in others])
    model = whole["model"]
    model["vocab"] |= {token: number for token, number in numbers.items() if token not in added}
    model["merges"] = _merges([model, *(tokenizer["model"] for tokenizer, _ in others)])
    entries = [{**added[token], "id": number} for token, number in numbers.items() if token in added]
    whole["added_tokens"] = [*(whole.get("added_tokens") or []), *entries]
    data = json.dumps(whole, ensure_ascii=False, indent=2).encode(errors="surrogatepass")
    return vocabulary_of(whole, base), data


def _refuse_other_kind(vocabulary: Vocabulary, path: Path) -> None:
    if vocabulary.kind != "BPE":
        raise TokenizerError(
            f"{location(path)} has a tokenizer of the kind {vocabulary.kind}, and only those of BPE are joined: name "
            "`base` or one of the models as tokenizer_source"
        )


def _added(tokenizers: Sequence[Tokenizer]) -> dict[str, Mapping[str, Any]]:
    """What the tokenizers say of their added tokens; where they differ, the one that is least as JSON."""
    found: dict[str, Mapping[str, Any]] = {}
    for tokenizer in tokenizers:
        for entry in tokenizer.get("added_tokens") or []:
            entry = {key: value for key, value in entry.items() if key != "id"}
            known = found.setdefault(entry["content"], entry)
            if json.dumps(entry, sort_keys=True) < json.dumps(known, sort_keys=True):
                found[entry["content"]] = entry
    return {token: {"id": 0, **entry} for token, entry in found.items()}


def _merges(models: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The base's merges, then those that only others have, by the least rank that one gives them, then by text."""
    base, *others = [list(map(_pair, model.get("merges") or [])) for model in models]
    ranks: dict[tuple[str, str], int] = {}
    for merges in others:
        for rank, pair in enumerate(merges):
            ranks[pair] = min(rank, ranks.get(pair, rank))
    known = set(base)
    new = sorted((rank, pair) for pair, rank in ranks.items() if pair not in known)
    as_text = isinstance(next(iter(models[0].get("merges") or []), ""), str) and bool(models[0].get("merges"))
    whole = [*base, *(pair for _, pair in new)]
    return [" ".join(pair) for pair in whole] if as_text else [list(pair) for pair in whole]


def _pair(merge: Any) -> tuple[str, str]:
    """A merge, which older files write as one text. Raises TokenizerError."""
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        raise TokenizerError(f"a tokenizer.json has the merge {merge!r:.80}, expected two tokens; get the file again")
    return parts[0], parts[1]
