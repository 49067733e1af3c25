"""`transformers` loads what was merged. Runs with `make loads`.

A tiny LLaMA is made there, with random weights and a tokenizer of its own, and so are two fine-tunes of it; they are
merged here; and it is there again that the result is loaded, by `from_pretrained` and without a network.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.tensors import safetensors_file
from tests.cli.commands import call, shell
from tests.engine.scenes import tensors_of
from tests.loads.environment import needed, there

pytestmark = [pytest.mark.clause("LK-1", "EN-17", "EN-18"), needed]

_MAKE = """
import sys, torch, transformers
from pathlib import Path
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

folder, dtype, tied = Path(sys.argv[1]), getattr(torch, sys.argv[2]), sys.argv[3] == "tied"
config = LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=tied,
)
torch.manual_seed(0)
model = LlamaForCausalLM(config).to(dtype)
vocabulary = {f"w{i}": i for i in range(63)} | {"<unk>": 63}
words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
for name in ("base", "ft0", "ft1"):
    model.save_pretrained(folder / name)
    tokenizer.save_pretrained(folder / name)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
print(torch.__version__, transformers.__version__)
"""

_LOAD = """
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from safetensors.torch import save_file

out, weights = sys.argv[1:]
model, info = AutoModelForCausalLM.from_pretrained(
    out, local_files_only=True, dtype="auto", output_loading_info=True
)
tokenizer = AutoTokenizer.from_pretrained(out, local_files_only=True)
encoded = tokenizer("w1 w2 nonsense w62", return_tensors="pt")
with torch.no_grad():
    logits = model(encoded["input_ids"]).logits
generated = model.generate(**encoded, max_new_tokens=3, do_sample=False, pad_token_id=0)
save_file({name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}, weights)
print(json.dumps({
    "class": type(model).__name__, "dtype": str(model.dtype), "tokens": encoded["input_ids"].tolist(),
    "finite": bool(torch.isfinite(logits).all()), "generated": generated.shape[1],
    "problems": sorted(key for key in ("missing_keys", "unexpected_keys", "mismatched_keys") if info.get(key)),
}))
"""


@pytest.mark.parametrize(
    ("dtype", "tied", "shard_bytes"),
    [("bfloat16", "apart", None), ("float32", "tied", None), ("float16", "apart", 20_000)],
    ids=["bf16", "fp32, tied embeddings", "fp16, in shards"],
)
def test_loads_a_merged_model(tmp_path, monkeypatch, capsys, dtype, tied, shard_bytes):
    versions = there(_MAKE, tmp_path, dtype, tied)
    (tmp_path / "merge.yaml").write_text(
        'method: ties\ndensity: "0.3"\nlambda: "0.8"\nbase: base\nmodels: [{path: ft0}, {path: ft1}]\n'
    )
    if shard_bytes is None:
        found = shell(tmp_path, "merge", "merge.yaml", "out", "--json").printed()
    else:  # only a model of gigabytes has shards, so here the limit is set lower
        monkeypatch.setattr(safetensors_file, "SHARD_BYTES", shard_bytes)
        found = call(tmp_path, "merge", "merge.yaml", "out", "--json").printed()
        assert (tmp_path / "out" / "model.safetensors.index.json").exists()
    loaded = json.loads(there(_LOAD, tmp_path / "out", tmp_path / "weights.safetensors"))
    with capsys.disabled():
        print(f"\ntorch and transformers {versions} loaded {loaded['class']} in {loaded['dtype']}")
    assert loaded == {
        "class": "LlamaForCausalLM",
        "dtype": f"torch.{dtype}",
        "tokens": [[1, 2, 63, 62]],
        "finite": True,
        "generated": 7,
        "problems": [],
    }
    ours, theirs = tensors_of(tmp_path / "out"), tensors_of(tmp_path / "weights.safetensors")
    assert theirs.keys() - ours.keys() <= {"lm_head.weight"}  # tied to the embedding, so it is in no file
    for name, array in ours.items():
        assert theirs[name].dtype == array.dtype
        assert np.array_equal(theirs[name].view("u1"), array.view("u1")), name
    assert any(not np.array_equal(ours[name], array) for name, array in tensors_of(tmp_path / "base").items())
    assert ma.verify(tmp_path / "out").model_root == found["model_root"]
