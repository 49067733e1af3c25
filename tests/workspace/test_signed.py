"""Signed workspaces as people use them: who may do what, what strangers write, and that models do not change."""

from __future__ import annotations

import os
from dataclasses import replace
from types import SimpleNamespace

import click
import pytest

import mergealgebra as ma
from mergealgebra.attestations import witnesses
from mergealgebra.crdt.operations import Add, Attest, Operation, Remove
from mergealgebra.crdt.orset import ORSet
from mergealgebra.encoding import encode, hash_id
from mergealgebra.errors import NotAllowed
from mergealgebra.signatures import fingerprint, message, openssh_line
from tests.cli.commands import call
from tests.signers import SeedSigner
from tests.workspace.replicas import RECIPE, write_models

PEOPLE = {name: SeedSigner(name.encode().ljust(32)) for name in ("maya", "ada", "bob", "eve")}
MAYA, ADA, BOB, EVE = PEOPLE.values()


def line(signer: SeedSigner) -> str:
    return openssh_line(signer.key)


@pytest.fixture
def team(tmp_path):
    """Maya's workspace, of which she is the maintainer; Ada's, who has a grant and one contribution; their share."""
    write_models(tmp_path)
    maya = ma.Workspace.init(tmp_path / "maya", base=tmp_path / "base", recipe=RECIPE, maintainers=[line(MAYA)])
    maya.grant(line(ADA), "Ada", signed_by=MAYA)
    maya.sync(tmp_path / "share", create=True)
    ada = ma.Workspace.clone(tmp_path / "share", tmp_path / "ada", base=tmp_path / "base")
    ada.contribute(tmp_path / "ft0.safetensors", key=ADA)
    ada.sync(tmp_path / "share")
    maya.sync(tmp_path / "share")
    return tmp_path


def opened(team, name: str) -> ma.Workspace:
    return ma.Workspace.open(team / name)


def put(folder, data: bytes) -> str:
    """Write bytes as an operation's file under their right name, as anybody may."""
    id_ = hash_id("operation", data)
    (folder / "operations" / id_).write_bytes(data)
    return id_


@pytest.mark.clause("SG-8", "SG-11")
class TestPeople:
    def test_who_has_a_grant_contributes_and_everybody_has_the_same_model(self, team):
        maya, ada = opened(team, "maya"), opened(team, "ada")
        roots = {
            one.resolve(team / f"out-{one.path.name}", key=key).model_root for one, key in ((maya, MAYA), (ada, ADA))
        }
        assert len(maya.visible()) == len(roots) == 1

    def test_who_has_none_reads_resolves_and_verifies(self, team):
        bob = ma.Workspace.clone(team / "share", team / "bob", base=team / "base")
        with pytest.warns(ma.errors.MergeAlgebraWarning, match="the model is whole, and is not attested"):
            made = bob.resolve(team / "out")
        assert ma.verify(team / "out").model_root == made.model_root
        with pytest.raises(NotAllowed, match="name your private key"):
            bob.contribute(team / "ft1.safetensors")
        with pytest.raises(NotAllowed, match="has no grant here"):
            bob.contribute(team / "ft1.safetensors", key=BOB)
        assert len(bob.store.blob_roots()) == 1  # nothing was written for what cannot be said

    def test_a_writer_takes_back_what_is_theirs_and_a_maintainer_everything(self, team):
        maya, ada = opened(team, "maya"), opened(team, "ada")
        own = maya.contribute(team / "ft1.safetensors", key=MAYA)
        maya.sync(team / "share")
        ada.sync(team / "share")
        with pytest.raises(NotAllowed, match="they or a maintainer can take it back"):
            ada.retract(own, key=ADA)
        (theirs,) = set(ada.visible()) - {own}
        maya.retract(theirs, key=MAYA)
        maya.sync(team / "share")
        ada.sync(team / "share")
        assert set(ada.visible()) == {own}

    def test_what_was_made_after_a_revoke_counts_for_nobody(self, team):
        maya, ada = opened(team, "maya"), opened(team, "ada")
        before = set(maya.visible())
        late = ada.contribute(team / "ft1.safetensors", key=ADA)
        maya.revoke(fingerprint(ADA.key), signed_by=MAYA)
        maya.sync(team / "share")
        result = ada.sync(team / "share")
        assert (result.held_back, result.given_operations) == (1, ())
        told = call(team, "-C", "ada", "sync", "share", "maya")
        assert (told.code, told.stderr.count("1 operation without effect")) == (0, 1)
        assert set(ada.visible()) == set(maya.visible()) == before
        assert late not in before
        maya.grant(fingerprint(ADA.key), "Ada", signed_by=MAYA)
        maya.sync(team / "share")
        ada.sync(team / "share")
        assert set(ada.visible()) == before  # a new grant brings nothing back that was made under the old one
        assert ada.contribute(team / "ft1.safetensors", key=ADA) == late

    @pytest.mark.clause("SG-16")
    def test_what_was_made_after_a_revoke_counts_if_a_maintainer_keeps_it(self, team):
        """Ada tells Maya which operation it is; nobody else has it. Her next sync brings it, tensors and all."""
        maya, ada = opened(team, "maya"), opened(team, "ada")
        late = ada.contribute(team / "ft1.safetensors", key=ADA)
        (add,) = (one.id for one in ada.state.adds(late))
        maya.revoke(fingerprint(ADA.key), signed_by=MAYA)
        maya.sync(team / "share")
        ada.sync(team / "share")
        assert late not in ada.visible()
        maya.keep(fingerprint(ADA.key), [add], signed_by=MAYA)
        maya.sync(team / "share")
        for one in (ada, maya):
            one.sync(team / "share")
        assert set(ada.visible()) == set(maya.visible()) >= {late}
        assert maya.missing() == []

    def test_members(self, team):
        maya, ada = opened(team, "maya").members()
        assert (maya.key, maya.is_maintainer, maya.names, maya.operations) == (MAYA.key, True, (), 1)
        assert (ada.key, ada.is_maintainer, ada.names, ada.operations) == (ADA.key, False, ("Ada",), 1)
        assert (len(ada.live), ada.revoked) == (1, ())


def _forged(team):
    """Maya's key stands there, and Eve signed."""
    body = _remove_all(team, _workspace(team), MAYA).body
    return encode({"body": body, "signature": EVE.sign(message(encode(body)))})


def _resigned(team):
    """Eve signs as herself, under Ada's grant."""
    (add,) = (one for one in opened(team, "maya").state.operations if isinstance(one.payload, Add))
    return replace(_remove_all(team, _workspace(team), MAYA), time=1).signed_by(EVE, add.grant).encode()


def _workspace(team) -> str:
    return opened(team, "maya").store.genesis.workspace_id


def _replayed(team):
    """A good operation of Maya's in another workspace."""
    other = ma.Workspace.init(team / "other", base=team / "base", recipe=RECIPE, name="x", maintainers=[line(MAYA)])
    return _remove_all(team, other.store.genesis.workspace_id, MAYA).encode()


def _remove_all(team, workspace: str, signer: SeedSigner) -> Operation:
    ids = tuple(sorted(one.id for one in opened(team, "maya").state.operations if isinstance(one.payload, Add)))
    return Operation(workspace, Remove(ids)).signed_by(signer)


def _unauthorised(team):
    return _remove_all(team, _workspace(team), EVE).encode()


def _unsigned(team):
    return encode({"body": _remove_all(team, _workspace(team), MAYA).body})


def _of_an_open_workspace(team):
    return Operation(_workspace(team), _remove_all(team, _workspace(team), MAYA).payload).encode()


def _later(team):
    workspace = bytes.fromhex(_workspace(team))
    body = {"version": 4, "workspace": workspace, "kind": "remove", "author": bytes.fromhex(MAYA.key), "all": True}
    return encode({"body": body, "signature": MAYA.sign(message(encode(body)))})


def _later_forged(team):
    return _later(team)[:-64] + bytes(64)


#: What strangers write: the bytes; where they stay; what `status` says where they are.
ATTACKS = {
    "forged": (_forged, "the operation's signature is not one of its author's"),
    "re-signed by another key": (_resigned, "under the grant of somebody else"),
    "replayed from another workspace": (_replayed, "belongs to workspace"),
    "unauthorised": (_unauthorised, "who has no such grant here"),
    "unsigned": (_unsigned, "lacks the key 'signature'"),
    "of an open workspace": (_of_an_open_workspace, "lacks the key 'signature'"),
    "of a later version": (_later, "of a later version changed nothing here"),
    "of a later version, forged": (_later_forged, "the operation's signature is not one of its author's"),
}


@pytest.mark.clause("SG-6", "SG-7", "SG-10", "SG-13")
@pytest.mark.parametrize(("attack", "said"), ATTACKS.values(), ids=ATTACKS)
class TestStrangers:
    def test_what_they_put_into_a_share_changes_nothing_and_stops_nobody(self, team, attack, said):
        put(team / "share", attack(team))
        for name in ("maya", "ada"):
            before = opened(team, name).visible()
            opened(team, name).sync(team / "share")  # it does not fail
            assert opened(team, name).visible() == before
        carol = ma.Workspace.clone(team / "share", team / "carol", base=team / "base")
        assert carol.visible() == before
        assert all(isinstance(one.payload, Add | Attest) or one.author == MAYA.key for one in carol.state.operations)

    def test_what_they_put_into_a_workspace_is_counted_and_named(self, team, attack, said):
        before = opened(team, "maya").visible()
        put(team / "maya", attack(team))
        status = call(team, "-C", "maya", "status")
        assert status.code == 0
        assert said in " ".join(status.stderr.split())
        assert opened(team, "maya").visible() == before
        assert opened(team, "maya").resolve(team / "out", key=MAYA).merge_id == opened(team, "ada").merge_id


@pytest.mark.clause("SG-12")
class TestWitnesses:
    def test_distinct_keys_are_counted(self, team):
        maya, ada = opened(team, "maya"), opened(team, "ada")
        root = maya.resolve(team / "one", key=MAYA).model_root
        ada.resolve(team / "two", key=ADA)
        ada.sync(maya.path)
        assert witnesses(maya.state, maya.merge_id) == {root: {MAYA.key, ADA.key}}
        assert "2 keys for the model" in call(team, "-C", "maya", "status").stdout
        assert call(team, "-C", "maya", "status", "--json").printed()["witnesses"] == {
            root: sorted([fingerprint(MAYA.key), fingerprint(ADA.key)])
        }

    def test_another_root_is_a_loud_warning_that_names_the_keys(self, team):
        maya = opened(team, "maya")
        maya.resolve(team / "one", key=MAYA)
        maya.store.write_delta(maya.state.attest(maya.merge_id, "0" * 64, signer=ADA))
        told = call(team, "-C", "maya", "status").stderr
        assert "MACHINES DISAGREE on this merge id" in told
        assert fingerprint(MAYA.key) in told
        assert fingerprint(ADA.key) in told

    def test_a_key_with_two_roots_counts_for_neither(self, team):
        maya = opened(team, "maya")
        root = maya.resolve(team / "one", key=MAYA).model_root
        for other in ("0" * 64, root):
            maya.store.write_delta(maya.state.attest(maya.merge_id, other, signer=ADA))
        told = call(team, "-C", "maya", "status").stderr
        assert "MACHINES DISAGREE" not in told
        assert f"{fingerprint(ADA.key)} attested two models for this merge id and counts for neither" in told
        assert witnesses(maya.state, maya.merge_id) == {root: {MAYA.key}}

    def test_what_a_stranger_attests_counts_for_nothing(self, team):
        maya = opened(team, "maya")
        state = maya.state
        attest = Operation(state.genesis.workspace_id, Attest(state.merge_id, "0" * 64)).signed_by(EVE)
        assert witnesses(state | ORSet(state.genesis, frozenset({attest})), state.merge_id) == {}

    def test_nothing_is_attested_if_nobody_wants_that(self, team):
        maya = opened(team, "maya")
        before = maya.state
        maya.resolve(team / "out", attest=False)
        assert maya.state == before


@pytest.mark.clause("SG-14")
class TestSuccession:
    def test_what_is_visible_comes_along_and_the_merge_id_stays(self, tmp_path):
        write_models(tmp_path)
        old = ma.Workspace.init(tmp_path / "old", base=tmp_path / "base", recipe=RECIPE, name="team", as_name="Zoe")
        kept, gone = (old.contribute(tmp_path / f"ft{n}.safetensors", note=f"number {n}") for n in (0, 1))
        old.retract(gone)
        new = ma.Workspace.succeed(tmp_path / "new", tmp_path / "old", maintainers=[line(MAYA), line(ADA)], key=MAYA)
        assert (list(new.visible()), new.merge_id, new.missing()) == ([kept], old.merge_id, [])
        assert new.store.genesis.workspace_id != old.store.genesis.workspace_id
        assert (new.store.genesis.name, new.recipe) == ("team", RECIPE)
        (add,) = new.state.operations
        assert (add.author, add.name, add.note) == (MAYA.key, "Zoe", "number 0")
        assert new.resolve(tmp_path / "b", key=ADA).model_root == old.resolve(tmp_path / "a").model_root

    REFUSED = (
        ([], MAYA, "is signed: name at least one maintainer"),
        ([ADA], MAYA, "has no grant here"),
        ([MAYA], None, "name your private key"),
    )

    @pytest.mark.parametrize(("maintainers", "key", "message"), REFUSED, ids=["nobody", "another", "no key"])
    def test_refusals_make_nothing(self, team, maintainers, key, message):
        with pytest.raises(NotAllowed, match=message):
            ma.Workspace.succeed(team / "new", team / "maya", maintainers=map(line, maintainers), key=key)
        assert not (team / "new").exists()


@pytest.mark.clause("SG-13")
def test_nobody_is_shown_under_a_name_of_their_own(team):
    ada = opened(team, "ada")
    ada.set_name("Maya")
    ada.contribute(team / "ft1.safetensors", key=ADA)
    for verb in ("status", "log"):
        told = [line for line in call(team, "-C", "ada", verb).lines() if not line.startswith("you ")]
        assert any("Ada" in line for line in told)
        assert not any("Maya" in line for line in told)
    ada.resolve(team / "out", key=ADA)
    assert "Maya" not in (team / "out" / "README.md").read_text()
    (_, *fingerprints) = call(team, "-C", "ada", "members").lines()
    assert all("Maya" not in line for line in fingerprints)


@pytest.mark.clause("SG-3")
def test_equal_maintainers_in_any_order_make_one_workspace(tmp_path):
    write_models(tmp_path)
    ids = set()
    for number, keys in enumerate(([MAYA, ADA], [ADA, MAYA, ADA])):
        lines = [line(key) for key in keys]
        made = ma.Workspace.init(tmp_path / f"w{number}", base=tmp_path / "base", recipe=RECIPE, maintainers=lines)
        ids.add(made.store.genesis.workspace_id)
    assert len(ids) == 1


@pytest.fixture
def typed(tmp_path):
    """A folder with a base, fine-tunes, and keys in files: maya's has a passphrase."""
    write_models(tmp_path)
    ma.PrivateKey.make(tmp_path / "maya", b"open sesame")
    ma.PrivateKey.make(tmp_path / "ada")
    return tmp_path


def with_passphrase(folder, *words: str):
    """Run a command that reads a passphrase from a pipe."""
    read, write = os.pipe()
    os.write(write, b"open sesame\n")
    os.close(write)
    try:
        return call(folder, *words, "--passphrase-fd", str(read))
    finally:
        os.close(read)


@pytest.mark.clause("SG-11", "SG-13", "SG-14", "SG-15")
def test_what_people_type(typed):
    assert call(typed, "keygen", "bob", "--json").printed()["encrypted"] is False
    words = ["-C", "w", "init", "--base", "base", "--maintainer", "maya.pub", "--key", "maya"]
    assert "has a passphrase" in call(typed, *words).complaint()
    assert with_passphrase(typed, *words).code == 0
    granted = with_passphrase(typed, "-C", "w", "grant", "ada.pub", "--name", "Ada", "--json").printed()
    assert with_passphrase(typed, "-C", "w", "grant", "ada.pub", "--name", "Ada").code == 1
    assert call(typed, "-C", "w", "contribute", "ft0.safetensors", "--key", "ada").code == 0
    assert "has no grant here" in call(typed, "-C", "w", "contribute", "ft1.safetensors", "--key", "bob").complaint()
    shown = call(typed, "-C", "w", "members").lines()
    assert "maintainer 1" in shown[1] and "maintainer 1" in call(typed, "-C", "w", "log").stdout
    assert granted["key"] in shown[-1] and "Ada" in shown[-1] and "1 live" in shown[-1]
    assert "This workspace is signed" in call(typed, "-C", "w", "status").stdout
    assert with_passphrase(typed, "-C", "w", "contribute", "ft2.safetensors").code == 0
    assert all("maintainer 1, you" in call(typed, "-C", "w", verb).stdout for verb in ("members", "log", "status"))
    named = with_passphrase(typed, "-C", "w", "revoke", "Ada").complaint()
    assert f"'Ada' is a name, and a key is asked for: `mergealgebra -C {typed / 'w'} revoke {granted['key']}`" in named
    alone = call(typed, "clone", "w", "new", "--base", "base").complaint()
    assert f"maintained by {call(typed, '-C', 'w', 'members').lines()[1].split()[0]}, is the one" in alone
    revoked = with_passphrase(typed, "-C", "w", "revoke", granted["key"], "--json").printed()
    assert (len(revoked["grants"]), len(revoked["kept"]), revoked["disappeared"]) == (1, 1, [])
    assert "1 revoked" in call(typed, "-C", "w", "members").lines()[-1]
    assert call(typed, "-C", "w", "set-key", "ada").lines()[0].endswith(granted["key"])
    assert "maintainer 1, you" not in call(typed, "-C", "w", "members").stdout
    assert "was revoked" in call(typed, "-C", "w", "contribute", "ft1.safetensors").complaint()
    assert call(typed, "-C", "w", "resolve", "out").code == 0
    secrets = [line for name in ("maya", "ada") for line in (typed / name).read_text().splitlines()[1:-1]]
    for path in (typed / "w").rglob("*"):
        if path.is_file():
            assert not any(secret.encode() in path.read_bytes() for secret in [*secrets, "open sesame"])


@pytest.mark.clause("SG-15")
class TestWhoseKey:
    @pytest.fixture
    def signed(self, typed):
        ma.PrivateKey.make(typed / "bob")
        maintainers = [typed / f"{name}.pub" for name in ("maya", "ada", "bob")]
        return ma.Workspace.init(typed / "w", base=typed / "base", recipe=RECIPE, maintainers=maintainers)

    def test_the_named_one_then_that_of_the_environment_then_that_which_was_set(self, typed, signed, monkeypatch):
        keys = {name: ma.PrivateKey.read(typed / name).key for name in ("ada", "bob")}
        assert signed.signer() is None
        signed.set_key(typed / "ada")
        assert signed.signer().key == keys["ada"]
        monkeypatch.setenv("MERGEALGEBRA_KEY", str(typed / "bob"))
        assert signed.signer().key == keys["bob"]
        assert signed.signer(typed / "ada").key == keys["ada"]
        monkeypatch.delenv("MERGEALGEBRA_KEY")
        signed.set_key(None)
        assert signed.signer() is None

    def test_no_key_is_read_for_an_open_workspace(self, typed, monkeypatch):
        monkeypatch.setenv("MERGEALGEBRA_KEY", str(typed / "none"))
        assert ma.Workspace.init(typed / "o", base=typed / "base", recipe=RECIPE).signer() is None

    def test_a_passphrase_is_typed_at_a_terminal_that_does_not_show_it(self, typed, signed, monkeypatch):
        asked = []
        monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
        monkeypatch.setattr(click, "prompt", lambda text, **how: (asked.append((text, how)), "open sesame")[1])
        assert call(typed, "-C", "w", "set-key", "maya").code == 0
        assert call(typed, "keygen", "new", "--json").printed()["encrypted"] is True
        assert [(text.split(" (")[0], how["hide_input"]) for text, how in asked] == [
            ("passphrase of your key", True),
            ("passphrase of the new key", True),
        ]
        assert ma.PrivateKey.read(typed / "new", b"open sesame")


@pytest.mark.clause("SG-13")
def test_an_open_workspace_says_so(typed):
    assert call(typed, "-C", "w", "init", "--base", "base").code == 0
    assert "This workspace is open" in call(typed, "-C", "w", "status").stdout
    assert call(typed, "-C", "w", "members").stdout.startswith("This workspace is open")
    assert "this workspace is open" in call(typed, "-C", "w", "grant", "ada.pub", "--name", "Ada").complaint()
    assert "leave the key out" in call(typed, "-C", "w", "contribute", "ft0.safetensors", "--key", "ada").complaint()
