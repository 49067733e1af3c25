"""CPU of receiving blobs over HTTP against SHA-256 alone over the same bytes, and bytes on the wire of real fine-tunes.

    python benchmarks/receiving.py [--megabytes 512] [--models FOLDER]

The client is a process of its own, and so is the server; each counts its own CPU time. The ratio is taken in the
client: it hashes as many bytes with SHA-256, by leaves, in the same process. --models: what of the fine-tunes that
`small_finetunes.py` writes to a folder travels [BL-5, BL-9].
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))
LEAF = 1 << 20


def cpu() -> float:
    """The CPU seconds of this process so far, those of the system for it included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def cpu_of(pid: int) -> float:
    """The same of another process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def hash_seconds(megabytes: int) -> float:
    """CPU seconds of SHA-256 over so many leaves."""
    data = memoryview(bytearray(os.urandom(LEAF)))
    started = cpu()
    for _ in range(megabytes):
        digest = hashlib.sha256(b"\0")
        digest.update(data)
        digest.digest()
    return cpu() - started


def receive(folder: str, address: str, packed: str) -> None:
    """Sync, in this process; prints what it took."""
    from mergealgebra.store.base_leaves import no_base
    from mergealgebra.store.objects import Store
    from mergealgebra.sync import leaf_frames
    from mergealgebra.sync.http_peer import HttpCarrier
    from mergealgebra.sync.live import sync_live
    from mergealgebra.sync.peer import CarriedPeer
    from mergealgebra.sync.replica import base_of

    if packed == "no":
        leaf_frames._zstd = lambda: None  # type: ignore[assignment]
    else:
        leaf_frames._FAST_PACKED = leaf_frames._FAST = 1 << 60  # type: ignore[misc]
    wire, read_into = [0], sys.modules["mergealgebra.sync.http_peer"]._read_into

    def counted(response: object, buffer: memoryview) -> int:
        count = read_into(response, buffer)
        wire[0] += count
        return int(count)

    sys.modules["mergealgebra.sync.http_peer"]._read_into = counted  # type: ignore[attr-defined]
    store = Store.open(folder)
    with base_of([store]) as base:
        base() if packed == "yes" else no_base()
        started = cpu()
        result = sync_live(store, CarriedPeer(HttpCarrier(address)), base=base if packed == "yes" else no_base)
        took = cpu() - started
    if not result.taken_blobs:
        raise SystemExit(str(result.refused))
    sizes = [store.blob_bytes(root) or 0 for root in result.taken_blobs]
    megabytes = sum(sizes) >> 20
    print(json.dumps({"cpu": took, "hash": hash_seconds(megabytes) if megabytes else 0.0, "bytes": sum(sizes),
                      "wire": wire[0]}))  # fmt: skip


def measured(server: Path, client: Path, packed: str) -> dict[str, float]:
    """One sync of a client with a server, each a process; CPU seconds of both."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mergealgebra", "serve", str(server), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as serving:
        address = serving.stdout.readline().split(" at ")[1].split(",")[0]  # type: ignore[union-attr]
        before = cpu_of(serving.pid)
        started = time.monotonic()
        told = subprocess.run([sys.executable, __file__, "--receive", str(client), address, packed], check=True,
                              capture_output=True, text=True, env=environment).stdout  # fmt: skip
        found: dict[str, float] = json.loads(told)
        found["server"] = cpu_of(serving.pid) - before
        found["seconds"] = time.monotonic() - started
        serving.terminate()
    return found


def workspace(folder: Path, base: Path, tuned: Path | None, like: Path | None = None) -> Path:
    """A workspace with a contribution, or one of the same workspace without any."""
    import mergealgebra as ma

    made = ma.Workspace.init(folder, base=base, recipe=ma.Mean(), name="bench")
    if tuned is not None:
        made.contribute(tuned)
    return folder


def raw_speed(megabytes: int) -> None:
    """The ratio for random bytes, as they are."""
    import numpy as np

    from tests.models import write_canonical

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        random = np.random.default_rng(1)
        count = megabytes * LEAF // 4
        base = {"w": random.standard_normal(count, np.float32)}
        write_canonical(folder / "base.safetensors", base)
        write_canonical(folder / "tuned.safetensors", {"w": base["w"] + np.float32(0.01)})
        del base
        server = workspace(folder / "server", folder / "base.safetensors", folder / "tuned.safetensors")
        measured(server, workspace(folder / "first", folder / "base.safetensors", None), "no")  # its map is made
        for number in range(3):
            client = workspace(folder / f"client{number}", folder / "base.safetensors", None)
            print(line(f"{megabytes} MiB, as they are", measured(server, client, "no")), flush=True)
        for again in ("for the first time", "with the base's map kept"):
            client = workspace(folder / "packed", folder / "base.safetensors", None) if "first" in again else client
            for blob in (client / "blobs").iterdir():
                blob.unlink()
            print(line(f"{megabytes} MiB, packed, {again}", measured(server, client, "yes")), flush=True)


def line(what: str, found: dict[str, float]) -> str:
    ratio = f"{found['cpu'] / found['hash']:.2f} times SHA-256" if found["hash"] else "too little to time"
    return (
        f"{what}: client {found['cpu']:.3f} CPU-s ({ratio}, of {found['hash']:.3f}), server {found['server']:.2f}, "
        f"{found['seconds']:.1f} s; on the wire {found['wire']:,.0f} of {found['bytes']:,.0f} bytes, "
        f"{found['wire'] / found['bytes']:.3f}"
    )


def models(folder: Path) -> None:
    """What of real fine-tunes travels: pairs BASE.safetensors, TUNED.safetensors of a folder."""
    for base in sorted(folder.glob("*-base.safetensors")):
        name = base.name.removesuffix("-base.safetensors")
        with tempfile.TemporaryDirectory() as scratch:
            server = workspace(Path(scratch) / "server", base, folder / f"{name}-tuned.safetensors")
            client = workspace(Path(scratch) / "client", base, None)
            print(line(name, measured(server, client, "yes")), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--receive"]:
        receive(*sys.argv[2:])
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--models", type=Path, help="a folder of NAME-base.safetensors and NAME-tuned.safetensors")
    options = parser.parse_args()
    if options.models:
        models(options.models)
    else:
        raw_speed(options.megabytes)
