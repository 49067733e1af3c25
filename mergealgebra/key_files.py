"""Key files, as OpenSSH has them: a private key that signs, made and read; public ones, as people name them [SG-15].

No byte of a private key or passphrase goes into a message: what the library says of a file is not quoted.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from mergealgebra.disk import fsync_folder, open_file, read_all, read_file, refused_as_output, write_all
from mergealgebra.errors import KeyFileError
from mergealgebra.signatures import ALGORITHM, fingerprint, from_openssh_line, openssh_line
from mergealgebra.text import by_caller, listed, location, shown

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: Names a private key where `--key` does not.
VARIABLE: Final = "MERGEALGEBRA_KEY"
#: Key files are shorter.
_MOST_BYTES: Final = 1 << 16
_PRIVATE: Final = b"PRIVATE KEY-----"
_MARK: Final = "genesis"

Passphrase = Callable[[], bytes]


class PrivateKey:
    """An Ed25519 key that signs. key: the public one, in 64 hexadecimal digits.

    >>> mine = PrivateKey.make("key", comment="ada")
    >>> PrivateKey.read("key").key == mine.key == public_key("key.pub")
    True
    """

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.key = private.public_key().public_bytes_raw().hex()

    def __repr__(self) -> str:
        return f"PrivateKey({fingerprint(self.key)!r})"

    def sign(self, message: bytes) -> bytes:
        """The signature of these bytes."""
        return self._private.sign(message)

    @classmethod
    def read(cls, path: str | os.PathLike[str], passphrase: bytes | Passphrase | None = None) -> Self:
        """The key in an OpenSSH file that nobody else can read. passphrase: asked for only where the key has one.

        Raises KeyFileError.
        """
        path = Path(path)
        data = _read_private(path)
        private = _load(path, data, passphrase)
        return cls(private)

    @classmethod
    def make(cls, path: str | os.PathLike[str], passphrase: bytes = b"", comment: str = "") -> Self:
        """A new key in a file that nobody else can read, and its public line in NAME.pub; nothing is overwritten.

        passphrase: empty for a file without one. Raises KeyFileError where a file is there, and OutputError.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import (
            BestAvailableEncryption,
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        path = Path(path)
        public = path.with_name(path.name + ".pub")
        _refuse_in_store(path)
        for file in (path, public):
            if os.path.lexists(file):
                raise KeyFileError(
                    f"{location(file)} is there already, and a key is never overwritten: name another file"
                )
        private = Ed25519PrivateKey.generate()
        how = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        made = cls(private)
        _write_new(path, private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, how), 0o600)
        _write_new(public, f"{openssh_line(made.key)} {comment}".rstrip().encode() + b"\n", 0o644)
        return made


def public_key(named: str | os.PathLike[str], known: Mapping[str, str] | None = None) -> str:
    """The key that somebody names: an OpenSSH line, a file with one, or a fingerprint of a key that is known.

    known: keys by their fingerprints. Returns 64 hexadecimal digits. Raises KeyFileError.
    """
    text = os.fspath(named)
    if text.startswith("SHA256:"):
        return _by_fingerprint(text, known or {})
    if text.split(maxsplit=1)[:1] == [ALGORITHM]:
        line, where = text, "the line"
    elif text.startswith(("ssh-", "ecdsa-", "sk-")):
        raise KeyFileError(f"{shown(text)} is not an Ed25519 key; make one with `{_keygen(None)}`")
    else:
        line, where = _read_public(Path(text)), location(Path(text))
    key = from_openssh_line(line)
    if key is None:
        raise KeyFileError(
            f"{where} is not the line of an Ed25519 key, `{ALGORITHM} AAAA...`; `{_keygen(None)}` makes one"
        )
    return key


def _by_fingerprint(text: str, known: Mapping[str, str]) -> str:
    if text not in known:
        told = f"; known are {listed(sorted(known))}" if known else ""
        raise KeyFileError(
            f"{shown(text)} is not the fingerprint of a key that is known here: give the key's line{told}"
        )
    return known[text]


def _read_public(path: Path) -> str:
    """What a file of a public key says."""
    try:
        data = read_file(path, _MOST_BYTES)
    except FileNotFoundError:
        raise KeyFileError(
            f"{location(path)} is not there, and not a key's line or fingerprint: check the path"
        ) from None
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{location(path)} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if _PRIVATE in data:
        raise KeyFileError(
            f"{location(path)} is a private key, which nobody else should see: name {path.name}.pub beside it"
        )
    return data.decode(errors="replace").strip()


def _read_private(path: Path) -> bytes:
    """The bytes of a file that is private to its user."""
    _refuse_in_store(path)
    try:
        descriptor = open_file(path)
    except FileNotFoundError:
        raise KeyFileError(f"{location(path)} is not there: check the path, or make a key: `{_keygen(path)}`") from None
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{location(path)} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        data = read_all(descriptor, _MOST_BYTES, os.fspath(path))
        if from_openssh_line(data.decode(errors="replace")) is not None:  # first: it may well be open to others
            raise KeyFileError(f"{location(path)} is a public key: name the private one, usually without .pub")
        _refuse_open(path, os.fstat(descriptor))
        return data
    except OSError as error:
        raise KeyFileError(f"{location(path)} cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)


def _refuse_open(path: Path, told: os.stat_result) -> None:
    """Refuse a key file that is another user's, or that others may read or write."""
    if not hasattr(os, "geteuid"):  # no users and modes as here
        return
    if told.st_uid != os.geteuid():
        raise KeyFileError(f"{location(path)} is another user's: copy it to a file of yours, mode 600")
    if told.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        closes = f"chmod 600 {shlex.quote(location(path))}"
        raise KeyFileError(f"{location(path)} has the mode {stat.filemode(told.st_mode)}, open to others: `{closes}`")


def _refuse_in_store(path: Path) -> None:
    """Refuse a key that lies in a workspace or a share, from where it might be copied or synced."""
    with suppress(OSError, ValueError):
        lexical = Path(os.path.abspath(path))  # noqa: PTH100 - without `..`, which pathlib keeps
        for folder in (*lexical.parents, *path.resolve().parents):
            if os.path.lexists(folder / _MARK):
                raise KeyFileError(
                    f"{location(path)} lies in {location(folder)}, a workspace or shared folder; a private key belongs "
                    "elsewhere, as in ~/.ssh"
                )


def _load(path: Path, data: bytes, passphrase: bytes | Passphrase | None) -> Ed25519PrivateKey:
    """The key that a file's bytes are."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    where = location(path)
    secret: bytes | None = None
    try:
        try:
            private = load_ssh_private_key(data, None)
        except TypeError:  # it is encrypted
            secret = _asked(where, passphrase)
            private = load_ssh_private_key(data, secret)
    except UnsupportedAlgorithm:
        raise KeyFileError(f"{where} is encrypted in a way that is not known here; see `ssh-keygen -p`") from None
    except (ValueError, TypeError):
        if secret is not None:
            raise KeyFileError(f"{where}: the passphrase is wrong, or the file is damaged") from None
        raise KeyFileError(f"{where} is not a private key as OpenSSH writes it: `{_keygen(path)}` makes one") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileError(f"{where} is a key of another kind than Ed25519; `{_keygen(None)}` makes one")
    return private


def _asked(where: str, passphrase: bytes | Passphrase | None) -> bytes:
    if passphrase is None:
        read = by_caller("--passphrase-fd N, or run it at a terminal", "PrivateKey.read(FILE, PASSPHRASE)")
        raise KeyFileError(f"{where} has a passphrase: give it with {read}")
    return passphrase if isinstance(passphrase, bytes) else passphrase()


def _write_new(path: Path, data: bytes, mode: int) -> None:
    with refused_as_output(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fsync_folder(path.parent)


def _keygen(path: Path | None) -> str:
    file = "FILE" if path is None else shlex.quote(location(path))
    return by_caller(f"mergealgebra keygen {file}", f"PrivateKey.make({file!r})")
