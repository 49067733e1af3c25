"""An interrupt is never lost: it may be raised where nothing can be raised, or become another error on its way."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: As the command line does; what it runs is the code of a case.
CODE = """
import os, signal, time
from mergealgebra import __main__, interrupts

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)

def run():
    interrupts.raise_interrupts()
    try:
        CASE
    finally:
        interrupts.leave_interrupts()

__main__._run = run
__main__.main()
"""

CASES = {
    "raised": "interrupt()",
    "in a finalizer": "type('Odd', (), {'__del__': lambda self: interrupt()})(); time.sleep(5)",
    "in the finalizer of a generator": """
        def pieces():
            try:
                yield
            finally:
                interrupt()
        next(pieces())
        time.sleep(5)""",
    "made another error of": """
        try:
            interrupt()
        except BaseException:
            raise ValueError('of an extension module') from None""",
    "made one of ours": """
        from mergealgebra import cli, errors
        try:
            interrupt()
        except BaseException:
            cli._fail(cli._message(errors.MergeAlgebraError('something else')))""",
}


@pytest.mark.clause("CL-3")
@pytest.mark.parametrize("case", CASES)
def test_an_interrupt_is_told_whatever_becomes_of_it(case):
    command = [sys.executable, "-c", CODE.replace("CASE", CASES[case])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "mergealgebra: interrupted; nothing was left half-written\n"


def test_other_errors_in_finalizers_are_printed_as_ever():
    case = "type('Odd', (), {'__del__': lambda self: 1 / 0})()"
    done = subprocess.run([sys.executable, "-c", CODE.replace("CASE", case)], capture_output=True, check=False)
    assert done.returncode == 0
    assert b"ZeroDivisionError" in done.stderr
