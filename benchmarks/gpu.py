"""Measure the Triton kernel on a CUDA device: against the speed of a copy there, and fed from the host.

    python benchmarks/gpu.py [--elements N] [--out benchmarks/results/gpu.json]

Eight fine-tunes, fp32 and bf16, density 0.2. First a block is compared with the equations, so that what is measured
is right. `kernel` is timed by the device's clock; `call` by the host's, with the wait for the counts; `stream` has
everything on the host, cut into blocks for several threads.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from machine import describe

from mergealgebra.algebra.exact import Coefficients
from mergealgebra.kernels.blocks import Part, Reduction
from mergealgebra.kernels.numpy_reference import on_numpy
from mergealgebra.methods.ties import Ties
from mergealgebra.tensors.dtypes import to_host

PARTS, DENSITY, RUNS = 8, 0.2, 20
BLOCK, THREADS = 1 << 19, (1, 2, 4, 8)
COPY_BYTES = 1 << 30
REDUCTION = Reduction(Ties(density="0.2"), Coefficients((1.0,) * PARTS))
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def main() -> int:
    """Measure and write the results. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elements", type=int, default=1 << 26)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "results" / "gpu.json")
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        print("gpu.py: needs a CUDA device; none is visible to torch", file=sys.stderr)
        return 1
    results = measured(chosen.elements)
    text = json.dumps(results, indent=2)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(text + "\n")
    print(text)
    return 0


def measured(elements: int) -> dict[str, Any]:
    """Everything, as it is written."""
    copy = 2 * COPY_BYTES / on_device_clock(_copying("cuda"))
    return {
        "device": torch.cuda.get_device_name(),
        "versions": {"torch": torch.__version__, "cuda": torch.version.cuda, "triton": version("triton")},
        "machine": describe(),
        "parts": PARTS,
        "elements": elements,
        "copy_bytes_per_second": copy,
        "host_to_device_bytes_per_second": COPY_BYTES / on_device_clock(_copying("cpu")),
        "merges": {name: merging(dtype, elements, copy) for name, dtype in DTYPES.items()},
    }


def merging(dtype: torch.dtype, elements: int, copy: float) -> dict[str, Any]:
    """One dtype: bytes moved are every input once and the output once."""
    from mergealgebra.kernels.gpu import Launch, TritonKernel, reduce_on_device

    base, parts = models(dtype, elements)
    launch = Launch.of(base, parts, REDUCTION)
    moved = (PARTS + 2) * base.numel() * base.element_size()
    kernel, call = on_device_clock(launch.run), on_host_clock(lambda: reduce_on_device(base, parts, REDUCTION))
    reduced = reduce_on_device(base, parts, REDUCTION)
    host = to_host(base), [replace(part, values=to_host(part.values)) for part in parts]
    triton = TritonKernel()
    check(triton, *host)
    return {
        "bytes": moved,
        "density": sum(reduced.kept) / PARTS / elements,
        "kernel": {"seconds": kernel, "bytes_per_second": moved / kernel, "of_copy": moved / kernel / copy},
        "call": {"seconds": call, "bytes_per_second": moved / call, "of_copy": moved / call / copy},
        "stream": {str(threads): moved / streaming(triton, *host, threads) for threads in THREADS},
    }


def models(dtype: torch.dtype, elements: int) -> tuple[torch.Tensor, list[Part]]:
    """A base and its fine-tunes on the device. The threshold is a sample's, so the density is near 0.2."""
    torch.manual_seed(0)
    base = (torch.randn(elements, device="cuda") * 0.02).to(dtype)
    parts = []
    for _ in range(PARTS):
        tuned = (base.float() + torch.randn(elements, device="cuda") * 1e-3).to(dtype)
        magnitudes = (tuned[: 1 << 20].float() - base[: 1 << 20].float()).abs().sort(descending=True).values
        threshold = magnitudes[int(DENSITY * magnitudes.numel())].view(torch.int32).item()
        parts.append(Part(tuned, "finetuned", 1.0, ((threshold, elements),)))
    return base, parts


def check(kernel: Any, base: Any, parts: Sequence[Part]) -> None:
    """Compare a block with the equations. Raises SystemExit."""
    base, parts = _cut(base, parts, 0)
    found, expected = kernel.reduce(base, parts, REDUCTION), on_numpy().reduce(base, parts, REDUCTION)
    same = (found.kept, found.witnesses) == (expected.kept, expected.witnesses)
    if found.data.tobytes() != expected.data.tobytes() or not same:
        raise SystemExit("gpu.py: the kernel's bits are not those of the equations")


def streaming(kernel: Any, base: Any, parts: Sequence[Part], threads: int) -> float:
    """The seconds it takes to merge a model on the host, block by block."""
    with ThreadPoolExecutor(threads) as pool:

        def merge(start: int) -> None:
            kernel.reduce(*_cut(base, parts, start), REDUCTION)

        list(pool.map(merge, range(0, base.size, BLOCK)))  # pinned memory is taken once
        start = time.perf_counter()
        list(pool.map(merge, range(0, base.size, BLOCK)))
        return time.perf_counter() - start


def on_device_clock(work: Callable[[], object]) -> float:
    """The seconds of one of many in a row, so that the device never waits for the host; the median of five rows."""
    seconds = []
    for _ in range(6):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(RUNS):
            work()
        stop.record()
        stop.synchronize()
        seconds.append(start.elapsed_time(stop) / 1000 / RUNS)
    return statistics.median(seconds[1:])


def on_host_clock(work: Callable[[], object]) -> float:
    """The median of the seconds from the call until the device is idle."""
    seconds = []
    for _ in range(RUNS + 3):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[3:])


def _cut(base: Any, parts: Sequence[Part], start: int) -> tuple[Any, list[Part]]:
    here = slice(start, start + BLOCK)
    return base[here], [replace(part, values=part.values[here]) for part in parts]


def _copying(source: str) -> Callable[[], object]:
    """A copy of a GiB to the device, from there or from pinned memory."""
    there = torch.empty(COPY_BYTES, dtype=torch.uint8, device="cuda")
    here = torch.ones(COPY_BYTES, dtype=torch.uint8, device=source, pin_memory=source == "cpu")
    return lambda: there.copy_(here, non_blocking=True)


if __name__ == "__main__":
    sys.exit(main())
