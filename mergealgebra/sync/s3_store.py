"""A bucket of S3, or of whatever speaks its protocol, by obstore: the extra `s3` [PR-17].

Where it is and who asks stands in the environment, in the usual AWS_* variables; an address holds no secret. Requests
are plain: no part of an object, no condition, no deletion of many at once, the bucket in the path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mergealgebra.addresses import refuse_id, without_secrets
from mergealgebra.errors import AddressError, NotInstalled, PeerError
from mergealgebra.sync.object_store import IDLE_SECONDS, MOST_LISTED, Listed, NotThere, Opened, paced
from mergealgebra.sync.s3_settings import check_settings, is_plain, refused_settings
from mergealgebra.text import one_line, shortened, shown

if TYPE_CHECKING:
    from obstore.store import S3Store as Bucket

#: How long one object may take.
_WHOLE_SECONDS: Final = 3600
_CONNECT_SECONDS: Final = 10
_TRIES: Final = 2
_PIECE_BYTES: Final = 1 << 20
#: Old buckets at Amazon have longer names than new ones.
_BUCKET: Final = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{2,254}")
_SEGMENT: Final = re.compile("[A-Za-z0-9._-]+")

#: What a server says of its refusal, in XML; and the status of the answer.
_CODE: Final = re.compile("<Code>([A-Za-z]{1,64})</Code>")
_STATUS: Final = re.compile("status code: ([0-9]{3})")
_WRONG_KEYS: Final = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken")
#: What the library says where nobody answers.
_UNREACHED: Final = ("error sending request", "error trying to connect", "dns error", "Connection refused")
#: To who may not list, a server says that they may not read what is not there.
_PERHAPS_HIDDEN: Final = ("list ", "read packs/", "read blobs/", "read operations/")


class S3Store:
    """The objects below a prefix of a bucket. Raises AddressError for what is not s3://BUCKET/PREFIX, NotInstalled."""

    def __init__(self, address: str) -> None:
        self.name = address
        self._bucket, prefix = _parts(address)
        self._store = _opened(self._bucket, prefix)

    @contextmanager
    def opened(self, key: str) -> Iterator[Opened]:
        """As in ObjectStore."""
        with self._failures(f"read {key}"):
            found = self._store.get(key)
            pieces = iter(found.stream(min_chunk_size=_PIECE_BYTES))
        rest = memoryview(b"")

        def read(most: int) -> bytes:
            nonlocal rest
            if not rest:
                with self._failures(f"read {key}"):
                    rest = memoryview(bytes(next(pieces, b"")))
            piece, rest = bytes(rest[:most]), rest[most:]
            return piece

        yield Opened(found.meta["size"], paced(read, self.name))

    def put(self, key: str, data: bytes) -> None:
        """As in ObjectStore."""
        with self._failures(f"write {key}"):
            self._store.put(key, data, use_multipart=False)

    def list(self, folder: str) -> Mapping[str, Listed] | None:
        """As in ObjectStore; None where the server refuses lists to these keys."""
        found: dict[str, Listed] = {}
        try:
            with self._failures(f"list {folder}"):
                for page in self._store.list(folder or None, chunk_size=1000):
                    for one in page:
                        name = one["path"].removeprefix(f"{folder}/" if folder else "")
                        found[name] = Listed(one["size"], one["last_modified"].timestamp())
                    if len(found) > MOST_LISTED:
                        raise PeerError(f"{self.name} lists more than {MOST_LISTED} objects; choose another prefix")
        except NotThere:
            return None
        return found

    def delete(self, key: str) -> None:
        """As in ObjectStore."""
        with self._failures(f"delete {key}"):
            try:
                self._store.delete(key)
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise

    @contextmanager
    def _failures(self, what: str) -> Iterator[None]:
        """What the server refuses, or the network, becomes a PeerError that names the store."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError, PermissionError) as error:
            raise self._refusal(error, what) from error

    def _refusal(self, error: Exception, what: str) -> PeerError:
        code, status = _code(error), _found(_STATUS, error)
        if code == "NoSuchBucket":
            return PeerError(f"{self.name}: there is no bucket {self._bucket} there: make it, or check the address")
        if code in _WRONG_KEYS:
            return PeerError(
                f"{self.name} does not know these keys ({code}): check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        if "169.254." in str(error):
            return PeerError(
                f"{self.name} cannot be asked without keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                "AWS_SKIP_SIGNATURE=true for a bucket that everybody may read"
            )
        if status in ("401", "403") or isinstance(error, PermissionError):
            said = f"{self.name} does not let these keys {what} ({code or status or 'denied'}): ask whoever owns it"
            return NotThere(said) if what.startswith(_PERHAPS_HIDDEN) else PeerError(said)
        if status == "404" or isinstance(error, FileNotFoundError):
            return NotThere(f"{self.name} has no {what.removeprefix('read ')}")
        return self._unreached(error, what)

    def _unreached(self, error: Exception, what: str) -> PeerError:
        """That nobody answers, or says something that is not known here."""
        if any(sign in str(error) for sign in _UNREACHED):
            where = os.environ.get("AWS_ENDPOINT_URL") or "Amazon's server"
            return PeerError(
                f"{self.name} cannot be reached: {without_secrets(where)} does not answer; check the network and "
                "AWS_ENDPOINT_URL"
            )
        said = shortened(one_line(str(error).split("\n\nDebug source", maxsplit=1)[0]), 300)
        return PeerError(
            f"{self.name} cannot be reached, or did not {what}: {said}; check the address and AWS_ENDPOINT_URL"
        )


def _code(error: Exception) -> str:
    return _found(_CODE, error)


def _found(pattern: re.Pattern[str], error: Exception) -> str:
    found = pattern.search(str(error))
    return found[1] if found else ""


def _opened(bucket: str, prefix: str) -> Bucket:
    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store as Bucket
    except ImportError as error:
        raise NotInstalled("s3:// needs obstore, and it is not installed: pip install obstore") from error
    check_settings()
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    try:
        return Bucket(
            bucket,
            prefix=prefix or None,
            config={"region": region, "virtual_hosted_style_request": False, "disable_bulk_delete": True},
            client_options={
                "allow_http": is_plain(),
                "timeout": timedelta(seconds=_WHOLE_SECONDS),
                "read_timeout": timedelta(seconds=IDLE_SECONDS),
                "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
            },
            retry_config={"max_retries": _TRIES, "retry_timeout": timedelta(seconds=IDLE_SECONDS)},
        )
    except BaseError as error:
        raise refused_settings(error) from None


def _parts(address: str) -> tuple[str, str]:
    """Bucket and prefix of an address. Raises AddressError, which does not repeat what may be a secret."""
    refuse_id(address)
    bucket, _, prefix = address.partition("://")[2].partition("/")
    segments = prefix.rstrip("/").split("/") if prefix.rstrip("/") else []
    if "@" in address or ":" in bucket:
        raise AddressError(
            "an address s3://BUCKET/PREFIX holds no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and "
            "AWS_ENDPOINT_URL for another server than Amazon's"
        )
    if not _BUCKET.fullmatch(bucket) or not all(_SEGMENT.fullmatch(one) and set(one) != {"."} for one in segments):
        raise AddressError(
            f"{shown(address)} is not the address of a bucket: write s3://BUCKET or s3://BUCKET/PREFIX, with letters, "
            "digits, `.`, `_` and `-`; the name of a bucket has 3 to 63 of them"
        )
    return bucket, "/".join(segments)
