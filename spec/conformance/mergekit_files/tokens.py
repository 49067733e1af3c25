"""Compare what mergekit 0.1.5 and this program make of vocabularies: rows of embeddings and heads, token by token.

    python spec/conformance/mergekit_files/tokens.py [--python PYTHON] [FOLDER]

PYTHON has mergekit 0.1.5; `make mergekit-files` makes such an environment. Exits with 1 where a bit of a row differs.
The weights are powers of two that add up to 1, so that mergekit's sums are exact too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

ROOT = Path(__file__).resolve().parents[3]
HIDDEN, INNER = 8, 16
ALIGNED = ("model.embed_tokens.weight", "lm_head.weight")
#: A byte-level alphabet, then what each model has more: merged tokens, and special ones.
ALPHABET = [chr(code) for code in range(33, 127)]
MODELS = {
    "base": (["th", "the", "ca", "cat"], ["<s>"]),
    "chat": (["th", "the", "ca", "cat"], ["<s>", "<|im_start|>", "<|im_end|>"]),
    "code": (["de", "def", "in", "int", "the", "th"], ["<s>", "<fim>"]),
}
TASK = "merge_method: task_arithmetic\nbase_model: {0}/base\n"
TWO = (
    "models:\n- {{model: {0}/chat, parameters: {{weight: 0.5}}}}\n- {{model: {0}/code, parameters: {{weight: 0.5}}}}\n"
)
FILES = {
    "base": f"{TASK}{TWO}tokenizer_source: base\n",
    "a model": f"{TASK}{TWO}tokenizer_source: {{0}}/chat\n",
    "union": f"{TASK}{TWO}tokenizer_source: union\n",
    "union without a base": f"merge_method: linear\n{TWO}tokenizer_source: union\n",
    "rows that are chosen": f"""{TASK}{TWO}tokenizer:
  source: union
  pad_to_multiple_of: 16
  tokens:
    <fim>: {{{{source: {{{{kind: zero}}}}, force: true}}}}
    <|im_end|>: {{{{source: {{{{kind: model_token, model: {{0}}/base, token: <s>}}}}}}}}
    cat: {{{{source: {{0}}/chat, force: true}}}}
""",
}


def write(folder: Path, number: int, merged: list[str], special: list[str]) -> None:
    """A tiny Llama with a tokenizer; its weights are random."""
    folder.mkdir(parents=True)
    vocab = {token: i for i, token in enumerate([*ALPHABET, *merged])}
    added = [{"id": len(vocab) + i, "content": token, **FLAGS} for i, token in enumerate(special)]
    model = {"type": "BPE", "vocab": vocab, "merges": [[token[:-1], token[-1]] for token in merged if len(token) > 1]}
    rows, random = len(vocab) + len(added), np.random.default_rng(number)
    inner = {f"self_attn.{name}_proj": (HIDDEN, HIDDEN) for name in "qkvo"}
    inner |= {"mlp.gate_proj": (INNER, HIDDEN), "mlp.up_proj": (INNER, HIDDEN), "mlp.down_proj": (HIDDEN, INNER)}
    inner |= {"input_layernorm": (HIDDEN,), "post_attention_layernorm": (HIDDEN,)}
    shapes = {f"model.layers.0.{name}.weight": shape for name, shape in inner.items()}
    shapes |= {
        "model.embed_tokens.weight": (rows, HIDDEN),
        "lm_head.weight": (rows, HIDDEN),
        "model.norm.weight": (HIDDEN,),
    }
    tensors = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "vocab_size": rows}
    config |= {"intermediate_size": INNER, "num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 1}
    config |= {"tie_word_embeddings": False, "torch_dtype": "float32"}
    whole = {"version": "1.0", "added_tokens": added, "model": model} | dict.fromkeys(STEPS)
    for name, content in {
        "config.json": config,
        "tokenizer.json": whole,
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>"},
    }.items():
        (folder / name).write_text(json.dumps(content))


FLAGS = {"special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
STEPS = ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder")


def rows_of(folder: Path) -> dict[tuple[str, str], np.ndarray]:
    """The rows of a merged model by tensor and token."""
    found = json.loads((folder / "tokenizer.json").read_text())
    ids = dict(found["model"]["vocab"]) | {entry["content"]: entry["id"] for entry in found["added_tokens"]}
    tensors = {name: array for file in folder.glob("*.safetensors") for name, array in load_file(file).items()}
    return {(name, token): tensors[name][number] for name in ALIGNED for token, number in ids.items()}


def main() -> int:
    """Merge by both, compare, and print a line for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, default=ROOT / ".venvs" / "mergekit-0.1.5" / "bin" / "python")
    parser.add_argument("folder", type=Path, nargs="?")
    args = parser.parse_args()
    work = args.folder or Path(tempfile.mkdtemp())
    for number, (name, tokens) in enumerate(MODELS.items()):
        write(work / name, number, *tokens)
    wrong = 0
    for name, text in FILES.items():
        file, ours, theirs = (work / f"{name.replace(' ', '-')}{end}" for end in (".yml", "-ours", "-theirs"))
        file.write_text(f"{text.format(work)}dtype: float32\n")
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        subprocess.run(
            [args.python.parent / "mergekit-yaml", file, theirs], check=True, env=environment, capture_output=True
        )
        subprocess.run([sys.executable, "-m", "mergealgebra", "merge", file, ours], check=True, capture_output=True)
        found, expected = rows_of(ours), rows_of(theirs)
        differ = [key for key in expected if key not in found or found[key].tobytes() != expected[key].tobytes()]
        print(f"{name}: {len(found):,} rows here, {len(expected):,} there, {len(differ):,} differ {differ[:5] or ''}")
        wrong += bool(differ) or found.keys() != expected.keys()
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
