"""What a mergekit file asks of tokenizers: `tokenizer_source`, `tokenizer` and `chat_template` [MK-20].

tokenizer:
  source: union                                    or base, or a model
  tokens:
    <|im_start|>: {source: path/to/chat}           the row that the model has of it
    <pad>: {source: {kind: zero}, force: true}
    <new>: {source: {kind: model_token, model: path/to/chat, token: <|im_end|>}}
  pad_to_multiple_of: 64
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from mergealgebra.formats.mergekit.document import Document, Reference
from mergealgebra.formats.mergekit.grammar import read_reference
from mergealgebra.formats.mergekit.nodes import Node
from mergealgebra.formats.tokenizers.chat import AUTO, TEMPLATES
from mergealgebra.formats.tokenizers.wanted import BASE, UNION, TokenRow, Wanted
from mergealgebra.text import did_you_mean, listed, location, shown

#: Where a model that a file names is here.
Place = Callable[[Reference], Path]

_KEYS: Final = ("source", "tokens", "pad_to_multiple_of")
_KEYS_OF_A_TOKEN: Final = ("source", "force")
_KEYS_OF_A_ROW: Final = ("kind", "model", "token", "token_id")
_COUNT: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


def wanted_of(document: Document, place: Place) -> Wanted | None:
    """What is asked; None where nothing is. Raises RecipeError, naming file and line."""
    said = document.tokens
    if not said:
        return None
    if "tokenizer" in said and "tokenizer_source" in said:
        raise said["tokenizer_source"].where.refuse("`tokenizer_source` stands beside `tokenizer`; leave one out")
    chat = said.get("chat_template")
    template = chat.scalar("`chat_template`", "chat_template: chatml") if chat is not None else ""
    if chat is not None and template != AUTO and template not in TEMPLATES and "{" not in template:
        near = did_you_mean(template, (AUTO, *TEMPLATES)) or f"; expected {AUTO}, {listed(TEMPLATES)}, or Jinja"
        raise chat.where.refuse(f"`chat_template`: {shown(template)} is no template{near}")
    if "tokenizer_source" in said:
        return Wanted(_source(said["tokenizer_source"], place), chat_template=template)
    if "tokenizer" not in said:
        return Wanted(None, chat_template=template)
    keys = _known(said["tokenizer"], "`tokenizer`", "tokenizer: {source: union}", _KEYS)
    source = _source(keys["source"], place) if _has(keys, "source") else BASE
    rows = keys["tokens"].mapping("`tokens`", "<pad>: {source: {kind: zero}}") if _has(keys, "tokens") else {}
    multiple = _count(keys["pad_to_multiple_of"], "`pad_to_multiple_of`") if _has(keys, "pad_to_multiple_of") else None
    return Wanted(source, {token: _row(node, place) for token, node in rows.items()}, multiple, template)


def _source(node: Node, place: Place) -> str | Path:
    if node.text in (BASE, UNION):
        return node.text
    path = place(read_reference(node))
    if not os.path.lexists(path):
        near = did_you_mean(node.text or "", (BASE, UNION)) or "; expected base, union, or the path of a model"
        raise node.where.refuse(f"`tokenizer_source`: nothing is at {location(path)}{near}")
    return path


def _row(node: Node, place: Place) -> TokenRow:
    """Where the row of a token comes from."""
    keys = _known(node, "a token", "<pad>: {source: {kind: zero}}", _KEYS_OF_A_TOKEN)
    force = _truth(keys["force"]) if _has(keys, "force") else False
    if not _has(keys, "source"):
        raise node.where.refuse("`source` of a token is missing; write a model, or `source: {kind: zero}`")
    source = keys["source"]
    if source.keys is None or "kind" not in source.keys:
        return TokenRow(place(read_reference(source)), force=force)
    inner = _known(source, "the `source` of a token", "{kind: zero}", _KEYS_OF_A_ROW)
    kind = inner["kind"].scalar("`kind`", "kind: zero")
    if kind == "zero":
        return TokenRow(force=force)
    given = [key for key in ("token", "token_id") if _has(inner, key)]
    if kind != "model_token" or not _has(inner, "model") or len(given) != 1:
        raise source.where.refuse(
            "expected `kind: zero`, or `kind: model_token` with `model` and either `token` or `token_id`"
        )
    wanted = inner[given[0]]
    token = _count(wanted, "`token_id`") if given == ["token_id"] else wanted.scalar("`token`", "token: <pad>")
    return TokenRow(place(read_reference(inner["model"])), token, force)


def _known(node: Node, what: str, example: str, known: tuple[str, ...]) -> Mapping[str, Node]:
    """The keys of a mapping that has none but these. Raises RecipeError."""
    keys = node.mapping(what, example)
    for key in keys.keys() - {*known}:
        names = listed(f"`{name}`" for name in known)
        raise node.key_places[key].refuse(f"{shown(key)} in {what} is not a key; its keys are {names}")
    return keys


def _has(keys: Mapping[str, Node], key: str) -> bool:
    return key in keys and not keys[key].is_null


def _count(node: Node, what: str) -> int:
    if not node.text or not _COUNT.fullmatch(node.text):
        raise node.where.refuse(f"{what} is {node.kind}; expected a whole number")
    return int(node.text)


def _truth(node: Node) -> bool:
    if node.truth is None:
        raise node.where.refuse(f"`force` is {node.kind}; expected true or false")
    return node.truth
