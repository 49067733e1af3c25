"""Keys and signatures beside the vectors: how people see keys, and when the library is loaded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.signatures import fingerprint, from_openssh_line, is_valid, openssh_line
from tests.signers import SeedSigner

#: Made by ssh-keygen, with the fingerprint that it shows.
LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOYadM87wr028u81+sAAowfF8ru/myl7Sdp9TlsS9yuQ bob"
SHOWN = "SHA256:xAolfopQmjz9LX2F1RNGgoi/hE0gFq7LPAinT0x7EnA"

NO_LINES = {
    "another kind": LINE.replace("ssh-ed25519", "ssh-rsa"),
    "another kind inside": LINE.replace("NTE5AAAAI", "NTE4AAAAI"),
    "a letter too few": LINE.replace("yuQ bob", "yu bob"),
    "longer": LINE.replace("yuQ bob", "yuQAAAA bob"),
    "no key": "ssh-ed25519",
    "not base64": "ssh-ed25519 ???",
    "empty": "",
    "a key of small order": openssh_line("01" + "00" * 31),
}


@pytest.mark.clause("SG-13")
def test_a_key_is_shown_as_openssh_does():
    key = from_openssh_line(LINE)
    assert key is not None
    assert fingerprint(key) == SHOWN
    assert openssh_line(key) == LINE.removesuffix(" bob")


@pytest.mark.clause("SG-1")
@pytest.mark.parametrize("line", NO_LINES.values(), ids=NO_LINES)
def test_what_is_not_the_line_of_a_key(line):
    assert from_openssh_line(line) is None


@pytest.mark.clause("SG-2")
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=64), st.integers(0, 511))
def test_one_bit_of_a_signature_spoils_it(seed, message, bit):
    signer = SeedSigner(seed)
    key, signature = bytes.fromhex(signer.key), signer.sign(message)
    assert is_valid(key, signature, message)
    spoilt = (int.from_bytes(signature) ^ 1 << bit).to_bytes(64)
    assert not is_valid(key, spoilt, message)
