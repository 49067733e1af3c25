"""Buckets, by obstore against a server in this process: what people do, and how each refusal is told."""

from __future__ import annotations

import re
import sys

import pytest

import mergealgebra as ma
from mergealgebra.errors import AddressError, NotInstalled, PeerError, SyncIncomplete
from mergealgebra.sync.object_store import NotThere, get
from mergealgebra.sync.s3_store import S3Store
from tests.cli.commands import call
from tests.sync.fake_s3 import KEYS, Bucket, s3_server
from tests.workspace.replicas import make_workspace, visible_in, write_models

pytest.importorskip("obstore", reason="needs obstore (extra s3)")

ADDRESS = "s3://models/team/a"


@pytest.fixture
def bucket(monkeypatch):
    """A bucket, to which the environment leads."""
    made = Bucket()
    with s3_server(made) as address:
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": address}.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def root(tmp_path):
    write_models(tmp_path, 2)
    make_workspace(tmp_path, "alice", 0)
    make_workspace(tmp_path, "bob", 1)
    return tmp_path


@pytest.mark.clause("PR-17", "SY-7", "SY-12")
def test_people_meet_in_a_bucket(root, bucket):
    told = call(root, "-C", "alice", "sync", ADDRESS)
    assert f"{ADDRESS} holds no workspace" in told.complaint()
    assert bucket.objects == {}
    assert f"made a new share at {ADDRESS}" in call(root, "-C", "alice", "sync", "--create", ADDRESS).stdout
    assert {key.split("/")[2] for key in bucket.objects} == {"genesis", "packs", "blobs"}
    again = call(root, "-C", "bob", "sync", "--create", ADDRESS)
    assert "made a new share" not in again.stdout
    call(root, "clone", "--yes", ADDRESS, "carol", "--base", "base").lines()
    call(root, "-C", "alice", "sync", ADDRESS).lines()
    del bucket.objects[next(key for key in bucket.objects if key.endswith("/genesis"))]
    repaired = call(root, "-C", "alice", "sync", "--create", ADDRESS).stdout
    assert f"{ADDRESS} had lost its genesis, and has it again" in repaired and "made a new" not in repaired
    assert len(visible_in(root / "carol")) == 2
    assert visible_in(root / "alice") == visible_in(root / "bob") == visible_in(root / "carol")


@pytest.mark.clause("PR-17", "SY-12")
def test_a_clone_from_a_bucket_with_a_damaged_genesis_says_how_a_member_mends_it(root, bucket):
    call(root, "-C", "alice", "sync", ADDRESS, "--create").lines()
    (key,) = (key for key in bucket.objects if key.endswith("/genesis"))
    data, changed = bucket.objects[key]
    bucket.objects[key] = data.replace(b"spec", b"spfc"), changed
    told = call(root, "clone", "--yes", ADDRESS, "carol", "--base", "base").complaint()
    command = re.search(
        "has a damaged genesis: .*: `mergealgebra (-C WORKSPACE sync .* --create)` puts it there", told
    )[1]
    call(root, *command.replace("WORKSPACE", "alice").split()).lines()
    call(root, "clone", "--yes", ADDRESS, "carol", "--base", "base").lines()


@pytest.mark.clause("PR-17")
def test_a_read_only_bucket_is_cloned(root, bucket):
    ma.Workspace.open(root / "alice").sync(ADDRESS, create=True)
    bucket.refuses = dict.fromkeys(("PUT", "DELETE"), (403, "AccessDenied"))
    call(root, "clone", "--yes", ADDRESS, "carol", "--base", "base").lines()
    assert visible_in(root / "carol") == visible_in(root / "alice")
    with pytest.raises(
        SyncIncomplete, match=r"does not let these keys write packs/.* .AccessDenied.: ask whoever owns"
    ):
        ma.Workspace.open(root / "bob").sync(ADDRESS)
    assert len(visible_in(root / "bob")) == 2


@pytest.mark.clause("PR-17", "PK-9")
def test_keys_that_may_not_list_find_packs_by_the_index(root, bucket):
    """Such a server also says that they may not read what is not there."""
    bucket.refuses = {"LIST": (403, "AccessDenied")}
    ma.Workspace.open(root / "alice").sync(ADDRESS, create=True)
    ma.Workspace.open(root / "bob").sync(ADDRESS)
    ma.Workspace.open(root / "alice").sync(ADDRESS)
    assert visible_in(root / "alice") == visible_in(root / "bob")


REFUSALS = {
    "no bucket": ({"GET": (404, "NoSuchBucket")}, "there is no bucket models there: make it, or check"),
    "wrong key": ({"GET": (403, "InvalidAccessKeyId")}, "does not know these keys .InvalidAccessKeyId.: check AWS_ACC"),
    "wrong secret": ({"GET": (403, "SignatureDoesNotMatch")}, "does not know these keys .SignatureDoesNotMatch."),
    "no rights": ({"GET": (403, "AccessDenied")}, "does not let these keys read genesis .AccessDenied.: ask whoever"),
    "bad request": ({"GET": (400, "BadRequest")}, "cannot be reached, or did not read genesis: .*check the address"),
    "a redirection": ({"GET": (301, "PermanentRedirect")}, "cannot be reached, or did not read genesis: "),
}


@pytest.mark.clause("PR-17")
@pytest.mark.parametrize("refuses, message", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_says_what_to_do(bucket, refuses, message):
    bucket.refuses = refuses
    with pytest.raises(PeerError, match=f"^s3://models/team/a[ :].*{message}") as caught:
        get(S3Store(ADDRESS), "genesis", 100)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.clause("PR-17")
def test_a_server_that_is_not_there_is_named(monkeypatch, bucket):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(PeerError, match=r"^s3://models/team/a cannot be reached: http://127.0.0.1:1 does not answer; "):
        get(S3Store(ADDRESS), "genesis", 100)


#: A variable, what it is set to (None: it is unset), and what is said.
BAD_SETTINGS = {
    "an empty address": ("AWS_ENDPOINT_URL", "", "is set, and empty: `unset AWS_ENDPOINT_URL` for Amazon's"),
    "no host": ("AWS_ENDPOINT_URL", "http://", "'http://', which is not the address of a server: set it to http://H"),
    "a bad port": ("AWS_ENDPOINT_URL", "http://127.0.0.1:5555x", "is 'http://127.0.0.1:5555x', which is not"),
    "a port too high": ("AWS_ENDPOINT_URL", "http://127.0.0.1:65536", "is not the address of a server"),
    "half a bracket": ("AWS_ENDPOINT_URL", "http://[::1", "is not the address of a server"),
    "a bad number": ("AWS_ENDPOINT_URL", "http://[::1::]", "is not the address of a server"),
    "five numbers": ("AWS_ENDPOINT_URL", "http://127.0.0.1.5", "is not the address of a server"),
    "a space": ("AWS_ENDPOINT_URL", "http://a b", "is not the address of a server"),
    "another protocol": ("AWS_ENDPOINT_URL_S3", "ftp://x", "AWS_ENDPOINT_URL_S3 is 'ftp://x', which is not the"),
    "no protocol": ("AWS_ENDPOINT_URL", "localhost:9000", "write http:// or https:// in front of it"),
    "a password": ("AWS_ENDPOINT_URL", "http://me:secret@host", "is 'http://[*]{3}@host', which is not"),
    "half of the keys": ("AWS_SECRET_ACCESS_KEY", None, "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not"),
    "the other half": ("AWS_ACCESS_KEY_ID", None, "`unset AWS_SECRET_ACCESS_KEY; export AWS_SKIP_SIGNATURE=true`"),
    "a line end": ("AWS_ACCESS_KEY_ID", "secret\r", "AWS_ACCESS_KEY_ID holds a space, a line end or"),
    "no boolean": ("AWS_SKIP_SIGNATURE", "perhaps", '"perhaps" as boolean; check AWS_SKIP_SIGNATURE, or `unset'),
    "no encryption": ("AWS_SERVER_SIDE_ENCRYPTION", "x", "check AWS_SERVER_SIDE_ENCRYPTION, or `unset AWS_SERVER_"),
}


@pytest.mark.clause("PR-17")
@pytest.mark.parametrize("name, value, message", BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_a_bad_setting_is_one_line(bucket, monkeypatch, name, value, message):
    monkeypatch.delenv(name, raising=False)
    if value is not None:
        monkeypatch.setenv(name, value)
    with pytest.raises(AddressError, match=message) as caught:
        S3Store(ADDRESS)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.clause("PR-17")
@pytest.mark.parametrize("address", ["https://s3.example.com/", "http://[::1]:9000", "http://localhost:1/x/y"])
def test_a_good_setting_is_taken(bucket, monkeypatch, address):
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    assert S3Store(ADDRESS).name == ADDRESS


@pytest.mark.clause("PR-17")
def test_a_list_of_several_pages_and_a_delete_of_nothing(bucket):
    store = S3Store(ADDRESS)
    for number in range(8):
        store.put(f"packs/{number}", b"x" * number)
    listed = store.list("packs")
    assert {name: told.nbytes for name, told in listed.items()} == {str(number): number for number in range(8)}
    assert bucket.asked["LIST"] == 3
    store.delete("packs/7")
    store.delete("packs/7")
    with pytest.raises(NotThere), store.opened("packs/7"):
        pass
    assert len(store.list("")) == 7


BAD_ADDRESSES = ["s3://me:secret@models/x", "s3://secret@models", "s3://models:secret/x", "s3://", "s3:///x",
                 "s3://a/b c", "s3://a/../b", "s3://a//b", "s3://a/b?secret=1", "s3://-a/b", "s3://a/b\n"]  # fmt: skip


@pytest.mark.clause("PR-17")
@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_an_address_that_is_none_is_refused_and_no_secret_repeated(bucket, address):
    with pytest.raises(AddressError) as caught:
        S3Store(address)
    assert "me:secret" not in str(caught.value) and "secret@" not in str(caught.value)
    assert bucket.asked == {}


@pytest.mark.clause("PR-17")
def test_without_obstore_one_line_says_what_to_install(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(NotInstalled, match=r"^s3:// needs obstore, and it is not installed: pip install obstore$"):
        ma.Workspace.open(root / "alice").sync(ADDRESS)
