"""Small models with tokenizers, of which each row says which token it is."""

from __future__ import annotations

import json

import numpy as np
from safetensors.numpy import save_file

EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"
WIDTH = 3


def tokenizer(tokens, added=(), kind="BPE", merges=()):
    """A tokenizer.json: the tokens have the numbers 0, 1, ..., the added ones those behind them."""
    vocab = [[t, 0.0] for t in tokens] if kind == "Unigram" else {token: i for i, token in enumerate(tokens)}
    model = {"type": kind, "vocab": vocab} | ({"merges": list(merges)} if kind == "BPE" else {})
    more = [{"id": len(tokens) + i, "content": token, "special": True} for i, token in enumerate(added)]
    return {"version": "1.0", "added_tokens": more, "model": model}


def write_model(folder, found, rows=None, shift=0.0, dtype=np.float32, config=(), head=True):
    """A model folder whose row of the token t is code(t) + shift; padding is -1."""
    folder.mkdir(parents=True)
    model = found["model"]
    listed = [t for t, _ in model["vocab"]] if isinstance(model["vocab"], list) else list(model["vocab"])
    listed += [entry["content"] for entry in found["added_tokens"]]
    rows = len(listed) if rows is None else rows
    table = np.full((rows, WIDTH), -1, dtype)
    for i, token in enumerate(listed):
        table[i] = code(token) + np.arange(WIDTH) / 4 + shift
    tensors = {EMBED: table, "model.w": np.full(4, 1 + shift, dtype)}
    save_file(tensors | ({HEAD: table * 2} if head else {}), folder / "model.safetensors")
    (folder / "tokenizer.json").write_text(json.dumps(found))
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": rows, **dict(config)}))
    return folder


def code(token):
    """A number of a token's own."""
    return float(sum(token.encode()) % 512)
