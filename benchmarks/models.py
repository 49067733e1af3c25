"""LLaMA-shaped models of any size, written block by block: the base, and fine-tunes of it.

    python models.py --parameters 60M --finetunes 8 --dtype bf16 --out FOLDER

The names and shapes are LLaMA's, the numbers are random: weights of deviation 0.02, and a fine-tune moves each
tensor by a deviation of its own between 1e-4 and 1e-3. The same arguments write the same bytes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from settings import MODEL_FILE, number_of

BLOCK = 1 << 20
WEIGHT_DEVIATION = 0.02
DELTA_EXPONENTS = (-4.0, -3.0)
HEAD = 64
DTYPES = {"fp32": ("F32", np.dtype(np.float32)), "bf16": ("BF16", np.dtype(ml_dtypes.bfloat16))}
CONFIG_DTYPES = {"fp32": "float32", "bf16": "bfloat16"}


@dataclass(frozen=True)
class Shape:
    """The sizes of a LLaMA: untied head, as many key-value heads as heads, each HEAD wide."""

    hidden: int
    layers: int
    vocabulary: int

    @property
    def intermediate(self) -> int:
        """Width of the feed-forward block: LLaMA's 11008/4096 of the hidden width, in steps of 32."""
        return math.ceil(self.hidden * 11008 / 4096 / 32) * 32

    @property
    def parameters(self) -> int:
        """Elements of all tensors."""
        return sum(math.prod(shape) for shape in self.tensors().values())

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Every tensor's shape by its name, in the order of the file."""
        shapes: dict[str, tuple[int, ...]] = {
            "lm_head.weight": (self.vocabulary, self.hidden),
            "model.embed_tokens.weight": (self.vocabulary, self.hidden),
            "model.norm.weight": (self.hidden,),
        }
        for layer in range(self.layers):
            shapes |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in self._layer().items()}
        return dict(sorted(shapes.items()))

    def _layer(self) -> dict[str, tuple[int, ...]]:
        attention = {f"self_attn.{part}_proj": (self.hidden, self.hidden) for part in "qkvo"}
        widening = {f"mlp.{part}_proj": (self.intermediate, self.hidden) for part in ("gate", "up")}
        norms = {f"{part}_layernorm": (self.hidden,) for part in ("input", "post_attention")}
        return {**attention, **widening, "mlp.down_proj": (self.hidden, self.intermediate), **norms}


def shape_of(parameters: int) -> Shape:
    """The shape nearest to a number of parameters among those of usual proportions, about 85 wide for each layer."""
    vocabulary = max(128, min(32000, parameters // 1000 // HEAD * HEAD))
    shapes = (_with_layers(parameters, hidden, vocabulary) for hidden in range(HEAD, 8193, HEAD))
    return min(shapes, key=lambda shape: _oddness(shape, parameters))


def _with_layers(parameters: int, hidden: int, vocabulary: int) -> Shape:
    one, two = (Shape(hidden, layers, vocabulary).parameters for layers in (1, 2))
    return Shape(hidden, max(1, 1 + round((parameters - one) / (two - one))), vocabulary)


def _oddness(shape: Shape, parameters: int) -> float:
    """Distance from the wanted size, which counts most, and from usual proportions."""
    return 20 * abs(math.log(shape.parameters / parameters)) + abs(math.log(shape.hidden / shape.layers / 85))


def write_models(folder: Path, parameters: int, finetunes: int, dtype: str) -> None:
    """Write FOLDER/base and FOLDER/ft0, ft1, ... unless they are there; each has one file of tensors and a config."""
    shape = shape_of(parameters)
    if not (folder / "base").exists():
        _write(folder / "base", shape, dtype, _base_blocks(shape))
    missing = [number for number in range(finetunes) if not (folder / f"ft{number}").exists()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda number: _write_finetune(folder, shape, dtype, number), missing))


def _write_finetune(folder: Path, shape: Shape, dtype: str, number: int) -> None:
    _write(folder / f"ft{number}", shape, dtype, _finetune_blocks(folder / "base" / MODEL_FILE, shape, dtype, number))


def _write(folder: Path, shape: Shape, dtype: str, blocks: Iterator[NDArray[np.float32]]) -> None:
    """Write under another name and rename, so that a folder that is there is whole."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with (partial / MODEL_FILE).open("wb") as file:
        file.write(_header(shape, dtype))
        for block in blocks:
            file.write(block.astype(DTYPES[dtype][1]).view(np.uint8).data)
    (partial / "config.json").write_text(json.dumps(_config(shape, dtype), indent=2) + "\n")
    partial.rename(folder)


def _base_blocks(shape: Shape) -> Iterator[NDArray[np.float32]]:
    """The base's weights in file order; those of the norms lie around 1."""
    random = np.random.Generator(np.random.SFC64(0))
    for dimensions in shape.tensors().values():
        centre = np.float32(1 if len(dimensions) == 1 else 0)
        for count in _block_sizes(dimensions):
            yield random.standard_normal(count, dtype=np.float32) * np.float32(WEIGHT_DEVIATION) + centre


def _finetune_blocks(base: Path, shape: Shape, dtype: str, number: int) -> Iterator[NDArray[np.float32]]:
    """The base's weights as stored, each tensor moved by noise of its own deviation."""
    random = np.random.Generator(np.random.SFC64([1, number]))
    stored = DTYPES[dtype][1]
    with base.open("rb") as file:
        file.seek(len(_header(shape, dtype)))
        for dimensions in shape.tensors().values():
            deviation = np.float32(10 ** random.uniform(*DELTA_EXPONENTS))
            for count in _block_sizes(dimensions):
                weights = np.frombuffer(file.read(count * stored.itemsize), stored).astype(np.float32)
                yield weights + random.standard_normal(count, dtype=np.float32) * deviation


def _block_sizes(dimensions: tuple[int, ...]) -> list[int]:
    whole, rest = divmod(math.prod(dimensions), BLOCK)
    return [BLOCK] * whole + [rest] * (rest > 0)


def _header(shape: Shape, dtype: str) -> bytes:
    """The head of a safetensors file: eight bytes of length, then JSON, padded to eight."""
    name, stored = DTYPES[dtype]
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor, dimensions in shape.tensors().items():
        start, end = end, end + math.prod(dimensions) * stored.itemsize
        entries[tensor] = {"dtype": name, "shape": dimensions, "data_offsets": [start, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _config(shape: Shape, dtype: str) -> dict[str, object]:
    """The config.json that tells other programs that this is a LLaMA."""
    heads = shape.hidden // HEAD
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "vocab_size": shape.vocabulary,
        "tie_word_embeddings": False,
        "torch_dtype": CONFIG_DTYPES[dtype],
    }


def main() -> None:
    """Write the models of the command line and print the exact number of parameters."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parameters", type=number_of, required=True)
    parser.add_argument("--finetunes", type=int, required=True)
    parser.add_argument("--dtype", choices=DTYPES, required=True)
    parser.add_argument("--out", type=Path, required=True)
    wanted = parser.parse_args()
    write_models(wanted.out, wanted.parameters, wanted.finetunes, wanted.dtype)
    print(json.dumps({"parameters": shape_of(wanted.parameters).parameters}))


if __name__ == "__main__":
    main()
