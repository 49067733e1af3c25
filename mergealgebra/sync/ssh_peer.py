"""A peer over ssh: the system's `ssh` starts `mergealgebra serve --stdio` on the other machine [PR-15].

Nothing of an address is an option, or more than one word, for `ssh` or for the shell over there.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from mergealgebra.addresses import without_secrets
from mergealgebra.errors import AddressError, EncodingError, PeerError, PeerRefused
from mergealgebra.sync import calls
from mergealgebra.sync import frames as wire
from mergealgebra.sync.calls import Run
from mergealgebra.sync.leaf_frames import Fill, exact
from mergealgebra.text import one_line, shortened, shown

#: How long a peer may be silent, at first with a person who types a password, and one whole answer take.
IDLE_SECONDS: Final = 60.0
FIRST_SECONDS: Final = 180.0
CALL_SECONDS: Final = 180.0
_LEAST_RATE: Final = 4096

_ADDRESS: Final = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?"
    r"(?:(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)|\[(?P<ip>[0-9A-Fa-f:.]+)\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/.+)"
)


def ssh_command(address: str) -> list[str]:
    """The words by which a peer's process is started. Raises AddressError.

    >>> ssh_command("ssh://bob@host:2222/srv/our models")[1:]
    ['-T', '-p', '2222', '-l', 'bob', '--', 'host', "mergealgebra serve --stdio -- '/srv/our models'"]
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or not address.isprintable():
        raise AddressError(
            f"{shown(without_secrets(address))} is not the address of a peer: write ssh://HOST/PATH or "
            "ssh://USER@HOST:PORT/PATH; a host or user does not begin with a hyphen, and "
            "options belong into ~/.ssh/config"
        )
    port = ["-p", found["port"]] if found["port"] else []
    user = ["-l", found["user"]] if found["user"] else []
    there = f"mergealgebra serve --stdio -- {shlex.quote(found['path'])}"
    return ["ssh", "-T", *port, *user, "--", found["host"] or found["ip"], there]


def _program(name: str) -> str:
    """Where a program is, by the folders of PATH that are the same ones wherever one stands. Raises PeerError."""
    path = os.pathsep.join(filter(os.path.isabs, os.get_exec_path()))
    found = shutil.which(name, path=path)
    if found is None:
        raise PeerError(f"`{name}` is not there: install OpenSSH's client")
    return found


class SshCarrier:
    """Carries calls to the process at the other end of `ssh`, which lives as long as this."""

    def __init__(self, address: str, command: Sequence[str] | None = None) -> None:
        self.name = address
        self._command = list(command or ssh_command(address))
        self._process: subprocess.Popen[bytes] | None = None
        self._killed: subprocess.Popen[bytes] | None = None
        self._deadline = 0.0

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def cut(self) -> None:
        """As in Carrier: the process ends, and the next call starts another."""
        process = self._killed = self._process
        if process is not None:
            process.kill()

    def blob_map(self, root: str, most: int) -> bytes:
        """As in Carrier."""
        return self.call(wire.MAP, bytes.fromhex(root), most)

    def put_map(self, root: str, data: bytes, most: int) -> bytes:
        """As in Carrier."""
        return self.call(wire.PUT_MAP, bytes.fromhex(root) + data, most)

    def call(self, call: str, asked: bytes, most: int) -> bytes:
        """As in Carrier."""
        with self._failures():
            self._begin()
            wire.write_question(self._write, call, len(asked))
            self._write(asked)
            nbytes = self._answered()
            if nbytes > most:
                raise PeerError(f"an answer has {nbytes} bytes, at most {most} are allowed")
            return wire.exactly(self._read, nbytes)

    @contextmanager
    def leaves(self, run: Run, packing: int) -> Iterator[Fill]:
        """As in Carrier."""
        with self._failures():
            self._begin()
            asked = wire.write_run(run) + bytes([packing])
            wire.write_question(self._write, wire.LEAVES, len(asked))
            self._write(asked)
            whole = left = self._answered()
        started = time.monotonic()

        def read(buffer: memoryview) -> int:
            nonlocal left
            with self._failures():
                slow = time.monotonic() - started - IDLE_SECONDS
                if slow > 0 and whole - left < slow * _LEAST_RATE:
                    raise PeerError("it sends too slowly")
                self._deadline = time.monotonic() + IDLE_SECONDS
                count = os.readv(self._readable(), [buffer[:left]]) if left else 0
            left -= count
            return count

        try:
            yield exact(self.name, read)
            if left:
                raise PeerError(f"{self.name} sends more than was asked for; sync with another peer")
        finally:
            if left:  # what is left of it is nobody's answer
                self.close()

    def put_leaves(self, run: Run, frames: Sequence[bytes | memoryview]) -> None:
        """As in Carrier."""
        with self._failures():
            self._begin()
            named = wire.write_run(run)
            wire.write_question(self._write, wire.PUT_LEAVES, len(named) + sum(map(len, frames)))
            self._write(named)
            for frame in frames:
                self._deadline = time.monotonic() + IDLE_SECONDS
                self._write(frame)
            self._deadline = time.monotonic() + CALL_SECONDS
            wire.exactly(self._read, self._answered())

    def _answered(self) -> int:
        """The length of the answer. Raises PeerError with the peer's reason."""
        nbytes, reason = wire.read_answer(self._read)
        if reason is not None:
            raise _Refused(one_line(reason))
        return nbytes

    def _begin(self) -> None:
        """Start the process if there is none that runs, and the time of a call."""
        self._deadline = time.monotonic() + CALL_SECONDS
        if self._process is not None and (self._process is self._killed or self._process.poll() is not None):
            self.close()
        if self._process is None:
            self._deadline = time.monotonic() + FIRST_SECONDS
            self._process = subprocess.Popen(
                [_program(self._command[0]), *self._command[1:]],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                start_new_session=False,
            )
            os.set_blocking(_descriptor(self._process.stdin), False)

    def _read(self, nbytes: int) -> bytes:
        return os.read(self._readable(), nbytes)

    def _readable(self) -> int:
        """The descriptor of what comes, once there is something."""
        descriptor = _descriptor(self._process and self._process.stdout)
        if not select.select([descriptor], [], [], max(0.0, self._deadline - time.monotonic()))[0]:
            raise PeerError("it did not answer in time")
        return descriptor

    def _write(self, data: bytes | memoryview) -> None:
        descriptor, rest = _descriptor(self._process and self._process.stdin), memoryview(data)
        while rest:
            if not select.select([], [descriptor], [], max(0.0, self._deadline - time.monotonic()))[1]:
                raise PeerError("it did not take in time what was sent")
            rest = rest[os.write(descriptor, rest[: 1 << 16]) :]

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Name the peer in what goes wrong; after anything but a refusal the process is ended."""
        try:
            yield
        except _Refused as error:
            raise PeerRefused(f"{self.name} refuses: {shortened(str(error), calls.MOST_REASON)}") from error
        except (PeerError, EncodingError, OSError) as error:
            self.close()
            said = error.strerror if isinstance(error, OSError) else str(error)
            raise PeerError(
                f"{self.name} cannot be reached, or ended the connection: {shortened(one_line(said or ''), 200)}; "
                "check the address, that `ssh` logs in there, and that mergealgebra is installed there"
            ) from error


class _Refused(PeerError):
    """What the peer says it does not do."""


def _descriptor(stream: object) -> int:
    """The descriptor of a pipe of the process."""
    if stream is None:
        raise PeerError("the process has ended")
    number: int = stream.fileno()  # type: ignore[attr-defined]
    return number
