"""Real fine-tunes to measure what of them travels: the demo's, and a small transformer trained a little more.

    python benchmarks/small_finetunes.py OUT
    python benchmarks/receiving.py --models OUT

Writes NAME-base.safetensors and NAME-tuned.safetensors. The transformer (two layers, 3.8 million weights) learns to go
on with the text of this repository's clauses, then for some steps with that of its code; written in fp32 and in bf16.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

ROOT = Path(__file__).resolve().parents[1]
WIDTH, LAYERS, CONTEXT, BATCH = 384, 2, 64, 16


class Model(torch.nn.Module):
    """A language model of bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(256, WIDTH)
        self.places = torch.nn.Embedding(CONTEXT, WIDTH)
        layer = torch.nn.TransformerEncoderLayer(WIDTH, 6, 4 * WIDTH, 0.0, batch_first=True, norm_first=True)
        self.layers = torch.nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.head = torch.nn.Linear(WIDTH, 256)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        hidden = self.embedding(text) + self.places(torch.arange(text.shape[1]))
        mask = torch.nn.Transformer.generate_square_subsequent_mask(text.shape[1])
        found: torch.Tensor = self.head(self.layers(hidden, mask=mask, is_causal=True))
        return found


def text_of(pattern: str) -> torch.Tensor:
    data = b"".join(path.read_bytes() for path in sorted(ROOT.glob(pattern)))
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).long()


def train(model: Model, text: torch.Tensor, steps: int, rate: float) -> None:
    drawn = torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW((one for one in model.parameters() if one.requires_grad), lr=rate)
    for _ in range(steps):
        starts = torch.randint(len(text) - CONTEXT - 1, (BATCH,), generator=drawn)
        batch = torch.stack([text[at : at + CONTEXT + 1] for at in starts.tolist()])
        loss = cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def write(model: Model, path: Path, dtype: torch.dtype) -> None:
    save_file({name: one.detach().to(dtype).contiguous() for name, one in model.state_dict().items()}, path)


def transformer(out: Path) -> None:
    torch.manual_seed(0)
    model = Model()
    train(model, text_of("spec/*.md"), 150, 1e-3)
    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16}
    for dtype, kind in dtypes.items():
        write(model, out / f"transformer-{dtype}-base.safetensors", kind)
    train(model, text_of("mergealgebra/*.py"), 40, 1e-5)
    for dtype, kind in dtypes.items():
        write(model, out / f"transformer-{dtype}-tuned.safetensors", kind)


def demo(out: Path) -> None:
    folder = ROOT / "examples" / "permuted_mnist"
    subprocess.run([sys.executable, folder / "train.py", "--out", out / "demo"], check=True, cwd=folder)
    for name, kind in (("base", "base"), ("task0", "tuned")):
        shutil.copyfile(out / "demo" / name / "model.safetensors", out / f"demo-{kind}.safetensors")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    transformer(target)
    demo(target)
