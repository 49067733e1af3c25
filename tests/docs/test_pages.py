"""Every command and every example of the README and of docs/ runs, and prints what the page says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mergealgebra.workspace import Workspace
from tests.docs.models import write_models
from tests.docs.pages import PAGES, ROOT, Block, Reader, blocks
from tests.models import base, fine_tune, write_folder

TUTORIAL = ROOT / "docs" / "tutorial.md"
#: What the README takes for granted.
CHECKPOINTS = {"base": base(), "alice-fine-tune": fine_tune(0), "bob-fine-tune": fine_tune(1)}
#: What a page says that starts where the tutorial ends.
CONTINUES = "in the folder that the [tutorial](../tutorial.md) leaves"
#: What a page says that has models of its reader's in its folder.
HAS_MODELS = "fine-tunes of it, folders as `save_pretrained` writes them"
#: Programs that pages call and that are not everywhere.
TOOLS = ("rsync", "rclone")
#: What begins the lines of a block that is not run here.
ELSEWHERE = ("pip install ", "make ")

STORIES = {
    str(page.relative_to(ROOT)): page
    for page in PAGES
    if any(block.language == "console" or block.is_example for block in blocks(page))
}


@pytest.fixture(scope="session")
def tutorial(tmp_path_factory):
    """The folder of somebody who has followed the tutorial."""
    return follow(TUTORIAL, tmp_path_factory.mktemp("tutorial") / "work")


@pytest.mark.parametrize("page", STORIES.values(), ids=STORIES)
def test_a_page_can_be_followed(page, tmp_path, request):
    for tool in TOOLS:
        if tool in page.stem and shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed here, which the page uses; .ci/run installs it")
    folder = tmp_path / "work"
    if page.name == "README.md":
        for name, tensors in CHECKPOINTS.items():
            write_folder(folder / name, tensors)
    elif HAS_MODELS in page.read_text("utf-8"):
        folder.mkdir()
        write_models(folder)
    elif CONTINUES in page.read_text("utf-8"):
        shutil.copytree(request.getfixturevalue("tutorial"), folder)
        for person in ("alice", "bob"):
            Workspace.open(folder / person).set_base(folder / "base.safetensors")
    follow(page, folder)


def follow(page: Path, folder: Path) -> Path:
    """Do what a page says, in a folder; returns the folder."""
    folder.mkdir(exist_ok=True)
    reader = Reader(page, folder, folder.parent / "tools")
    for block in blocks(page):
        reader.follow(block)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_nothing_that_looks_like_an_example_is_left_unrun(page):
    found = [block for block in blocks(page) if not _is_run(block)]
    assert [f"line {block.line}: {block.text.splitlines()[0]}" for block in found] == []


def _is_run(block: Block) -> bool:
    """Whether a block is run, written as a file, or of a kind that is not run."""
    if block.language in ("python", "yaml"):
        return block.is_example or block.file is not None
    if block.language == "console":
        return block.text.startswith("$ ")
    if block.language == "sh":
        return all(line.startswith(ELSEWHERE) for line in block.text.splitlines())
    return block.file is not None or block.language in ("text", "")


#: Pages that promise what does not come, each with what is said of it.
WRONG = {
    "another output": ("```console\n$ echo one\ntwo\n```\n", "not\ntwo"),
    "a command that fails": ("```console\n$ false\n```\n", "\\$ false"),
    "a command that fails in a pipe": ("```console\n$ false | cat\n```\n", "\\$ false"),
    "an error that does not come": ("```console\n$ true\nmergealgebra: ...\n```\n", "\\$ true"),
    "another value": ("```python\n>>> 1 + 1\n3\n```\n", "Expected:\n    3"),
    "a name that no example defined": ("```python\n>>> 1 + x\n3\n```\n", "NameError"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_a_page_that_is_wrong_is_found_out(text, message, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(AssertionError, match=message):
        follow(page, tmp_path / "work")


def test_what_a_page_defined_is_there_for_its_next_blocks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\n# x.py\nprint('y')\n```\n\n```console\n$ python x.py\ny\n```\n\n")
    page.write_text(
        page.read_text() + "```python\n>>> z = 2\n```\n\n```python\n>>> z, open('x.py').name\n(2, 'x.py')\n```\n"
    )
    follow(page, tmp_path / "work")
