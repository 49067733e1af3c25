"""Challenges, requests that members sign, and those that a server refuses [PR-19 to PR-21]."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.reference import ed25519 as ed
from generator.reference import requests

Json = Any
KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
WORKSPACE, OTHER_WORKSPACE = bytes([0xAB]) * 32, bytes([0xCD]) * 32
NONCE, END = bytes(range(16)), 1300
CHALLENGE = requests.challenge(KEY, WORKSPACE, NONCE, END)
MEMBER, WRITER, STRANGER = (bytes([i]) * 32 for i in (1, 2, 3))
MEMBERS = [ed.public_key(seed).hex() for seed in (MEMBER, WRITER)]
SERVER, BODY, ROOT = "models.example:443", b"\x81\xaaoperations\x90", "ef" * 32
PUT, BLOB = "/mergealgebra/1/put", f"/mergealgebra/1/blobs/{ROOT}"

ASKED: dict[str, Any] = {
    "workspace": WORKSPACE.hex(),
    "server": SERVER,
    "method": "POST",
    "path": PUT,
    "body": BODY.hex(),
}
#: Requests that are signed, and what differs from ASKED.
SIGNED: list[tuple[str, dict[str, str], str]] = [
    ("put", {}, "operations that are put"),
    ("empty", {"body": ""}, "an empty body"),
    ("genesis", {"method": "GET", "path": "/mergealgebra/1/genesis", "body": ""}, "what is read"),
    ("blob", {"method": "PUT", "path": BLOB, "body": "00" * 9}, "the path names what is put: its bytes are not signed"),
    ("query", {"method": "GET", "path": f"{BLOB}?from=1&to=2", "body": ""}, "a target with a query"),
    ("ipv6", {"server": "[::1]:8790"}, "an address in brackets"),
    ("other-workspace", {"workspace": OTHER_WORKSPACE.hex()}, "another workspace: another signature"),
]


def raw(x: dict[str, str]) -> dict[str, Any]:
    """What is asked, with bytes in place of hexadecimal."""
    return x | {key: bytes.fromhex(x[key]) for key in ("workspace", "body")}


def signed(seed: bytes = MEMBER, given: bytes = CHALLENGE, **changes: str) -> str:
    """The header of ASKED, or of another request."""
    asked = raw(ASKED | changes)
    return requests.header(seed, asked["server"], given, requests.message(given=given, **asked))


GOOD = signed()
ENDED = requests.challenge(KEY, WORKSPACE, NONCE, 1000)
#: What is asked, and the header that comes with it.
CHECKED: list[tuple[str, dict[str, Any], str, str | None, str]] = [
    ("good", {}, GOOD, None, "a maintainer's request"),
    ("writer", {}, signed(WRITER), None, "a writer's"),
    ("last-second", {"now": END - 1}, GOOD, None, "a second before the end"),
    ("blob-body", {"method": "PUT", "path": BLOB, "body": "01"}, signed(method="PUT", path=BLOB, body="00"), None,
     "the body of a PUT is named by its path"),
    ("second-name", {"names": ["[::1]:8790", SERVER]}, GOOD, None, "one of several names"),
    ("ended", {"now": END}, GOOD, "SignatureRefused", "the challenge has ended"),
    ("ended-long-ago", {}, signed(given=ENDED), "SignatureRefused", "the challenge had ended before"),
    ("other-workspace", {}, signed(workspace=OTHER_WORKSPACE.hex()), "SignatureRefused",
     "signed for another workspace"),
    ("other-workspaces-challenge", {"workspace": OTHER_WORKSPACE.hex()}, signed(workspace=OTHER_WORKSPACE.hex()),
     "SignatureRefused", "a challenge of another workspace"),
    ("other-server", {}, signed(server="other.example:443"), "SignatureRefused", "signed for another server"),
    ("other-port", {"names": ["models.example:80"]}, GOOD, "SignatureRefused", "signed for another port"),
    ("relayed", {}, GOOD.replace(SERVER, "other.example:443"), "SignatureRefused", "another server's name in the text"),
    ("renamed", {}, signed(server="other.example:443").replace("other.example:443", SERVER), "SignatureRefused",
     "this server's name put in the text of a signature for another"),
    ("other-body", {"body": "80"}, GOOD, "SignatureRefused", "an altered body"),
    ("other-path", {"path": "/mergealgebra/1/operations"}, GOOD, "SignatureRefused", "another path"),
    ("other-query", {"path": f"{PUT}?x"}, GOOD, "SignatureRefused", "a query that was not signed"),
    ("other-method", {"method": "GET"}, GOOD, "SignatureRefused", "another method"),
    ("other-root", {"method": "PUT", "path": BLOB.replace("ef", "ee")}, signed(method="PUT", path=BLOB),
     "SignatureRefused", "another blob"),
    ("other-challenger", {"key": OTHER_KEY.hex()}, GOOD, "SignatureRefused", "another server's challenge"),
    ("forged-end", {}, signed(given=NONCE + (10**9).to_bytes(8, "big") + CHALLENGE[24:]), "SignatureRefused",
     "a later end, under the same MAC"),
    ("forged-nonce", {}, signed(given=bytes(16) + CHALLENGE[16:]), "SignatureRefused", "other random bytes"),
    ("stranger", {}, signed(STRANGER), "NotMember", "a key without a grant"),
    ("borrowed-key", {}, GOOD[:-304] + MEMBERS[1] + GOOD[-240:], "SignatureRefused",
     "a member's key, another's signature"),
    ("operation", {}, GOOD[:-128] + ed.sign(MEMBER, b"mergealgebra/1/signature\0" + BODY).hex(), "SignatureRefused",
     "a signature of the domain of operations"),
    ("upper-case", {}, GOOD[:-304] + GOOD[-304:].upper(), "SignatureRefused", "digits in upper case"),
    ("scheme", {}, GOOD.replace("Mergealgebra", "mergealgebra"), "SignatureRefused", "another scheme"),
    ("two-spaces", {}, GOOD.replace(" ", "  "), "SignatureRefused", "two spaces"),
    ("short", {}, GOOD[:-2], "SignatureRefused", "63 bytes of a signature"),
    ("long", {}, GOOD + "00", "SignatureRefused", "a byte more"),
    ("empty", {}, "", "SignatureRefused", "nothing"),
    ("no-server", {}, GOOD.replace(f"{SERVER} ", ""), "SignatureRefused", "no server"),
]  # fmt: skip

CASES = [
    Case("challenge", "challenge-first", "PR-19", "a challenge, of all that it is made of",
         {"key": KEY.hex(), "workspace": WORKSPACE.hex(), "nonce": NONCE.hex(), "end": END}),
    Case("challenge", "challenge-late", "PR-19", "an end of eight bytes",
         {"key": OTHER_KEY.hex(), "workspace": OTHER_WORKSPACE.hex(), "nonce": "ff" * 16, "end": 2**53 - 1}),
    *(
        Case("sign-request", f"sign-request-{i}", "PR-20", why,
             {**ASKED, **changes, "challenge": CHALLENGE.hex(), "seed": MEMBER.hex()})
        for i, changes, why in SIGNED
    ),
    *(
        Case("check-request", f"check-request-{i}", "PR-21", why,
             {**{name: value for name, value in ASKED.items() if name != "server"}, "key": KEY.hex(), "names": [SERVER],
              "members": MEMBERS, "now": 1000, **changes, "header": header}, says)
        for i, changes, header, says, why in CHECKED
    ),
]  # fmt: skip
