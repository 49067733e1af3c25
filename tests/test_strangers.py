"""The tutorial of three strangers: its story holds, and its README shows what it prints."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent / "examples" / "strangers"
#: What is another each time, or with another version of PyTorch.
CHANGING = {
    r"SHA256:\S+": "KEY",
    r"\b[0-9a-f]{8,64}\b": "ID",
    r"http://127\.0\.0\.1:\d+": "ADDRESS",
    r"everybody may [^;]*;": "TERMS;",
    r"\d+%": "PERCENT",
    r"\((\d+, )+\d+ on": "(on",
    r"\s+": " ",
}


def lines_of(text: str) -> list[str]:
    found = []
    for line in text.splitlines():
        for pattern, word in CHANGING.items():
            line = re.sub(pattern, word, line)
        found.append(line.strip())
    return found


def follow(shown: str, printed: list[str], at: int) -> int:
    """Find the lines of a block, in order, from a line on. Others may stand between them: the script says more."""
    for line in lines_of(shown):
        if line == "...":
            continue
        assert line in printed[at:], f"the README shows what is not printed there: {line}"
        at = printed.index(line, at) + 1
    return at


@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("mlxtend", "uvicorn", "starlette")), reason="mlxtend or the servers lack"
)
def test_the_story_holds_and_the_readme_shows_it(tmp_path):
    command = [sys.executable, str(EXAMPLE / "strangers.py"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    printed = lines_of(done.stdout)
    assert sum(line.startswith("checked ") for line in printed) == 11
    blocks = re.findall(r"^```text\n(.*?)^```$", (EXAMPLE / "README.md").read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 9
    at = 0
    for block in blocks:
        at = follow(block, printed, at)
    secret = (tmp_path / "out" / "alice" / "alice-key").read_text()
    assert not any(line in done.stdout for line in secret.splitlines()[1:-1])
