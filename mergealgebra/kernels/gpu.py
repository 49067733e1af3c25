"""The fused kernel for CUDA devices, in Triton: one pass reads a block and its parts and writes the merged block.

Every operation is one IEEE operation, as in the equations; no multiplication is fused into an addition. The sums held
are S = sum of v and A = sum of |v|. While A is certified both are exact, and so are S+ = (A + S) / 2 and
S- = (S - A) / 2 [EX-2]; with coefficients likewise. The few coordinates without certificate are left to the equations.

Under TRITON_INTERPRET=1, set before triton is imported, the same code runs on the CPU, slowly: that is for tests.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np

from mergealgebra.algebra.arrays import refuse_flushed_subnormals
from mergealgebra.algebra.exact import Coefficients
from mergealgebra.algebra.trim import Counts, Window
from mergealgebra.errors import BackendError, SubnormalsFlushed
from mergealgebra.kernels.blocks import Part, Reduced, Reduction, Watch
from mergealgebra.kernels.fused_methods import counts_magnitudes, cut_of, fused_as, is_fused, witnesses
from mergealgebra.kernels.numpy_reference import on_numpy
from mergealgebra.kernels.reference import Host
from mergealgebra.methods.method import Method
from mergealgebra.methods.ties import Ties
from mergealgebra.tensors.dtypes import DTYPES, bits, name_of, to_host

try:
    import torch
    import triton
    from array_api_compat import torch as xp_torch

    from mergealgebra.kernels.device import CODES, FORMS, HEADER, ROW, VECTOR, count_tile, reduce_tile
except ImportError as missing:
    raise BackendError(
        f"backend 'triton' needs {missing.name}, which is not installed; pip install torch triton"
    ) from None

Tensor = Any

#: Elements that one program reduces, and how kernels are compiled. The product lambda * tau_m is exact in fp64 and
#: no other product meets an addition, so fusing could not change a bit; off, that need not be argued.
TILE: Final = 1024
OPTIONS: Final = {"num_warps": 4, "enable_fp_fusion": False}

_TINY: Final = {"F64": 2.0**-148, "F32": 2.0**-149, "BF16": 2.0**-133, "F16": 2.0**-24}
_PAGE: Final = 256  # bytes: where the arrays of one copy begin
_launching: Final = threading.Lock()  # Triton compiles, and interprets, with state that threads share


class TritonKernel:
    """`Kernel` on a CUDA device. Each thread has a stream of its own, so that one copies while another computes.

    Buffers are those of torch's caching allocators, pinned on the host: each call uses an earlier one's again.
    Raises BackendError where there is no such device.
    """

    name = "triton"
    block = 1 << 20  # enough for all of a device

    def __init__(self, device: str | None = None) -> None:
        interpreted = not isinstance(reduce_tile, triton.JITFunction)
        self._device = torch.device(device or ("cpu" if interpreted else "cuda"))
        if self._device.type != ("cpu" if interpreted else "cuda"):
            raise BackendError("backend 'triton' runs on CUDA devices, and on the CPU only under TRITON_INTERPRET=1")
        if not interpreted and not torch.cuda.is_available():
            raise BackendError("backend 'triton' needs a CUDA device that torch can see; use 'numba' or 'numpy'")
        self._of_thread = threading.local()

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (str(self._device),)

    def computes(self, method: Method) -> bool:
        """As `Kernel.computes`."""
        return is_fused(method, self.name)

    def check_worker(self) -> None:
        """As `Kernel.check_worker`: of NumPy, of torch on the device, and of the kernel itself."""
        refuse_flushed_subnormals(np)
        refuse_flushed_subnormals(xp_torch, self._device)
        for base, parts in _subnormals():
            reduction = Reduction(Ties(), Coefficients(tuple(part.coefficient for part in parts)))
            found, expected = self.reduce(base, parts, reduction), on_numpy().reduce(base, parts, reduction)
            if found is None or expected is None or found.data.tobytes() != expected.data.tobytes():
                raise SubnormalsFlushed(
                    f"the triton kernel flushes subnormal numbers on {self._device.type}, so its merged bits would "
                    "differ from everyone else's; use backend 'numba' or 'numpy'"
                )

    def reduce(self, base: Host, parts: Sequence[Part], reduction: Reduction) -> Reduced | None:
        """As `Kernel.reduce`. Raises BackendError when the block does not fit the device's memory."""
        with self._stream(), _clear_memory_errors(), np.errstate(all="ignore"):
            there, *values = _to_device([base, *(part.values for part in parts)], self._device)
            held = [replace(part, values=x) for part, x in zip(parts, values, strict=True)]
            reduced = reduce_on_device(there, held, reduction)
            return reduced and replace(reduced, data=_from_device(reduced.data))

    def observe(self, base: Host, part: Part, watch: Watch, seen: Any, shared: Sequence[Any] = ()) -> Any | None:
        """As `Kernel.observe`: windows of magnitudes before any stage on the device, all else by the reference."""
        if watch.stages or not counts_magnitudes(watch):
            return on_numpy().observe(base, part, watch, seen, shared)
        return seen if self.count(base, part, watch.look, seen) else None

    def share(self, base: Host, parts: Sequence[Part], reduction: Reduction, rounds: int) -> Sequence[Any] | None:
        """As `Kernel.share`, by the reference."""
        return on_numpy().share(base, parts, reduction, rounds)

    def dots(self, base: Host, parts: Sequence[Part], reduction: Reduction, round_: int, known: int = 0) -> Host | None:
        """As `Kernel.dots`, by the reference."""
        return on_numpy().dots(base, parts, reduction, round_, known)

    def count(self, base: Host, part: Part, window: Window, counts: Counts) -> bool:
        """Add to `counts` how many magnitudes lie in each bin; False when some tau is not finite.

        Raises BackendError when the block does not fit the device's memory.
        """
        with self._stream(), _clear_memory_errors(), np.errstate(all="ignore"):
            there, values = _to_device([base, part.values], self._device)
            *found, bad = count_on_device(there, replace(part, values=values), window).tolist()
        if not bad:
            counts += np.array(found, np.int64)
        return not bad

    def _stream(self) -> AbstractContextManager[object]:
        if self._device.type == "cpu":
            return nullcontext()
        if not hasattr(self._of_thread, "stream"):
            self._of_thread.stream = torch.cuda.Stream(self._device)
        stream: AbstractContextManager[object] = torch.cuda.stream(self._of_thread.stream)
        return stream


def reduce_on_device(base: Tensor, parts: Sequence[Part], reduction: Reduction) -> Reduced | None:
    """As `Kernel.reduce`, with torch tensors of one device in and out, on the current stream, which it waits for.

    base: fewer than 2^31 elements.
    """
    launch = Launch.of(base, parts, reduction)
    merged, totals = launch.run()
    *counts, flags = totals.tolist()
    bad, missed = _unpacked(flags)
    if bad or (missed and not launch.repair(merged)):
        return None
    kept, above = zip(*(_unpacked(counts[row]) for row in launch.rows), strict=True)
    uncertified = missed if reduction.coefficients.certified else base.numel()
    return Reduced(merged, kept, witnesses(parts, kept, above), uncertified)


def count_on_device(base: Tensor, part: Part, window: Window) -> Tensor:
    """The counts of a window, and last how many tau are not finite. Torch tensors; returns (bins + 2,) integers."""
    base, values, n = _aligned(base), _aligned(part.values), base.numel()
    counts = torch.zeros(window.bins + 2, dtype=torch.int32, device=base.device)
    with _launching:
        count_tile[(triton.cdiv(n, TILE),)](
            bits(base), bits(values), counts, n, window.low, window.shift, window.bins,
            BASE=_code(base), KIND=_kind(part), TILE=TILE, **OPTIONS,
        )  # fmt: skip
    return counts


@dataclass(frozen=True)
class Launch:
    """The kernel with its arguments: parts by kind, and `rows`, where each of the parts as given stands among them."""

    base: Tensor
    parts: Sequence[Part]
    rows: Sequence[int]
    reduction: Reduction
    code: int
    table: Tensor

    @classmethod
    def of(cls, base: Tensor, parts: Sequence[Part], reduction: Reduction) -> Launch:
        """Sort the parts by kind, which the order of exact sums allows [TI-1], and tell the device of them.

        Raises BackendError for a method that has no code.
        """
        code = fused_as(reduction.method, TritonKernel.name).code
        order = sorted(range(len(parts)), key=lambda i: _kind(parts[i]))
        held = [replace(parts[i], values=_aligned(parts[i].values)) for i in order]
        (table,) = _to_device([_table(held, reduction, base.numel())], base.device)
        return cls(_aligned(base), held, np.argsort(order).tolist(), reduction, code, table)

    def run(self, *, mark: bool = False) -> tuple[Tensor, Tensor]:
        """Merge, and wait for nothing. Returns (n,) of the base's dtype, and (parts + 1,) int64 counts, packed.

        mark: return instead of the merged block where it has no certificate, as bool.
        """
        n = self.base.numel()
        out = torch.empty_like(self.base, dtype=torch.bool if mark else self.base.dtype)
        programs = triton.cdiv(n, TILE)
        counts = torch.empty((len(self.parts) + 1, programs), dtype=torch.int64, device=self.base.device)
        with _launching:
            reduce_tile[(programs,)](
                bits(self.base), bits(out), counts, self.table, n, BASE=_code(self.base), TILE=TILE, MARK=mark,
                KINDS=_kinds(self.parts), METHOD=self.code, **OPTIONS,
            )  # fmt: skip
        return out, counts.sum(dim=1)

    def repair(self, merged: Tensor) -> bool:
        """Compute the coordinates without certificate by the equations; False when one is not finite [EX-3]."""
        marked, _ = self.run(mark=True)
        at = marked.nonzero().reshape(-1)
        where = to_host(at)
        parts = [replace(part, values=to_host(part.values[at]), at=where) for part in self.parts]
        exact = on_numpy().reduce(to_host(self.base[at]), parts, self.reduction)
        if exact is not None:
            merged[at] = _to_device([exact.data], merged.device)[0]
        return exact is not None


def _table(parts: Sequence[Part], reduction: Reduction, n: int) -> Host:
    """What the kernel must know of the reduction and of each part: int64, fp64 numbers by their bits.

    The header: where the rows of each kind begin and the last end; 1 if sums of coefficients are exact, else 0, for
    then nothing is certified; their total; lambda. A row: address, threshold, ties, coefficient. One row more is read
    ahead, of nothing.
    """
    (round_,) = reduction.rounds
    exact = reduction.coefficients.certified or not round_.columns.votes
    table = np.zeros(HEADER + ROW * (len(parts) + 1), np.int64)
    numbers = table.view(np.float64)
    table[:9] = np.searchsorted([_kind(part) for part in parts], range(9))
    numbers[9:HEADER] = exact, reduction.coefficients.total, reduction.lambda32
    for i, part in enumerate(parts):
        row = HEADER + ROW * i
        threshold, ties = cut_of(part)
        table[row : row + 3] = part.values.data_ptr(), threshold, max(0, min(ties, n)) if threshold else n
        numbers[row + 3] = part.coefficient
    return table


def _to_device(arrays: Sequence[Host], device: Any) -> list[Tensor]:
    """Host arrays as torch tensors on the device, by one copy from pinned memory."""
    sizes = [array.nbytes + -array.nbytes % _PAGE for array in arrays]
    staged = torch.empty(sum(sizes), dtype=torch.uint8, pin_memory=device.type == "cuda")
    for array, bytes_ in zip(arrays, staged.split(sizes), strict=True):
        bytes_.numpy()[: array.nbytes] = np.ascontiguousarray(array).view(np.uint8)
    there = staged.to(device, non_blocking=True).split(sizes)
    return [x[: a.nbytes].view(getattr(torch, a.dtype.name)) for a, x in zip(arrays, there, strict=True)]


def _from_device(tensor: Tensor) -> Host:
    """A tensor as a host array of its own: pinned memory is too scarce to be kept."""
    staged = torch.empty_like(tensor, device="cpu", pin_memory=tensor.is_cuda)
    staged.copy_(tensor, non_blocking=True)
    if tensor.is_cuda:
        torch.cuda.current_stream(tensor.device).synchronize()
    return to_host(staged).copy()


def _aligned(tensor: Tensor) -> Tensor:
    """The tensor itself, or a copy whose elements are in a row and begin where a vector can be read."""
    return tensor.clone() if tensor.data_ptr() % VECTOR or not tensor.is_contiguous() else tensor


def _code(array: Any) -> int:
    return CODES[name_of(array)]


def _kind(part: Part) -> int:
    """The dtype and the form of a part, as one number."""
    return 2 * _code(part.values) + FORMS[part.form]


def _kinds(parts: Sequence[Part]) -> int:
    """The kinds that occur among parts, a bit for each: code for others is not compiled."""
    return sum({1 << _kind(part) for part in parts})


def _unpacked(counts: int) -> tuple[int, int]:
    return counts & 0xFFFFFFFF, counts >> 32


def _subnormals() -> Iterator[tuple[Host, list[Part]]]:
    """Blocks in which every kind of operation and conversion of the kernel meets subnormals."""
    steps = np.arange(1, 65)
    for name in ("F32", "F16"):
        base = (steps * np.finfo(DTYPES[name].numpy).smallest_subnormal).astype(DTYPES[name].numpy)
        tuned = Part(base * 3, "finetuned", 0.75, ((1, base.size),))
        vectors = [(steps * tiny).astype(DTYPES[d].numpy) for d, tiny in _TINY.items()]
        yield base, [tuned, *(Part(vector, "task_vector", 0.375, ((1, base.size),)) for vector in vectors)]


@contextmanager
def _clear_memory_errors() -> Iterator[None]:
    """Say in one line what to do when the device, or pinned memory, is full."""
    try:
        yield
    except RuntimeError as error:  # torch and triton have several classes for it
        if "out of memory" not in str(error).lower():
            raise
        raise BackendError(
            "backend 'triton': a block does not fit the memory of the CUDA device; use a smaller block or fewer "
            "threads, or backend 'numba' or 'numpy'"
        ) from None
