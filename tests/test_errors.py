"""Every error is one printable line, in a notebook too."""

from __future__ import annotations

import pickle

import pytest

from mergealgebra import errors
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.targets import protocol

HOSTILE = "a\x1b[2K\n  b\r\nc\u202e\u2028d\x85e\udc80\u2069"


@pytest.mark.clause("CL-5")
@pytest.mark.parametrize("error", [e for e in vars(errors).values() if isinstance(e, type)], ids=lambda e: e.__name__)
def test_a_message_is_one_printable_line(error):
    made = error(HOSTILE)
    assert str(made) == r"a\x1b[2K b c\u202e d e\udc80\u2069"
    assert made.args == (str(made),)
    assert str(pickle.loads(pickle.dumps(made))) == str(made)


def test_an_error_with_more_than_a_message_is_one_too():
    wrong = protocol._Wrong("malformed", HOSTILE)
    assert wrong.kind == "malformed"
    assert str(wrong).isprintable()


def test_a_message_that_quotes_another_stays_as_it_is():
    first = MergeAlgebraError(HOSTILE)
    assert str(MergeAlgebraError(str(first))) == str(first)
    assert str(MergeAlgebraError()) == ""
