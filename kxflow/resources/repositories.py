"""Repositories that apt takes packages from, each with the key that it trusts for it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from attrs import frozen

from kxflow.flow.actions import shell
from kxflow.flow.ensure import Content, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources import apt
from kxflow.resources.armour import dearmoured
from kxflow.resources.paths import sh
from kxflow.resources.presence import Presence, is_wanted
from kxflow.shell.preamble import dense
from kxflow.values.action import Command
from kxflow.values.errors import InvalidError
from kxflow.values.state import CONTENT, Ensured, State

Words: TypeAlias = str | Iterable[str]

NONE: Final = "none"
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_WORD: Final = re.compile(r"[!-~]+")
_KEY_LINE: Final = "#key "

_ASK: Final = """
kx_digest() { [ -f "$1" ] || { echo none; return; }; kx_sha256 <"$1"; }
[ -e $src ] || [ -e $key ] || exit 0
"""
_SAY: Final = {
    "sources": 'kx_x=$(kx_digest $src) || exit 1; kx_say sources "$kx_x"',
    "key": 'kx_x=$(kx_digest $key) || exit 1; kx_say key "$kx_x"',
    # The folder of unfinished downloads is touched by every update.
    "fetched": '[ "$(find /var/lib/apt/lists/partial -prune -newer $src 2>/dev/null)" ] && kx_x=yes || kx_x=no\n'
    "kx_say fetched $kx_x",
}
_PUT: Final = r"""
for kx_x in src key; do
  eval "kx_f=\$$kx_x"
  [ ! -f "$kx_f" ] || cp -p -- "$kx_f" "$kx_tmp/$kx_x" || exit 1
done
kx_restore() {
  for kx_x in src key; do
    eval "kx_f=\$$kx_x"
    if [ -f "$kx_tmp/$kx_x" ]; then cp -p -- "$kx_tmp/$kx_x" "$kx_f"; else rm -f -- "$kx_f"; fi
  done
  kx_no "$1"
}
[ -d /etc/apt/keyrings ] || mkdir -m 755 /etc/apt/keyrings || exit 1
"""
# Old lists stay in use where a signature is wrong, and older versions of apt do not call that an error. None is
# expected of what is trusted unsigned.
_FETCH: Final = r"""
kx_get -o Dir::Etc::sourcelist=$src -o Dir::Etc::sourceparts=/dev/null -o APT::Get::List-Cleanup=0 \
  -o APT::Update::Error-Mode=any $insecure update
kx_r=$?
kx_k=EW
[ -z "$insecure" ] || kx_k=E
kx_k="^[$kx_k]: (GPG error|Failed to fetch|The repository|An error occurred)"
kx_x=$(grep -E "$kx_k" "$kx_tmp/said" | head -n 1)
if [ $kx_r != 0 ] || [ "$kx_x" ]; then kx_restore "${kx_x:-it cannot be fetched}"; fi
"""

_INSECURE: Final = "-o Acquire::AllowInsecureRepositories=1 -o Acquire::AllowDowngradeToInsecureRepositories=1"


@frozen
class AptRepository:
    """A file of sources by its name, and the key that apt is to trust for it; none at all where None."""

    name: str
    sources: str = ""
    keyring: bytes | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name."""
        return ("apt_repository", self.name)

    @property
    def _paths(self) -> str:
        return f"src=/etc/apt/sources.list.d/{self.name}.sources key=/etc/apt/keyrings/{self.name}.gpg\n"

    @property
    def wanted(self) -> dict[str, str]:
        """Digests of both files, and that the lists are newer."""
        return {"sources": _digest(self.sources.encode()), "key": _digest(self.keyring), "fetched": "yes"}

    def probe(self, wanted: State) -> str:
        """Digests of both files, and whether lists were fetched since."""
        asked = "\n".join(_SAY[name] for name in wanted or _SAY)
        return f"{self._paths}{_ASK.strip()}\n{asked}\n"

    def apply(self, wanted: State) -> Command[Any]:
        """Both files, then its lists; where those cannot be had, everything is as before."""
        define = f"{self._paths}kx_wait=600 kx_age=\n{_dense(apt.GET)}"
        if not wanted:
            return _command(f"{define}rm -f -- $src $key || exit 1\nkx_refresh || :\n")
        put_key = "rm -f -- $key" if self.keyring is None else "(kx_put $key 644 '' '')"
        put_sources = f"printf %s {sh(self.sources)} | (kx_put $src 644 '' '')"
        put = f"{_dense(_PUT)}{put_key} && {put_sources} || kx_restore 'it cannot be written'\n"
        insecure = "" if self.keyring is not None else _INSECURE
        return _command(f"{define}{put}insecure='{insecure}'\n{_dense(_FETCH)}", stdin=self.keyring)

    def back(self, before: State) -> Command[Ensured] | None:
        """As it was; None where the content was not kept."""
        if not before:
            return ensuring(self, None, content=self.shown)
        if CONTENT not in before or before.get("sources") == NONE:
            return None
        text, _, key = before[CONTENT].partition(_KEY_LINE)
        its = AptRepository(self.name, text, bytes.fromhex(key) if key else None)
        return ensuring(its, its.wanted, content=its.shown)

    @property
    def shown(self) -> Content:
        """The sources, and the key in hex."""
        key = "" if self.keyring is None else f"{_KEY_LINE}{self.keyring.hex()}\n"
        hexed = f"printf '{_KEY_LINE}'; od -An -v -tx1 <$key | tr -d ' \\n'; echo"
        return Content(
            detail=f"{self._paths}[ ! -f $src ] || cat $src; [ ! -f $key ] || {{ {hexed}; }}",
            wanted=self.sources + key if self.sources else None,
        )


def _dense(text: str) -> str:
    return f"{dense(text).decode()}\n"


def _digest(data: bytes | None) -> str:
    return NONE if data is None else hashlib.sha256(data).hexdigest()


def _command(text: str, **options: Any) -> Command[Any]:
    return cast("Command[Any]", shell(text, **options))


def apt_repository(
    repository: str,
    *,
    uris: Words = (),
    suites: Words = (),
    components: Words = (),
    key: str | bytes | None = None,
    key_file: str | Path | None = None,
    architectures: Words = (),
    types: Words = "deb",
    trusted: bool = False,
    state: Presence = "present",
    name: str | None = None,
) -> Step[Ensured]:
    """A repository that apt takes packages from, with the key that it trusts for this one only.

    >>> apt_repository("tools", uris="https://apt.example.org", suites="stable", components="main", trusted=True)
    Step('apt_repository tools')

    It is a file `/etc/apt/sources.list.d/NAME.sources`, and `/etc/apt/keyrings/NAME.gpg` beside it. Its lists are
    fetched at once; where that fails, for instance because the key is not the one that signed them, both files are as
    before. Where it is taken away, all lists are fetched anew.

    States: `present`, `absent`. Probe: digests of both files, and whether lists were fetched since.

    Args:
        repository: Name of the files: letters, digits, `_.-`.
        uris: Where it is.
        suites: As `stable`; a path that ends in `/` takes no components.
        components: As `main`.
        key: OpenPGP public key, as text or as bytes.
        key_file: The same, in a file here.
        architectures: Those of the host, where not given.
        types: `deb`, `deb-src`.
        trusted: Nothing is signed, and it is used all the same. Not for anything that comes over a network.
        state: Whether it is to be there.
        name: Of the step.

    Raises:
        InvalidError: A name, field or key that cannot be; no key, or two; a file that cannot be read.
    """
    what = f"apt_repository {repository!r}"
    if not isinstance(repository, str) or not _NAME.fullmatch(repository):
        raise InvalidError(f"{what} cannot be one", "use letters, digits and _.-")
    present = is_wanted(state, what)
    fields = {
        "Types": _words(what, "types", types),
        "URIs": _words(what, "uris", uris),
        "Suites": _words(what, "suites", suites),
        "Components": _words(what, "components", components),
        "Architectures": _words(what, "architectures", architectures),
    }
    if not present:
        if any(fields[each] for each in fields if each != "Types") or key is not None or key_file is not None:
            raise InvalidError(f"{what}: absent, and with what it is to be", "give the name only")
        its = AptRepository(repository)
        return ensure(its, None, name=name, content=its.shown)
    if not (fields["Types"] and fields["URIs"] and fields["Suites"]):
        raise InvalidError(f"{what}: no type, URI or suite", "give uris= and suites=")
    flat = all(each.endswith("/") for each in fields["Suites"])
    if flat == bool(fields["Components"]):
        raise InvalidError(
            f"{what}: suites and components do not fit", "a suite that ends in / has none, any other needs one"
        )
    keyring = _keyring(what, key, key_file)
    if (keyring is None) != trusted:
        raise InvalidError(f"{what}: key and trusted do not fit", "give key= or key_file=, or trusted=True without one")
    lines = [f"{field}: {' '.join(given)}" for field, given in fields.items() if given]
    lines.append("Trusted: yes" if keyring is None else f"Signed-By: /etc/apt/keyrings/{repository}.gpg")
    its = AptRepository(repository, "\n".join(lines) + "\n", keyring)
    return ensure(its, its.wanted, name=name, content=its.shown)


def _words(what: str, field: str, given: Words) -> tuple[str, ...]:
    words = (given,) if isinstance(given, str) else tuple(given)
    for each in words:
        if not isinstance(each, str) or not _WORD.fullmatch(each):
            raise InvalidError(f"{what}: {field} {each!r} cannot be one", "give words without blanks")
    return words


def _keyring(what: str, key: str | bytes | None, key_file: str | Path | None) -> bytes | None:
    if key is not None and key_file is not None:
        raise InvalidError(f"{what}: key= and key_file=", "give one of the two")
    if key_file is not None:
        try:
            key = Path(key_file).read_bytes()
        except OSError as error:
            raise InvalidError(f"{what}: {key_file}: {error.strerror}", "name a file that can be read") from None
    if key is None:
        return None
    try:
        return dearmoured(key.encode() if isinstance(key, str) else key)
    except InvalidError as error:
        raise InvalidError(f"{what}: {error.what}", error.remedy) from None
