"""What pages say of the repository: the commands of the claims exist, the floors are those that are checked."""

from __future__ import annotations

import re
import tomllib

import pytest

from mergealgebra.methods.method import keys_of
from mergealgebra.methods.registry import METHODS
from tests.docs.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CLAIM = re.compile(r"^\| (.+) \| ((?:`[^`]+`(?:, then |, )?)+) \|$", re.MULTILINE)


def claims(page: str) -> dict[str, str]:
    """The rows of a page's tables of claims, whatever they link to: claim and command."""
    text = (ROOT / page).read_text("utf-8")
    return {re.sub(r"\]\(.*?\)", "", claim): command for claim, command in CLAIM.findall(text)}


def test_the_claims_of_the_readme_are_five_of_all_claims():
    few, all_of_them = claims("README.md"), claims("docs/claims.md")
    assert len(few) == 5
    assert few.items() <= all_of_them.items()


@pytest.mark.parametrize("command", sorted({*claims("docs/claims.md").values()}))
def test_the_command_of_a_claim_is_there(command):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for part in re.findall(r"`([^`]+)`", command):
        program, *arguments = part.split()
        if program == "make":
            assert set(arguments) <= set(targets)
        else:
            assert program == ".venv/bin/pytest"
            assert [at for at in arguments if at != "-s" and not (ROOT / at).exists()] == []


def test_the_floors_are_those_that_imports_are_checked_against():
    contract, *_ = PROJECT["tool"]["importlinter"]["contracts"]
    checked = [re.findall(r"mergealgebra\.([\w.]+)", layer) for layer in contract["layers"]]
    _, text = (ROOT / "docs" / "architecture.md").read_text("utf-8").split("## The floors")
    table = re.findall(r"^\| (`.*?`) \|", text.split("\n## ")[0], re.MULTILINE)
    assert [re.findall(r"`([\w.]+)`", modules) for modules in table] == checked


def test_a_package_index_gets_a_readme_without_what_only_the_repository_has():
    text = (ROOT / "README.md").read_text("utf-8")
    for change in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(change["pattern"], change["replacement"], text)
    assert "![" not in text
    assert [target for target in re.findall(r"\]\((.*?)\)", text) if not target.startswith("https:")] == []


def test_the_readme_can_be_read_at_a_sitting():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 100


def test_the_page_of_recipes_has_every_method_and_key():
    page = (ROOT / "docs" / "how-to" / "tune-a-recipe.md").read_text("utf-8")
    for name, method in METHODS.items():
        missing = [word for word in (name, *keys_of(method)) if f"`{word}`" not in page]
        assert missing == [], name
