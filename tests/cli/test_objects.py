"""With `--json` each verb prints one object, whose keys come in one order."""

from __future__ import annotations

import pytest

from mergealgebra.cli import VERBS
from tests.cli.objects import KEYS, typed

#: A command for each verb whose object no story looks at.
OTHERS = {
    "warmup": "warmup",
    "show": "-C bob show {id}",
    "fsck": "fsck shared",
    "keygen": "keygen new-key",
    "set-key": "-C guild set-key ada",
    "grant": "-C guild grant ada.pub --name Ada --key maya",
    "revoke": "-C guild revoke bob-key.pub --key maya",
    "keep": "-C guild keep left-key.pub {op} --key maya",
    "members": "-C guild members",
    "set-base": "-C alice set-base base",
    "set-name": "-C alice set-name Ada",
    "gc": "-C alice gc",
    "laws": "laws ties --tries 1 --law bounds",
}


@pytest.mark.clause("CL-2")
@pytest.mark.parametrize("verb", OTHERS)
def test_each_verb_prints_one_object(verb, scene):
    id_ = typed(scene, "-C bob log")["operations"][0]["contribution"]
    assert typed(scene, OTHERS[verb].format(id=id_, op="ab" * 32))


def test_every_verb_prints_an_object():
    # `serve` answers others until it is ended, and `convert` prints a file.
    assert set(VERBS) - {"serve", "convert"} == set(KEYS)
