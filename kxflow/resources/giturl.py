"""Where a git repository is, and what in it is meant: words that git takes for nothing else."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from kxflow.values.errors import InvalidError

_SCHEMES: Final = ("https", "http", "ssh", "git", "file")
PROTOCOLS: Final = "file:git:http:https:ssh"
"""What git itself may follow, as GIT_ALLOW_PROTOCOL has it: a redirection to anything else goes nowhere."""

_SCP: Final = re.compile(r"(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<path>[^:].*)")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REF_PART: Final = re.compile(r"(?![.])[^\x00-\x20\x7f~^:?*\[\\]+(?<![.])")


def repository(url: object) -> str:
    """A URL, `user@host:path`, or the absolute path of a repository on the host.

    Raises:
        InvalidError: git would take it for an option or a program to run, or it holds a password.
    """
    if not isinstance(url, str) or not url or any(ord(each) <= 0x20 or ord(each) == 0x7F for each in url):
        if not (isinstance(url, str) and url.startswith("/") and url.strip() and not set(url) & set("\0\n\r")):
            raise InvalidError(f"repository {url!r} cannot be one", 'write "https://…", "user@host:path" or a path')
        return url
    if url.startswith("/") and not url.startswith("//"):
        return url
    if "://" in url:
        return _url(url)
    if _SCP.fullmatch(url):
        return url
    raise InvalidError(f"repository {url!r} cannot be one", 'write "https://…", "user@host:path" or an absolute path')


def _url(url: str) -> str:
    scheme, _, _ = url.partition("://")
    parts = urlsplit(url)
    if scheme not in _SCHEMES:
        raise InvalidError(f"repository {url!r}: no {scheme!r} here", f"use one of {', '.join(_SCHEMES)}")
    if parts.password is not None or (scheme in ("https", "http") and parts.username is not None):
        shown = f"{scheme}://…@{parts.hostname}"
        raise InvalidError(f"repository {shown} holds a login", "give it to git's credential helper on the host")
    names = [each for each in (parts.username, parts.hostname) if each is not None]
    if (parts.hostname is None) != (scheme == "file") or any(each.startswith("-") for each in names):
        raise InvalidError(f"repository {url!r} cannot be one", "give a host, and no leading -")
    return url


def is_commit(ref: str) -> bool:
    """It names one commit, for ever."""
    return _COMMIT.fullmatch(ref) is not None


def reference(ref: object) -> str:
    """A whole commit id, or the name of a tag or branch.

    Raises:
        InvalidError: git takes no such name, or takes it for an option.
    """
    if not isinstance(ref, str) or not ref:
        raise InvalidError(f"ref {ref!r} cannot be one", "name a commit, tag or branch")
    if is_commit(ref):
        return ref
    parts = ref.split("/")
    bad = ".." in ref or "@{" in ref or ref == "@" or ref.startswith("-") or ref.endswith((".lock", "."))
    if bad or not all(_REF_PART.fullmatch(part) and not part.endswith(".lock") for part in parts):
        raise InvalidError(f"ref {ref!r} cannot be one", "name a commit (all 40 digits), a tag or a branch")
    return ref
