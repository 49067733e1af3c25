"""A method that another package brings, as its users have it: installed, in workspaces, missing, in another version.

The package is the one that docs/how-to/add-a-method.md writes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

import mergealgebra as ma
from mergealgebra.crdt.genesis import merge_id
from mergealgebra.encoding import encode, hash_id
from mergealgebra.errors import DecimalError, MethodMissing, RecipeError
from mergealgebra.methods import check_density, check_lambda, key
from mergealgebra.methods.registry import unregister
from mergealgebra.methods.task_arithmetic import lift, total
from mergealgebra.recipe import UnknownRecipe, complete_recipe, computable_recipe, recipe_from_map
from tests.docs.pages import ROOT, blocks
from tests.models import base, fine_tune, write_file, write_folder

PAGE = {block.file: block.text for block in blocks(ROOT / "docs" / "how-to" / "add-a-method.md") if block.file}
PROJECT = tomllib.loads(PAGE["pyproject.toml"])
INSTALL = "pip install elect-sum==1.0"


def install(site: Path, version: str = "1.0", source: str = PAGE["elect_sum.py"], name: str = "elect-sum") -> Path:
    """What `pip install` leaves of the page's package in a folder of its own; returns the folder."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    points = PROJECT["project"]["entry-points"]["mergealgebra.methods"]
    lines = [f"{method} = {where}" for method, where in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[mergealgebra.methods]", *lines, ""]))
    (site / "elect_sum.py").write_text(source)
    return site


@dataclass(frozen=True)
class Machine:
    """A folder, and the package that is installed beside mergealgebra, if any."""

    folder: Path
    sites: tuple[Path, ...] = field(default=())

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run `mergealgebra ARGS` in a process of its own."""
        return self.python("-P", "-m", "mergealgebra", *args)

    def python(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run `python ARGS`."""
        path = os.pathsep.join(map(str, (ROOT, *self.sites)))
        return subprocess.run(
            [sys.executable, *args],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def printed(self, *args: str) -> dict[str, object]:
        """What it prints with --json."""
        done = self.run(*args, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def complaint(self, *args: str) -> str:
        """The one line with which it refuses."""
        done = self.run(*args)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
        return done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A workspace of the method with one contribution, and the model that it resolves to."""
    folder = tmp_path_factory.mktemp("outside")
    write_folder(folder / "base", base())
    for number in range(3):
        write_file(folder / f"ft{number}.safetensors", fine_tune(number))
    (folder / "recipe.yaml").write_text("method: elect_sum\ndensity: '0.50'\n")
    machine = Machine(folder, (install(folder / "site"),))
    machine.printed("-C", "alice", "init", "--base", "base", "--recipe", "recipe.yaml")
    machine.printed("-C", "alice", "contribute", "ft0.safetensors")
    machine.printed("-C", "alice", "resolve", "out")
    return folder


@pytest.fixture
def here(folder):
    """A machine that has the package."""
    return Machine(folder, (folder / "site",))


@pytest.fixture
def without(folder):
    """A machine that does not have it."""
    return Machine(folder)


@pytest.mark.clause("RC-11")
class TestInstalled:
    def test_is_in_the_ids(self, folder, here):
        lock = json.loads((folder / "out" / "merge.lock").read_text())
        recipe = {"method": "elect_sum", "density": "0.5", "lambda": "1"}
        assert lock["recipe"] == {**recipe, "distribution": "elect-sum", "version": "1.0"}
        ids = [contribution["id"] for contribution in lock["contributions"]]
        assert lock["merge_id"] == merge_id(lock["base"], hash_id("recipe", encode(lock["recipe"])), ids)
        assert here.run("verify", "out", "--against", "alice").returncode == 0

    def test_has_the_name_and_version_of_its_package(self, folder, tmp_path):
        """The source says 1.0, also where a program imports it by itself."""
        site = install(tmp_path / "site", "1.1")
        program = "import elect_sum; print(elect_sum.ElectSum().to_map()['version'])"
        assert Machine(tmp_path, (site,)).python("-c", program).stdout == "1.1\n"


@pytest.mark.clause("RC-12")
class TestMissing:
    def test_the_set_goes_on(self, folder, without):
        status = without.printed("-C", "alice", "status")
        assert status["default_recipe"]["distribution"] == "elect-sum"
        assert without.run("-C", "alice", "log").returncode == 0
        assert without.printed("-C", "alice", "contribute", "ft1.safetensors", "--coefficient", "-1")
        assert without.printed("-C", "alice", "sync", "share", "--create")
        assert without.run("clone", "--yes", "share", "bob", "--base", "base").returncode == 0
        ours, theirs = (without.printed("-C", who, "status")["merge_id"] for who in ("alice", "bob"))
        assert ours == theirs

    def test_what_computes_says_what_to_install(self, folder, without):
        (folder / "merge.yaml").write_text(
            "method: elect_sum\ndistribution: elect-sum\nversion: '1.0'\n"
            "base: base\nmodels: [{path: ft0.safetensors}]\n"
        )
        commands = ("-C alice resolve new", "merge merge.yaml new", "verify out --against alice", "verify out")
        for command in commands:
            assert INSTALL in without.complaint(*command.split()), command
        assert not (folder / "new").exists()

    def test_another_version_is_not_taken_for_it(self, folder, tmp_path):
        other = Machine(folder, (install(tmp_path / "site", "2.0"),))
        for command in ("-C alice resolve new", "verify out --against alice"):
            said = other.complaint(*command.split())
            assert INSTALL in said
            assert "elect-sum 2.0 is here" in said
        assert other.printed("-C", "alice", "contribute", "ft2.safetensors")

    def test_a_strangers_package_is_quoted_for_the_shell(self):
        entries = {"method": "x", "distribution": "x; rm -rf ~", "version": "1\x1b[2K"}
        with pytest.raises(MethodMissing, match=r"pip install 'x; rm -rf ~==1\\x1b\[2K'"):
            computable_recipe(entries)


@pytest.mark.clause("RC-11")
class TestBroken:
    def test_one_that_raises_is_named(self, folder, tmp_path):
        broken = Machine(folder, (install(tmp_path / "site", source="import nothing_like_it\n"),))
        said = broken.complaint("-C", "alice", "resolve", "new")
        assert "method 'elect_sum' of elect-sum 1.0 cannot be loaded" in said
        assert "ModuleNotFoundError: No module named 'nothing_like_it'" in said
        assert broken.run("-C", "alice", "status").returncode == 0

    def test_two_of_one_name_are_named(self, folder, tmp_path):
        both = Machine(folder, (install(tmp_path / "one"), install(tmp_path / "two", "3", name="other")))
        assert "is brought by elect-sum 1.0 and other 3" in both.complaint("-C", "alice", "resolve", "new")

    def test_no_package_is_ties(self, folder, tmp_path, monkeypatch):
        monkeypatch.setitem(PROJECT["project"]["entry-points"], "mergealgebra.methods", {"ties": "elect_sum:ElectSum"})
        thief = Machine(folder, (install(tmp_path / "site", source="raise SystemExit('it is loaded')\n"),))
        (folder / "ties.yaml").write_text("method: ties\nbase: base\nmodels: [{path: ft0.safetensors}]\n")
        thief.printed("merge", "ties.yaml", str(tmp_path / "out"))
        assert json.loads((tmp_path / "out" / "merge.lock").read_text())["recipe"]["method"] == "ties"


MALFORMED = {
    "a version and no distribution": {"method": "x", "version": "1"},
    "a distribution and no version": {"method": "x", "distribution": "x"},
    "a key in capitals": {"method": "x", "Key": "1"},
    "a long key": {"method": "x", "k" * 65: "1"},
    "a long text": {"method": "x", "key": "1" * 4097},
    "many keys": {"method": "x", **{f"k{i}": "" for i in range(64)}},
    "a method that is no word": {"method": "X y"},
    "a method of this package that is incomplete": {"method": "ties", "distribution": "x", "version": "1"},
}


@pytest.mark.clause("RC-12")
@pytest.mark.parametrize("entries", MALFORMED.values(), ids=MALFORMED)
def test_a_map_that_no_method_has_is_refused_by_the_set(entries):
    with pytest.raises(RecipeError):
        complete_recipe(entries)


@pytest.mark.clause("RC-12", "RC-6")
def test_of_an_unknown_method_nothing_is_computed():
    unknown = complete_recipe({"method": "x", "distribution": "x", "version": "1"})
    assert isinstance(unknown, UnknownRecipe)
    assert unknown.check_coefficient(-1.0, "x") == -1
    with pytest.raises(MethodMissing, match="pip install x==1"):
        ma.merge({}, [], unknown)
    with pytest.raises(MethodMissing, match="pip install x==1"):
        recipe_from_map(unknown.to_map())


def written(name="outside", rounds=True, **body):
    """A method's class."""
    texts = {"name": name, "distribution": "tests", "version": "1"}
    notes = dict.fromkeys(texts, ClassVar[str]) | dict.fromkeys(body.keys() - texts.keys(), str)
    how = {"rounds": property(lambda self: (ma.algebra.Round(lift, total),))} if rounds else {}
    return type("Written", (ma.Method,), {"__module__": __name__, "__annotations__": notes, **texts, **how, **body})


REFUSED = {
    "a name that is taken": ({"name": "ties"}, "'ties' is taken by mergealgebra.methods.ties.Ties"),
    "a name that is no word": ({"name": "Elect-Sum"}, "the name 'Elect-Sum' is not a lower-case letter"),
    "no distribution": ({"distribution": ""}, "its distribution is ''; write `distribution = "),
    "no rounds": ({"rounds": False}, "has no rounds; give it a property"),
    "a key of merge files": ({"base": key(default="1", check=check_density)}, "'base' has a meaning of its own"),
    "a key in capitals": ({"K": key(default="1", check=check_density)}, "the key 'K' is not a lower-case letter"),
    "a default that is not canonical": ({"k": key(default="0.50", check=check_density)}, "makes '0.5' of the default"),
    "a default that is refused": ({"k": key(default="2", check=check_density)}, "refuses its own default"),
    "a variable that is no key": ({"k": "1"}, "k is not a key of recipes; write"),
}


@pytest.mark.clause("RC-11")
@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=REFUSED)
def test_a_class_that_is_no_method_is_refused_when_it_comes(body, message):
    with pytest.raises(RecipeError, match=message):
        ma.register(written(**body))


@pytest.mark.clause("RC-11")
class TestRegistered:
    @pytest.fixture
    def method(self):
        yield ma.register(written(lambda_=key(default="1", check=check_lambda)))
        unregister("outside")

    def test_is_a_method_as_any_other(self, method):
        assert recipe_from_map({"method": "outside", "lambda": "0.50"}) == method(lambda_="0.5")
        assert computable_recipe(method().to_map()) == method()
        with pytest.raises(DecimalError, match="write it as a string"):
            method(lambda_=1)

    def test_may_be_written_again_and_not_by_another(self, method):
        again = ma.register(written())
        assert recipe_from_map({"method": "outside"}) == again()
        with pytest.raises(RecipeError, match=r"is taken by tests\.methods\.test_outside\.Written"):
            ma.register(type("Other", (again,), {}))

    def test_one_that_is_not_is_refused(self):
        with pytest.raises(RecipeError, match=r"call ma.register\(Written\)"):
            ma.merge({}, [], written()())
