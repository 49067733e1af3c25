"""The oracle as the tests use it: the reducer that the proofs speak of, a program that answers one request a line.

What it reads and writes is in proofs/oracle/README.md.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Self

Json = Any

PROGRAM = Path(__file__).parent.parent.parent / "proofs" / "oracle" / "oracle"
BUILD = "make -C proofs/oracle"


class Oracle:
    """The program, started once and asked many times. Use it as a context manager."""

    def __init__(self, program: Path = PROGRAM) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, request: Json) -> Json:
        """The answer to one request."""
        return self.answer(json.dumps(request).encode())

    def answer(self, line: bytes) -> Json:
        """The answer to one line, which need not be a request."""
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the oracle has ended, with {self._process.wait()}; it was asked {line[:2000]!r}"
        return json.loads(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
