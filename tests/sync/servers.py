"""Servers that tests start: processes of `mergealgebra serve`, and one in a thread of the test."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from mergealgebra.sync.service import Service
from mergealgebra.sync.terms import Terms, Who

EVERYBODY = Terms(Who.EVERYBODY, Who.EVERYBODY)
ROOT = Path(__file__).parents[2]
RUN = [sys.executable, "-P", "-m", "mergealgebra"]


@dataclass
class Serving:
    """A process that serves, its address, and the line that it said."""

    process: subprocess.Popen[str]
    address: str
    line: str

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def served(folder: Path, *options: str) -> Iterator[Serving]:
    """A process of `serve` on loopback, ended at the end."""
    command = [*RUN, "serve", str(folder), *(options if "--port" in options else ("--port", "0", *options))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), *map(str, sys.path)]))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder.parent) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("serving workspace"), line
            yield Serving(process, line.split(" at ")[1].split(",")[0], line)
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


@contextlib.contextmanager
def in_thread(service: Service, terms: Terms = EVERYBODY, names: Collection[str] = (), **files: Path) -> Iterator[str]:
    """A service over HTTP, or over HTTPS with a certificate and its key, in a thread of this process; its address."""
    from mergealgebra.sync.serving import http_server

    server = http_server(service, terms, names, **files)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http{'s' * bool(files)}://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
