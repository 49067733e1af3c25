"""What stands between two machines and spoils what passes: a proxy on loopback that cuts, delays, drops and flips."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

#: What becomes of bytes on their way from the server: of those at an offset in all that it ever sent. None cuts.
Change = Callable[[int, bytes], bytes | None]


#: The server's bytes pass in small pieces, so that a cut falls anywhere.
_PIECE_BYTES = 250


def sound(offset: int, data: bytes) -> bytes | None:
    """Nothing happens to it."""
    return data


def cut_at(end: int) -> Change:
    """The connection ends before the piece with this byte, and no further one is better."""
    return lambda offset, data: data if offset + len(data) <= end else None


def delayed(seconds: float) -> Change:
    """Every piece is late."""

    def change(offset: int, data: bytes) -> bytes:
        time.sleep(seconds)
        return data

    return change


def flipped(at: int, bit: int) -> Change:
    """One bit of one byte is another."""

    def change(offset: int, data: bytes) -> bytes:
        if not offset <= at < offset + len(data):
            return data
        spoilt = bytearray(data)
        spoilt[at - offset] ^= 1 << bit
        return bytes(spoilt)

    return change


def lost_at(start: int, nbytes: int) -> Change:
    """Some bytes never arrive."""

    def change(offset: int, data: bytes) -> bytes:
        first, last = max(start - offset, 0), max(start + nbytes - offset, 0)
        return data[:first] + data[last:]

    return change


@dataclass
class Wire:
    """A proxy to a server. sent: how many bytes came from the server so far."""

    target: tuple[str, int]
    change: Change
    listening: socket.socket
    sent: int = 0
    address: str = ""

    def __post_init__(self) -> None:
        self.address = f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(self.target) as server:
            up = threading.Thread(target=_pump, args=(client, server), daemon=True)
            up.start()
            while data := server.recv(_PIECE_BYTES):
                at, self.sent = self.sent, self.sent + len(data)
                changed = self.change(at, data)
                if changed is None:
                    break
                client.sendall(changed)
            for one in (client, server):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _wire(address: str, change: Change, listening: socket.socket) -> Wire:
    found = urlsplit(address)
    return Wire((str(found.hostname), int(found.port or 0)), change, listening)


@contextlib.contextmanager
def wire_to(address: str, change: Change = sound) -> Iterator[Wire]:
    """A proxy in threads of this process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        wire = _wire(address, change, listening)
        threading.Thread(target=wire.run, daemon=True).start()
        yield wire
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def wire_apart(address: str, change: Change, listening: socket.socket) -> Iterator[str]:
    """A proxy in a process of its own, for those who fork: its address. listening: where it takes connections."""
    wire = _wire(address, change, listening)
    pid = os.fork()
    if pid == 0:
        try:
            wire.run()
        finally:
            os._exit(0)
    try:
        yield wire.address
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
