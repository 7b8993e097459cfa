"""Lines of an authorized_keys file: options, type, the key itself, comment."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from itertools import pairwise
from typing import Final

from attrs import frozen

from kxflow.values.errors import InvalidError

_TYPE: Final = re.compile(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+")
# A word of a line; within double quotes, blanks belong to it.
_WORD: Final = re.compile(r'(?:[^\s"]|"(?:\\.|[^"\\])*")+')


@frozen
class PublicKey:
    """A key that lets somebody in.

    Attributes:
        line: The whole line, options and comment with it.
        blob: The key itself, base64: what tells it from others.
    """

    line: str
    blob: str

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` gives it."""
        digest = hashlib.sha256(base64.b64decode(self.blob)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def read(line: object) -> PublicKey:
    """A key from its line.

    Raises:
        InvalidError: It is none; a private one is not shown.
    """
    if not isinstance(line, str) or "PRIVATE KEY" in line:
        raise InvalidError("this is no public key", "give the one line of the .pub file")
    text = line.strip()
    if any(ord(each) < 0x20 and each != "\t" for each in text):
        raise InvalidError(f"public key {text[:30]!r}… has line breaks", "give one key a line, as a list")
    for kind, blob in pairwise(_WORD.finditer(text)):
        whole = not _WORD.sub("", text[: kind.start()]).strip()  # a quotation mark too many: sshd does not read that
        if whole and _TYPE.fullmatch(kind[0]) and _holds(blob[0], kind[0]):
            return PublicKey(text, blob[0])
    raise InvalidError(f"public key {text[:30]!r}… cannot be one", "give the one line of the .pub file")


def _holds(blob: str, kind: str) -> bool:
    """A key names its type itself: what was cut or mixed up is found here, and not at the next login."""
    try:
        raw = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        return False
    fields = []
    while raw:
        size = int.from_bytes(raw[:4], "big")
        if len(raw) < 4 + size:
            break
        fields.append(raw[4 : 4 + size])
        raw = raw[4 + size :]
    named = len(fields) > 1 and fields[0] == kind.encode()
    return named and (not raw or "-cert-" in kind)  # a certificate holds numbers of a fixed size, too
