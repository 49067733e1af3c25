"""Whatever is wrong: exit status 1, one clear line, and everything as it was [CL-1]."""

from __future__ import annotations

import shlex

import pytest

from tests.cli.bad.checkpoints import CHECKPOINTS
from tests.cli.bad.configurations import CONFIGURATIONS
from tests.cli.commands import call, tree

#: Every way to get something wrong, by name.
BAD_INPUT = {**CHECKPOINTS, **CONFIGURATIONS}


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=name, marks=pytest.mark.clause("CL-1", *case.clauses)) for name, case in BAD_INPUT.items()],
)
def test_one_line_and_nothing_changed(case, scene):
    case.arrange(scene)
    before = tree(scene)
    outcome = call(scene, *shlex.split(case.command))
    complaint = outcome.complaint()
    missing = [word for word in case.words if word not in complaint]
    assert not missing, complaint
    assert _kept(tree(scene), case.changes) == _kept(before, case.changes)
    case.then(scene)


def _kept(files, changes):
    """The files outside the folders that may change."""
    return {path: content for path, content in files.items() if path.split("/")[0] not in changes}
