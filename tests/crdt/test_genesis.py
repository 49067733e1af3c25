"""Geneses: one workspace id on every machine, and every genesis that is none."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.crdt.genesis import Genesis, is_damaged, merge_id
from mergealgebra.encoding import decode, encode, hash_id
from mergealgebra.errors import EncodingError, WorkspaceError
from tests.crdt.strategies import BASE, GENESIS, geneses, ids

MAP = decode(GENESIS.encode())

BAD_FIELDS = {
    "another spec": ("spec", 2, "names spec 2, this version knows 1"),
    "true as spec": ("spec", True, "names spec True"),
    "base of 31 bytes": ("base", bytes(31), "base is .*not 32 bytes"),
    "base as text": ("base", BASE, "base is .*not 32 bytes"),
    "name of 257 bytes": ("name", "n" * 257, "name is 257 bytes long"),
    "name of 129 two-byte characters": ("name", "é" * 129, "name is 258 bytes long"),
    "name as bytes": ("name", b"team", "name is b'team', not a string"),
    "name with a line feed": ("name", "a\nb", r"name 'a\\nb' has a control character"),
    "name with a delete": ("name", "a\x7fb", "control character"),
    "name with a C1 control": ("name", "a\x9bb", "control character"),
    "another policy": ("policy", "closed", "policy is 'closed', not open or signed"),
    "signed policy": ("policy", "signed", "lacks maintainers"),
    "maintainers": ("maintainers", [bytes(2)], "has maintainers, and its policy is open"),
    "no policy": ("policy", None, "policy is None"),
    "recipe as text": ("recipe", "ties", "recipe is 'ties', not a map"),
    "recipe with a number": ("recipe", {"density": 1}, "'density': 1 is not a string"),
    "recipe with a map": ("recipe", {"density": {}}, "'density'.*is not a string"),
}


#: Fields that are wrong, with the whole message.
MESSAGES = {
    "spec": (2, "the genesis names spec 2, this version knows 1"),
    "base": (b"", "the genesis' base is b'', not 32 bytes"),
    "name": (b"", "the workspace's name is b'', not a string"),
    "policy": ("closed", "the genesis' policy is 'closed', not open or signed"),
    "recipe": ("ties", "the genesis' recipe is 'ties', not a map"),
}


@pytest.mark.clause("OS-1")
class TestGenesis:
    def test_is_frozen(self):
        with pytest.raises(FrozenInstanceError):
            GENESIS.name = "another team"

    def test_is_open_unless_it_is_said(self):
        assert Genesis(BASE, "team", {}).policy == "open"

    @given(geneses())
    def test_comes_back_from_its_encoding(self, genesis):
        again = Genesis.decode(genesis.encode())
        assert again == genesis
        assert hash(again) == hash(genesis)
        assert again.workspace_id == genesis.workspace_id

    def test_map_and_id_are_those_of_the_specification(self):
        assert decode(GENESIS.encode()) == {
            "base": bytes.fromhex(BASE),
            "name": "team",
            "policy": "open",
            "recipe": {"lambda": "1", "method": "mean"},
            "spec": 1,
        }
        assert GENESIS.workspace_id == hash_id("genesis", GENESIS.encode())
        assert GENESIS.recipe_id == hash_id("recipe", encode({"lambda": "1", "method": "mean"}))

    @given(geneses(), geneses())
    def test_equal_arguments_and_no_others_give_one_workspace(self, a, b):
        assert (a == b) == (a.workspace_id == b.workspace_id)

    def test_recipe_is_a_read_only_copy(self):
        recipe = {"method": "mean"}
        genesis = Genesis(BASE, "team", recipe)
        recipe["method"] = "ties"
        assert genesis.recipe == {"method": "mean"}
        with pytest.raises(TypeError):
            genesis.recipe["method"] = "ties"

    @pytest.mark.parametrize("name", ["", "n" * 256, "équipe 1 – ü"], ids=["empty", "256 bytes", "not ASCII"])
    def test_takes_a_name(self, name):
        assert replace(GENESIS, name=name).name == name


@pytest.mark.clause("OS-1")
class TestRefusals:
    @pytest.mark.parametrize(("key", "value", "message"), BAD_FIELDS.values(), ids=BAD_FIELDS)
    def test_of_a_field(self, key, value, message):
        with pytest.raises(WorkspaceError, match=message):
            Genesis.decode(encode(MAP | {key: value}))

    @pytest.mark.parametrize("key", sorted(MAP))
    def test_of_a_missing_key(self, key):
        with pytest.raises(WorkspaceError, match=f"lacks the key '{key}'"):
            Genesis.decode(encode({name: value for name, value in MAP.items() if name != key}))

    def test_of_an_unknown_key(self):
        with pytest.raises(WorkspaceError, match="unknown key 'time'"):
            Genesis.decode(encode(MAP | {"time": 0}))

    @pytest.mark.parametrize(
        ("key", "value", "message"), [(key, *said) for key, said in MESSAGES.items()], ids=MESSAGES
    )
    def test_in_these_words(self, key, value, message):
        with pytest.raises(WorkspaceError) as caught:
            Genesis.decode(encode(MAP | {key: value}))
        assert str(caught.value) == message

    def test_of_no_map_in_these_words(self):
        with pytest.raises(WorkspaceError, match=r"^the genesis is \[\], not a map$"):
            Genesis.decode(encode([]))

    def test_of_a_control_character_in_these_words(self):
        with pytest.raises(WorkspaceError, match=r"^the workspace's name 'a\\nb' has a control character$"):
            replace(GENESIS, name="a\nb")

    @pytest.mark.parametrize("recipe", [{"density": 1}, {1: "density"}], ids=["value", "key"])
    def test_of_an_entry_that_is_not_text(self, recipe):
        ((key, value),) = recipe.items()
        with pytest.raises(WorkspaceError) as caught:
            replace(GENESIS, recipe={"method": "mean"} | recipe)
        message = f"the recipe's entry {key!r}: {value!r} is not a string to a string"
        assert str(caught.value) == message

    def test_of_building_one_with_what_is_no_id(self):
        with pytest.raises(WorkspaceError) as caught:
            replace(GENESIS, base="root")
        message = "the genesis' base is 'root', not 32 bytes in 64 lower-case hexadecimal digits"
        assert str(caught.value) == message

    def test_of_what_is_not_canonical(self):
        with pytest.raises(EncodingError):
            Genesis.decode(GENESIS.encode() + b"\x00")

    def test_of_a_surrogate_in_a_name(self):
        with pytest.raises(WorkspaceError, match="lone surrogate"):
            replace(GENESIS, name="\ud800")

    def test_only_one_that_names_another_spec_may_be_of_another_version(self):
        good = GENESIS.encode()
        for damaged in (b"", good[:-1], good.replace(b"spec", b"spfc"), encode(MAP | {"policy": "closed"})):
            assert is_damaged(damaged)
        assert not is_damaged(good)
        assert not is_damaged(encode({"spec": 2, "of": "another version"}))


@pytest.mark.clause("MG-10")
class TestMergeId:
    def test_is_the_hash_of_the_specification(self):
        merge = {"base": b"\x11" * 32, "contributions": [b"\x33" * 32, b"\x44" * 32], "recipe": b"\x22" * 32, "spec": 1}
        assert merge_id("1" * 64, "2" * 64, ["4" * 64, "3" * 64]) == hash_id("merge", encode(merge))

    @given(st.lists(ids(), unique=True), st.randoms(use_true_random=False))
    def test_is_independent_of_order(self, contributions, random):
        shuffled = random.sample(contributions, len(contributions))
        assert merge_id(BASE, BASE, shuffled) == merge_id(BASE, BASE, contributions)

    @given(st.lists(ids(), unique=True), ids())
    def test_names_the_whole_set(self, contributions, more):
        others = {*contributions} ^ {more}
        assert merge_id(BASE, BASE, others) != merge_id(BASE, BASE, contributions)
