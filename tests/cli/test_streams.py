"""Standard streams that are closed or full: nothing takes their place, and nothing is done that was not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mergealgebra.text import shortened
from tests.cli.commands import call

FULL = Path("/dev/full")

#: What a shell does to the streams, what is to be said, and what may be.
STREAMS = {
    "closed": (">&-", "mergealgebra: standard output: Bad file descriptor\n"),
    "all closed": ("<&- >&- 2>&-", ""),
    "full": (">/dev/full", "mergealgebra: standard output: No space left on device\n"),
    "both full": (">/dev/full 2>/dev/full", ""),
}


def _in_shell(scene, arguments, streams):
    line = f'exec "$0" -m mergealgebra {arguments} {streams}'
    return subprocess.run(
        ["sh", "-c", line, sys.executable], cwd=scene, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.clause("CL-1")
@pytest.mark.parametrize(("streams", "said"), STREAMS.values(), ids=STREAMS)
def test_what_nobody_could_read_is_not_done(streams, said, scene):
    if "full" in streams and not FULL.exists():
        pytest.skip("this system has no disk that is always full")
    done = _in_shell(scene, "-C alice status", streams)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


@pytest.mark.clause("CL-1")
def test_help_that_nobody_could_read_is_not_done_either(tmp_path):
    done = _in_shell(tmp_path, "--help", ">&-")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


@pytest.mark.clause("CL-1", "CL-4")
def test_a_command_goes_well_whose_errors_nobody_reads(scene):
    done = _in_shell(scene, "verify merged", "2>&-")
    assert (done.returncode, done.stdout.split()[:4]) == (0, ["merged", "is", "the", "model"])


def test_a_target_is_asked_where_standard_input_is_closed(tmp_path):
    """Its pipes have other numbers than the streams of a process."""
    done = _in_shell(tmp_path, "laws ties --law bounds --tries 1", "<&-")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.clause("CL-1")
def test_an_error_is_short_whatever_it_quotes(scene):
    (scene / "merge.yaml").write_text(f"method: ties\nbase: {'x' * 60_000}\nmodels: [path: ft0.safetensors]\n")
    complaint = call(scene, "merge", "merge.yaml", "out").complaint()
    assert 3000 < len(complaint) < 4000
    assert complaint.isprintable()


def test_what_is_short_stays():
    assert shortened("0123456789", 10) == "0123456789"
    assert len(shortened("x" * 5000, 4000)) <= 4000
