"""Some examples of docstrings go on from that of `Workspace`: it runs before each of them, in a folder of its own."""

from __future__ import annotations

from doctest import DocTestParser

import pytest

#: The modules whose examples do so.
MODULES = frozenset(
    f"mergealgebra.{name}"
    for name in (
        "administration",
        "contents",
        "key_files",
        "merge_result",
        "publication",
        "tensors.checkpoint",
        "tensors.safetensors_file",
        "verification",
        "workspace",
    )
)


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
