"""Real servers that tests start: how each is found and started, and why it is skipped where it is not here."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / ".venvs"
BUCKET = "models"


@dataclass(frozen=True)
class Bucket:
    """A server of buckets. command: by its folder and port; setup: run once it answers, by its address.

    keys: what it knows; checks_keys: whether it minds others.
    """

    program: Path
    command: Callable[[Path, int], Sequence[object]]
    keys: tuple[str, str]
    checks_keys: bool
    setup: Callable[[str], Sequence[object]] | None = None


MOTO = INSTALLED / "moto" / "bin" / "moto_server"
S3RVER = INSTALLED / "s3rver" / "node_modules" / ".bin" / "s3rver"
RCLONE = INSTALLED / "rclone" / "bin" / "rclone"

BUCKETS = {
    "moto": Bucket(
        MOTO,
        lambda folder, port: [MOTO, "-H", "127.0.0.1", "-p", port],
        ("tester", "a-secret"),
        False,
        lambda address: [
            MOTO.with_name("python"), "-c",
            f"import boto3; boto3.client('s3', endpoint_url='{address}').create_bucket(Bucket='{BUCKET}')",
        ],
    ),
    "s3rver": Bucket(
        S3RVER,
        lambda folder, port: [S3RVER, "-d", folder, "-a", "127.0.0.1", "-p", port, "--configure-bucket", BUCKET],
        ("S3RVER", "S3RVER"),
        True,
    ),
    "rclone serve s3": Bucket(
        RCLONE,
        lambda folder, port: [
            RCLONE, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", "tester,a-secret", folder,
        ],
        ("tester", "a-secret"),
        True,
    ),
}  # fmt: skip

#: Web servers of files: where the program is, and the command by folder and port.
FILES: dict[str, tuple[Path | None, Callable[[Path, Path, int], Sequence[object]]]] = {
    "python -m http.server": (
        Path(sys.executable),
        lambda program, folder, port: [program, "-m", "http.server", "-b", "127.0.0.1", "-d", folder, port],
    ),
    "rclone serve http": (
        RCLONE if RCLONE.exists() else Path(shutil.which("rclone") or "rclone"),
        lambda program, folder, port: [
            program,
            "serve",
            "http",
            "--dir-cache-time",
            "0s",
            "--addr",
            f"127.0.0.1:{port}",
            folder,
        ],
    ),
    "nginx": (
        Path(shutil.which("nginx", path="/usr/sbin:/usr/bin") or "nginx"),
        lambda program, folder, port: [program, "-p", folder.parent, "-c", _nginx(folder, port), "-g", "daemon off;"],
    ),
}


def _nginx(folder: Path, port: int) -> Path:
    """What nginx is told, in a file."""
    config = folder.parent / "nginx.conf"
    config.write_text(
        f"pid {folder.parent}/nginx.pid; error_log stderr; user root; events {{}}\n"
        f"http {{ access_log off; server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n"
    )
    return config


def require(program: Path) -> None:
    """Skip the test, saying why, where a server is not installed."""
    if not program.exists():
        pytest.skip(f"{program.name} is not installed here; `make peers` installs what it can")


@contextmanager
def bucket_server(name: str, folder: Path) -> Iterator[str]:
    """A server of buckets, with a bucket; its address. The AWS_ variables are the caller's to set."""
    server = BUCKETS[name]
    require(server.program)
    (folder / BUCKET).mkdir(parents=True)
    with _running(lambda port: server.command(folder, port)) as address:
        if server.setup is not None:
            keys = {"AWS_ACCESS_KEY_ID": server.keys[0], "AWS_SECRET_ACCESS_KEY": server.keys[1]}
            environment = {**os.environ, **keys, "AWS_DEFAULT_REGION": "us-east-1"}
            subprocess.run([*map(str, server.setup(address))], check=True, env=environment, timeout=60)
        yield address


@contextmanager
def file_server(name: str, folder: Path) -> Iterator[str]:
    """A web server of the files of a folder; its address."""
    program, command = FILES[name]
    require(program)
    with _running(lambda port: command(program, folder, port)) as address:
        yield address


@contextmanager
def _running(command: Callable[[int], Sequence[object]]) -> Iterator[str]:
    """A process that takes connections, ended at the end; its address. Another port is tried if it ends at once."""
    for _ in range(3):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with subprocess.Popen(
            [*map(str, command(port))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                if _answers(process, port):
                    yield f"http://127.0.0.1:{port}"
                    return
            finally:
                process.kill()
    pytest.fail(f"{command(0)} does not start")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            time.sleep(0.05)
    return False
