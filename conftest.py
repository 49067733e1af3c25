"""Examples of a workspace's methods run where the example of the class has run, in a folder of their own."""

from __future__ import annotations

from doctest import DocTestParser

import pytest

#: The modules whose examples go on from that of `Workspace`.
MODULES = ("mergealgebra.contents", "mergealgebra.workspace")


@pytest.fixture(autouse=True)
def the_workspace_of_examples(request, tmp_path_factory, monkeypatch):
    test = getattr(request.node, "dtest", None)
    if test is None or test.globs.get("__name__") not in MODULES:
        return
    from mergealgebra import Workspace

    monkeypatch.chdir(tmp_path_factory.mktemp("examples"))
    if test.name != "mergealgebra.workspace.Workspace":
        for example in DocTestParser().get_examples(Workspace.__doc__):
            exec(example.source, test.globs)
