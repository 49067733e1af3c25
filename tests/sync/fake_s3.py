"""As much of an S3 server as a bucket needs, in a thread; and a plain web server of a folder."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import time
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "models"


@dataclass
class Bucket:
    """Objects by key, with the time of their last change. refuses: statuses and codes, by method or "LIST".

    page: keys in one answer to a list. asked: how many requests there were of each method.
    """

    objects: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    refuses: dict[str, tuple[int, str]] = field(default_factory=dict)
    page: int = 3
    age: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, bucket: Bucket, *arguments) -> None:
        self.bucket = bucket
        super().__init__(*arguments)

    def do_GET(self) -> None:
        name, key, query = self._place()
        method = "GET" if key else "LIST"
        if self._refused(method, name):
            return
        if not key:
            self._list(query)
        elif key in self.bucket.objects:
            self._answer(200, self.bucket.objects[key][0], self.bucket.objects[key][1])
        else:
            self._fail(404, "NoSuchKey")

    def do_PUT(self) -> None:
        name, key, _ = self._place()
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._refused("PUT", name):
            self.bucket.objects[key] = data, time() - self.bucket.age
            self._answer(200, b"")

    def do_DELETE(self) -> None:
        name, key, _ = self._place()
        if not self._refused("DELETE", name):
            self.bucket.objects.pop(key, None)
            self._answer(204, b"")

    def _list(self, query: dict[str, list[str]]) -> None:
        prefix, after = (query.get(name, [""])[0] for name in ("prefix", "continuation-token"))
        keys = sorted(key for key in self.bucket.objects if key.startswith(prefix) and key > after)
        page, more = keys[: self.bucket.page], len(keys) > self.bucket.page
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{_time(self.bucket.objects[key][1])}</LastModified>"
            f'<ETag>"x"</ETag><Size>{len(self.bucket.objects[key][0])}</Size></Contents>'
            for key in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        said = f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{rows}"
        self._answer(200, f"<ListBucketResult><Name>{BUCKET}</Name>{said}</ListBucketResult>".encode())

    def _place(self) -> tuple[str, str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        name, _, key = unquote(parts.path).lstrip("/").partition("/")
        return name, key, parse_qs(parts.query)

    def _refused(self, method: str, name: str) -> bool:
        self.bucket.asked[method] += 1
        refusal = (404, "NoSuchBucket") if name != BUCKET else self.bucket.refuses.get(method)
        if refusal:
            self._fail(*refusal)
        return refusal is not None

    def _fail(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

    def _answer(self, status: int, data: bytes, modified: float = 0.0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", '"x"')
        self.send_header("Last-Modified", self.date_time_string(modified))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _time(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def s3_server(bucket: Bucket) -> Iterator[str]:
    """A server of one bucket, `models`; its address."""
    with _serving(partial(_Handler, bucket)) as address:
        yield address


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """A web server of the files of a folder; its address."""
    with _serving(partial(_Files, directory=str(folder))) as address:
        yield address


@contextmanager
def _serving(handler) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


#: What the AWS_ variables are set to for such a server, less its address.
KEYS = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
