"""Who may have to wait sees a bar, on a terminal [CL-4]."""

from __future__ import annotations

import io
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from unittest import mock

import pytest

from mergealgebra.cli import main

#: A command in the scene, and a step for which it draws a bar.
BARS = {
    "init": ("-C new init --base base", "reading the base"),
    "init --share": ("-C new init --base base --share", "reading the base"),
    "set-base": ("-C alice set-base base", "reading the base"),
    "contribute": ("-C alice contribute ft2.safetensors", "writing the contribution"),
    "sync": ("-C alice sync new --create", "copying blobs"),
    "clone": ("clone --yes shared new --base base", "copying blobs"),
    "resolve": ("-C alice resolve out", "merge"),
    "merge": ("merge merge.yaml out", "merge"),
    "verify": ("verify merged", "reading the model"),
    "fsck": ("-C alice fsck", "checking blobs"),
}


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.clause("CL-4")
@pytest.mark.parametrize(("line", "step"), BARS.values(), ids=BARS)
def test_whoever_may_have_to_wait_sees_a_bar(line, step, scene):
    with (
        chdir(scene),
        redirect_stdout(io.StringIO()),
        redirect_stderr(_Terminal()) as terminal,
        mock.patch.object(sys, "argv", ["mergealgebra", *line.split()]),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    assert ended.value.code == 0
    assert step in terminal.getvalue()
