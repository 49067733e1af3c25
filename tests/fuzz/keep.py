"""Which of the inputs that a search found are worth keeping: those that reach lines which no smaller one reached.

python -m tests.fuzz.keep TARGET...    copies them from build/fuzz/TARGET/ into the corpus, as found-...
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz import campaign
from tests.fuzz.meter import is_own
from tests.fuzz.seeds import CORPUS
from tests.fuzz.target import Target, attempt
from tests.fuzz.targets import TARGETS

#: Larger ones are not kept, so that the corpus stays small.
_MOST = 2000

Line = tuple[str, int, int]


def keep(name: str, found: Path) -> list[str]:
    """Copy what is worth it from a folder into the corpus of a target; returns the names of the new files."""
    target, kept = TARGETS[name], []
    with tempfile.TemporaryDirectory() as folder:
        reached = {step for data in campaign.corpus(name).values() for step in _steps(target, data, Path(folder))}
        for data in sorted((path.read_bytes() for path in found.iterdir()), key=len):
            steps = _steps(target, data, Path(folder))
            if steps - reached and len(data) <= _MOST:
                reached |= steps
                kept.append(f"found-{hashlib.sha256(data).hexdigest()[:12]}")
                (CORPUS / name / kept[-1]).write_bytes(data)
    return kept


def _steps(target: Target, data: bytes, folder: Path) -> set[Line]:
    """From which line to which line of the package the decoder went."""
    steps: set[Line] = set()
    before: dict[FrameType, int] = {}

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if not is_own(frame.f_code.co_filename):
            return None
        if event == "line":
            steps.add((frame.f_code.co_filename, before.get(frame, 0), frame.f_lineno))
            before[frame] = frame.f_lineno
        return trace

    sys.settrace(trace)
    try:
        attempt(target, data, folder)
    finally:
        sys.settrace(None)
    return steps


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, *keep(name, Path("build") / "fuzz" / name))
