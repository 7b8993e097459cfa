"""A file that a host gets from the web by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import evolve, field, frozen
from frozendict import frozendict

from kxflow.flow.ensure import Need, ensure
from kxflow.flow.step import Step
from kxflow.resources import needs
from kxflow.resources.files import File
from kxflow.resources.paths import Account, PathLike, own_words, remote_path, rights, sh, sha256_text
from kxflow.resources.present import command, shown
from kxflow.values.action import Command, clean_text
from kxflow.values.errors import InvalidError
from kxflow.values.secret import Secret
from kxflow.values.state import CONTENT, Ensured, State

_HEADER: Final = re.compile(r"[A-Za-z0-9-]+")


@frozen
class Download:
    """A file with what a URL gives.

    Attributes:
        config: For `curl`, where there are headers.
    """

    path: str
    url: str
    sha256: str
    config: Secret | None = field(default=None, repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """That of the file."""
        return ("file", self.path)

    def probe(self, wanted: State) -> str:
        """That of a file."""
        return File(self.path).probe(wanted)

    def apply(self, wanted: State) -> Command[Any]:
        """Into a new file beside it; that is put in place where its digest is the wanted one."""
        if CONTENT in wanted or wanted.get("sha256") != self.sha256:  # to undo
            return File(self.path).apply(wanted)
        where, url = sh(self.path), sh(self.url)
        curl = "curl -fsSL --proto =http,https --proto-redir =http,https --max-redirs 10 --connect-timeout 30"
        if self.config is None:
            get = f"""\
if command -v curl >/dev/null 2>&1; then {curl} -o "$kx_up" -- {url}
elif command -v wget >/dev/null 2>&1; then wget -q -O "$kx_up" -- {url}
else kx_no 'there is no curl and no wget on this host: install the package curl in an earlier step'
fi"""
        else:
            get = f"""\
command -v curl >/dev/null 2>&1 || kx_no 'headers= need curl, and it is not on this host: install it in an earlier step'
printf %s "$KX_CONFIG" | {curl} -K - -o "$kx_up" -- {url}"""
        text = f"""\
kx_open {where}
{get}
kx_r=$?
[ $kx_r = 0 ] || kx_no {sh(f"cannot get {self.url}")}
kx_y=$(kx_sha256 <"$kx_up") || exit 1
[ "$kx_y" = {self.sha256} ] || kx_no {sh(f"{self.url} gives another file, with the sha256")}" $kx_y"
kx_put {where} {own_words(wanted)}"""
        made = command(text)
        return made if self.config is None else evolve(made, env=frozendict({"KX_CONFIG": self.config}))

    def needs(self, wanted: State) -> Iterator[Need]:
        """Those of a file, and what gets it."""
        yield from File(self.path).needs(wanted)
        if wanted.get("sha256") == self.sha256:
            yield needs.program("curl", "curl") if self.config is not None else needs.program("curl", "curl", "wget")

    def back(self, before: State) -> Command[Ensured] | None:
        """That of a file."""
        return File(self.path).back(before)


def download(
    path: PathLike,
    url: str,
    *,
    sha256: str,
    headers: Mapping[str, str | Secret] | None = None,
    mode: int | str | None = None,
    owner: Account | None = None,
    group: Account | None = None,
    name: str | None = None,
) -> Step[Ensured]:
    """A file with what a URL gives, got by the host itself with `curl`, or `wget` where there is none.

    >>> download("/opt/tool", "https://example.org/tool-1.2", sha256="0" * 64, mode=0o755)
    Step('download /opt/tool')

    Probe: that of a file; the web is not asked where the digest is the wanted one. What comes is put in place once its
    digest was seen to be that. A link is followed.
    Undone: as a file.

    Args:
        path: Absolute.
        url: `http` or `https`. Not one with a password in it: everybody on the host could see it.
        sha256: Of the content, 64 hex digits.
        headers: To send along; a `Secret` is seen by nobody. They need `curl`.
        mode: Permission bits; a new file gets 644 where not given.
        owner: Name or number.
        group: Name or number.
        name: Of the step.

    Raises:
        InvalidError: A path, URL, digest, header, mode or owner that cannot be.
    """
    where = remote_path(path)
    told = f"download {where}"
    _check_url(url, told)
    its = Download(where, url, sha256_text(sha256, told), None if not headers else _config(headers, told))
    wanted = {"type": "file", "sha256": its.sha256, **rights(mode, owner, group)}
    return ensure(its, wanted, name=name, kind="download", content=shown(where))


def _check_url(url: str, where: str) -> None:
    if not isinstance(url, str):
        raise InvalidError(f"{where}: url is a {type(url).__name__}", "give text")
    clean_text(url, f"{where}: url")
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if host is None or parts.scheme not in ("http", "https") or not url.isprintable() or " " in url:
        raise InvalidError(f"{where}: {url!r} is no URL of the web", "give http://… or https://…, blanks as %20")
    if "@" in parts.netloc:
        raise InvalidError(f"{where}: a URL with a user in it", "give headers= with a Secret")


def _config(headers: Mapping[str, str | Secret], where: str) -> Secret:
    """The headers as a configuration of `curl`."""
    lines = []
    for each, value in headers.items():
        text = value.reveal() if isinstance(value, Secret) else value
        if not isinstance(each, str) or not _HEADER.fullmatch(each) or not isinstance(text, str):
            raise InvalidError(f"{where}: header {each!r} cannot be one", "give names and text, or a Secret")
        if any(char in text for char in "\r\n\0"):
            raise InvalidError(f"{where}: header {each} holds a line break", "give one line")
        quoted = f"{each}: {text}".replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'header = "{quoted}"\n')
    return Secret("".join(lines))
