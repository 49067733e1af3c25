"""Key files: what is made, what is read, what is refused, and that no secret is told [SG-15]."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mergealgebra.errors import KeyFileError
from mergealgebra.key_files import PrivateKey, public_key
from mergealgebra.signatures import fingerprint, is_valid, openssh_line

SECRET = b"correct horse"


@pytest.fixture
def made(tmp_path):
    """A key in the file `key`."""
    return PrivateKey.make(tmp_path / "key", comment="ada")


@pytest.mark.clause("SG-15")
class TestMaking:
    def test_the_file_is_private_and_signs_when_it_is_read_again(self, tmp_path, made):
        assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
        signature = PrivateKey.read(tmp_path / "key").sign(b"said")
        assert is_valid(bytes.fromhex(made.key), signature, b"said")
        assert (tmp_path / "key.pub").read_text() == f"{openssh_line(made.key)} ada\n"

    @pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")
    def test_openssh_reads_it(self, tmp_path, made):
        shown = subprocess.run(
            ["ssh-keygen", "-lf", tmp_path / "key"], capture_output=True, text=True, check=True
        ).stdout
        assert fingerprint(made.key) in shown

    @pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")
    @pytest.mark.parametrize("phrase", ["", SECRET.decode()])
    def test_that_of_openssh_is_read(self, tmp_path, phrase):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-f", tmp_path / "theirs"]
        subprocess.run(command, check=True)
        read = PrivateKey.read(tmp_path / "theirs", phrase.encode())
        assert read.key == public_key(tmp_path / "theirs.pub")

    @pytest.mark.parametrize("there", ["key", "key.pub"])
    def test_nothing_is_overwritten(self, tmp_path, there):
        (tmp_path / there).write_text("mine")
        with pytest.raises(KeyFileError, match="is there already"):
            PrivateKey.make(tmp_path / "key")
        assert [path.name for path in tmp_path.iterdir()] == [there]
        assert (tmp_path / there).read_text() == "mine"

    def test_a_path_that_leads_out_of_a_workspace_is_outside(self, tmp_path, made, monkeypatch):
        (tmp_path / "w").mkdir()
        (tmp_path / "w" / "genesis").write_bytes(b"x")
        monkeypatch.chdir(tmp_path / "w")
        assert PrivateKey.read("../key").key == made.key
        (tmp_path / "link").symlink_to("w")
        with pytest.raises(KeyFileError, match="a private key belongs elsewhere"):
            PrivateKey.make(tmp_path / "link" / "new")

    def test_a_passphrase_is_asked_for_only_where_there_is_one(self, tmp_path, made):
        assert PrivateKey.read(tmp_path / "key", lambda: pytest.fail("asked")).key == made.key
        locked = PrivateKey.make(tmp_path / "locked", SECRET)
        assert PrivateKey.read(tmp_path / "locked", lambda: SECRET).key == locked.key


def _write(path, data: bytes, mode: int = 0o600):
    path.write_bytes(data)
    path.chmod(mode)
    return path


def _other_kind(folder):
    key = generate_private_key(SECP256R1())
    return _write(folder / "ec", key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))


def _in_a_store(folder):
    (folder / "w").mkdir()
    (folder / "w" / "genesis").write_bytes(b"x")
    return _write(folder / "w" / "key", (folder / "key").read_bytes())


def _with_mode(mode):
    return lambda folder: _write(folder / "open", (folder / "key").read_bytes(), mode)


def _pipe(folder):
    os.mkfifo(folder / "pipe", 0o600)
    return folder / "pipe"


REFUSED = {
    "missing": (lambda folder: folder / "none", "is not there: check the path, or make a key"),
    "open to the group": (_with_mode(0o640), "open to others: `chmod 600"),
    "open to others": (_with_mode(0o604), "open to others"),
    "writable by the group": (_with_mode(0o620), "open to others"),
    "a public key": (lambda folder: _write(folder / "p", (folder / "key.pub").read_bytes()), "is a public key"),
    "a public key that is open": (
        lambda folder: _write(folder / "p", (folder / "key.pub").read_bytes(), 0o644),
        "is a public key",
    ),
    "another kind": (_other_kind, "of another kind than Ed25519"),
    "nothing": (lambda folder: _write(folder / "empty", b""), "is not a private key as OpenSSH writes it"),
    "cut short": (lambda folder: _write(folder / "c", (folder / "key").read_bytes()[:200]), "is not a private key"),
    "endless": (lambda folder: _write(folder / "large", bytes(1 << 17)), "more than 65,536 bytes"),
    "a pipe": (_pipe, "it is a pipe, not a file"),
    "a folder": (lambda folder: folder, "it is a folder, not a file"),
    "in a workspace": (_in_a_store, "a private key belongs elsewhere"),
    "locked": (lambda folder: PrivateKey.make(folder / "l", SECRET) and folder / "l", "has a passphrase: give it with"),
}


@pytest.mark.clause("SG-15")
@pytest.mark.parametrize(("place", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(tmp_path, made, place, message):
    with pytest.raises(KeyFileError, match=message):
        PrivateKey.read(place(tmp_path))


@pytest.mark.clause("SG-15")
def test_a_wrong_passphrase_is_not_told(tmp_path):
    PrivateKey.make(tmp_path / "locked", SECRET)
    with pytest.raises(KeyFileError) as caught:
        PrivateKey.read(tmp_path / "locked", b"wrong battery")
    assert str(caught.value).endswith("the passphrase is wrong, or the file is damaged")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.clause("SG-15")
def test_a_key_is_told_by_its_fingerprint_alone(made):
    assert repr(made) == f"PrivateKey({fingerprint(made.key)!r})"


@pytest.mark.clause("SG-13")
class TestNaming:
    def test_a_key_is_named_by_line_file_or_fingerprint(self, tmp_path, made):
        for named in (openssh_line(made.key), f"{openssh_line(made.key)} ada", tmp_path / "key.pub"):
            assert public_key(named) == made.key
        assert public_key(fingerprint(made.key), {fingerprint(made.key): made.key}) == made.key

    NOT_NAMED = (
        ("SHA256:abc", "is not the fingerprint of a key that is known here"),
        ("ssh-rsa AAAA", "is not an Ed25519 key"),
        ("ssh-ed25519 AAAA", "is not the line of an Ed25519 key"),
        ("none.pub", "is not there, and not a key's line or fingerprint"),
    )

    @pytest.mark.parametrize(("named", "message"), NOT_NAMED)
    def test_what_names_none(self, tmp_path, monkeypatch, named, message):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(KeyFileError, match=message):
            public_key(named)

    def test_a_private_key_in_place_of_a_public_one_is_refused_and_not_quoted(self, tmp_path, made):
        with pytest.raises(KeyFileError, match=r"is a private key, .* name key\.pub") as caught:
            public_key(tmp_path / "key")
        lines = (tmp_path / "key").read_text().splitlines()[1:-1]
        assert not any(line in str(caught.value) for line in lines)
