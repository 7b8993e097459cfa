"""OpenPGP keys without the text around them, RFC 9580 section 6; only what a keyring of apt needs."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from kxflow.values.errors import InvalidError

_BLOCK: Final = re.compile(rb"-----BEGIN PGP ([A-Z ]+)-----\s*?\n(.*?)-----END PGP \1-----", re.DOTALL)
_PUBLIC_KEY: Final = 6


def dearmoured(key: bytes) -> bytes:
    """The packets of one or more public keys, whether they are given as text or as they are.

    Raises:
        InvalidError: No public key, or a block that was damaged.
    """
    data = b"".join(_opened(kind, body) for kind, body in _BLOCK.findall(key.replace(b"\r\n", b"\n"))) or key
    if not data or _tag(data[0]) != _PUBLIC_KEY:
        raise InvalidError("the key is no public OpenPGP key", "give what `gpg --export --armor` says")
    return data


def _tag(first: int) -> int:
    """Kind of the packet that begins with this byte; 0 for none."""
    if not first & 0x80:
        return 0
    return first & 0x3F if first & 0x40 else (first >> 2) & 0x0F


def _opened(kind: bytes, body: bytes) -> bytes:
    if kind != b"PUBLIC KEY BLOCK":
        raise InvalidError(f"the key is a {kind.decode().lower()}", "give a public key block")
    lines = [line.strip() for line in body.split(b"\n")]
    begin = lines.index(b"") + 1 if b"" in lines else 0  # headers end with an empty line
    packed = [line for line in lines[begin:] if line]
    checksum = packed.pop() if packed and re.fullmatch(rb"=[A-Za-z0-9+/]{4}", packed[-1]) else None
    try:
        data = base64.b64decode(b"".join(packed), validate=True)
    except binascii.Error:
        raise InvalidError("the key block cannot be read", "copy it again, from BEGIN to END") from None
    if checksum is not None and base64.b64decode(checksum[1:]) != _crc24(data).to_bytes(3, "big"):
        raise InvalidError("the key block was damaged: its checksum is another", "copy it again, from BEGIN to END")
    return data


def _crc24(data: bytes) -> int:
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc
