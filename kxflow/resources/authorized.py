"""Keys that let somebody log in as a user.

Whoever owns a home may put links in it, at any time. So root does nothing there itself: it makes the home where there
is none, and all else is done as the user, whose links then lead no further than he himself could go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen

from kxflow.flow.edits import Edit, lines_of
from kxflow.flow.ensure import Need, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources import needs, ssh_key, table
from kxflow.resources.accounts import SBIN, entry, login_name
from kxflow.resources.paths import sh
from kxflow.resources.presence import Presence, is_wanted
from kxflow.resources.ssh_key import PublicKey
from kxflow.values.action import Command
from kxflow.values.errors import InvalidError
from kxflow.values.state import GONE, Ensured, State

# What is done as the user sees kx_home, and says on three lines and more: mode of the folder, of the file, its keys.
_MODE: Final = """\
m() {
  m=$(stat -L -c %a -- "$1" 2>/dev/null) || m=$(stat -L -f %Mp%Lp -- "$1") || exit 1
  echo "${m#0}"
}
cd -P -- "$kx_home" || exit 1
"""
_LOOK: Final = """\
if [ -d .ssh ]; then m .ssh; cd .ssh || exit 1
elif [ -e .ssh ] || [ -h .ssh ]; then echo "$kx_home/.ssh is no folder" >&2; exit 1
else echo none; echo none; exit 0; fi
[ -e authorized_keys ] || { echo none; exit 0; }
m authorized_keys
exec awk "$kx_awk" <authorized_keys
"""
_CHANGE: Final = """\
umask 077
[ -d .ssh ] || [ -z "$kx_new" ] || mkdir .ssh || exit 1
[ -d .ssh ] || exit 0
(cd .ssh) || exit 1
case $kx_folder in '' | none) ;; *) chmod "$kx_folder" .ssh || exit 1 ;; esac
cd .ssh || exit 1
f=authorized_keys
[ ! -h $f ] || f=$(readlink -f $f) || exit 1
s=/dev/null
if [ -e "$f" ]; then s=$f kx_file=${kx_file:-$(m "$f")} || exit 1; fi
t=$(mktemp -- "$(dirname -- "$f")/.kx.XXXXXXXX") || exit 1
trap 'rm -f -- "$t"' EXIT
trap 'exit 143' TERM
awk "$kx_awk" <"$s" >"$t" || exit 1
if [ "$kx_file" = none ] && [ ! -s "$t" ]; then
  rm -f -- "$f" "$t"
  [ "$kx_folder" != none ] || { cd .. && rmdir .ssh 2>/dev/null; }
  exit 0
fi
chmod "${kx_file:-600}" "$t" && mv -f -- "$t" "$f" && trap - EXIT
"""
# Fields are told apart by blanks; that a key stands among the options, in quotes, is not to be expected.
_OURS: Final = """\
BEGIN { n = split(ENVIRON["kx_blobs"], b); for (i = 1; i <= n; i++) ours[b[i]] = i }
{ k = 0; for (i = 1; i <= NF; i++) if ($i in ours) k = ours[$i]; c = $0 !~ /^[ \\t]*(#|$)/ }
"""
_SHOW: Final = """\
k { line[k] = line[k] $0 "\\n"; next }
ENVIRON["kx_all"] && c { rest = rest $0 "\\n" }
END { for (i = 1; i <= n; i++) printf "%s", line[i]; printf "%s", rest }
"""
# Root becomes the user, by what there is; whoever is the user already, or is not root, stays who he is.
_AS: Final = """\
kx_as() {
  export kx_home kx_awk kx_blobs kx_all kx_new kx_folder kx_file LC_ALL
  if [ "$(id -u)" != 0 ] || [ "$kx_u" = 0 ]; then sh -c "$1"; return; fi
  case $(setpriv --help 2>&1) in
    *--init-groups*) setpriv --reuid="$kx_u" --regid="$kx_g" --init-groups -- sh -c "$1" ;;
    *) su -s /bin/sh "$kx_n" -c "$1" ;;
  esac
}
"""
_TAKE_APART: Final = """\
kx_l=${kx_l%x}
set -- "${kx_l%%
*}" "${kx_l#*
}"
kx_l=${2#*
}
set -- "$1" "${2%%
*}"
kx_l=${kx_l%
}
"""
# A home that is root's, where the user cannot make the folder, nor take it away, and nobody can be in the way.
_ROOTS: Final = """\
kx_roots() {
  [ "$(id -u)" = 0 ] && [ "$kx_u" != 0 ] && cd -P -- "$kx_home" && kx_stat . || return 1
  case $uid:$mode in 0:*[2367]? | 0:*[2367]) return 1 ;; 0:*) ;; *) return 1 ;; esac
}
"""
_BEFORE: Final = """\
if [ "$(id -u)" = 0 ] && [ ! -d "$kx_home" ]; then
  (umask 077; mkdir -- "$kx_home" && chown -h -- "$kx_u:$kx_g" "$kx_home") || exit 1
fi
(kx_roots || exit 0
[ -e .ssh ] || [ -h .ssh ] || (umask 077; mkdir .ssh && chown -h -- "$kx_u:$kx_g" .ssh)) || exit 1
"""
_AFTER: Final = """\
(kx_roots && [ -d .ssh ] && rmdir .ssh)
"""


@frozen
class AuthorizedKeys:
    """Some keys among those that let in as a user.

    Attributes:
        login: The user.
        keys: Which of them this is about.
        exclusive: All others, too.
    """

    login: str
    keys: tuple[PublicKey, ...]
    exclusive: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Kind, user and fingerprints."""
        return ("authorized_key", " ".join((self.login, *(each.fingerprint for each in self.keys))))

    def probe(self, wanted: State) -> str:
        """The lines with these keys, and the modes of folder and file."""
        said = {"folder": 'kx_say folder "$1"', "file": 'kx_say file "$2"', "keys": 'kx_say keys "$kx_l"'}
        say = "\n".join(said[name] for name in wanted)
        # who is not there has no keys, nor anything else that could be put right
        none = "".join(f"kx_say {name} {sh(value)}; " for name, value in wanted.items())
        return f"""\
{self._user("exit 0" if wanted["keys"] else f"{{ {none}exit 0; }}")}
if [ -e "$kx_home" ]; then
kx_awk={sh(_OURS + _SHOW)}
kx_l=$(kx_as {sh(_MODE + _LOOK)} && echo x) || exit 1
{_TAKE_APART}
else set -- homeless none; kx_l=; fi
{say}
"""

    def _user(self, missing: str) -> str:
        """Shell text that finds the user, and tells what this is about."""
        blobs = " ".join(each.blob for each in self.keys)
        return (
            f"{SBIN}{entry('passwd', sh(self.login), missing)}kx_n={sh(self.login)} kx_u=$3 kx_g=$4 kx_home=$6\n"
            f"kx_blobs={sh(blobs)} kx_all={'1' if self.exclusive else ''} kx_new= kx_folder= kx_file= LC_ALL=C\n{_AS}"
        )

    def apply(self, wanted: State) -> str:
        """As the user; the file is replaced whole."""
        new = table.lines(*wanted["keys"].split("\n")) if wanted["keys"] else ""
        folder, home = wanted.get("folder", ""), 'rmdir -- "$kx_home"'
        chosen = '(k || (ENVIRON["kx_all"] && c))'
        return f"""\
{self._user(f"kx_no {sh(f'there is no user {self.login}: make it in an earlier step')}" if new else "exit 0")}
{_ROOTS}{_BEFORE if new else '[ -d "$kx_home" ] || exit 0'}
kx_awk={sh(_OURS + table.exchange(chosen))}
kx_new={sh(new)} kx_folder={sh("none" if folder == "homeless" else folder)} kx_file={sh(wanted.get("file", ""))}
kx_as {sh(_MODE + _CHANGE)} || exit 1
{_AFTER if folder in ("none", "homeless") else ""}{home if folder == "homeless" else ":"}
"""

    @property
    def within(self) -> str:
        """The file that the keys are in, where homes are what they mostly are."""
        return f"{'/root' if self.login == 'root' else f'/home/{self.login}'}/.ssh/authorized_keys"

    def edit(self, before: State | None, after: State) -> Edit:
        """The lines with the keys; and modes, where nothing else is to be changed."""
        takes, puts = lines_of(before, "keys"), lines_of(after, "keys")
        return Edit(self._looks, puts, takes, rights=takes == puts or self._modes(before) != self._modes(after))

    def _modes(self, its: State | None) -> tuple[str, ...]:
        return tuple((its or GONE).get(name, "") for name in ("folder", "file"))

    def _looks(self, line: str) -> bool:
        return self.exclusive or any(each.blob in line.split() for each in self.keys)

    def needs(self, wanted: State) -> Iterator[Need]:
        """The user, where there is to be a key of his, and that the folder is his if its mode is another."""
        if wanted["keys"]:
            yield needs.user(self.login)
            there = f"[ ! -d {sh(self.within.rpartition('/')[0])} ]"  # of another, before the user is made
            why = f"the folder .ssh of {self.login} may be another's"
            yield Need(f"{self._user(f'{there}; exit')}", why, things=(("user", ""),), packed=False)
        if folder := wanted.get("folder"):
            other = '[ "$(id -u)" != 0 ] || [ "$kx_u" = 0 ]'
            his = f"""\
if [ -d "$kx_home/.ssh" ]; then kx_stat "$kx_home/.ssh" || exit 0
[ "$mode" = {folder} ] || [ "$uid" = "$kx_u" ]
elif kx_stat "$kx_home"; then case $uid:$mode in "$kx_u":* | 0:* | *[2367] | *[2367]?) ;; *) false ;; esac; fi"""
            why = f"the home of {self.login}, or .ssh there, is another's"
            yield Need(
                f"{self._user('exit 0')}{{ {other}; }} && exit\n{his}",
                why,
                (self.within.rpartition("/")[0],),
                packed=False,
            )

    def back(self, before: State) -> Command[Ensured]:
        """Towards what was found; where the user was not, his keys are none."""
        return ensuring(self, before or {"keys": ""})


def authorized_key(
    login: str,
    key: str | Iterable[str],
    *,
    exclusive: bool = False,
    state: Presence = "present",
    name: str | None = None,
) -> Step[Ensured]:
    """A key, or several, that let somebody log in as a user: lines of his `~/.ssh/authorized_keys`.

    >>> ed25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBcoIXkQ6ZL1VVPSUVWQ28+sBSzgw3dGgHYIY2mVyG4P ann@desk"
    >>> authorized_key("deploy", ed25519)
    Step('authorized_key deploy SHA256:pr/yzLc9bqKoT0zX1+IILDyGrzTd150ymChrHbmhFPI')

    States: `present`, `absent`. Probe: the lines that hold these keys (all, with `exclusive`), whatever their options
    and comments, and the modes of folder and file. What is there with other options or another comment is replaced.

    A missing home is made, with owner and mode 700, and so is `~/.ssh`, mode 700; the file has mode 600. Root does the
    rest as the user, so that no link in his home leads to what he could not reach himself. A folder or file there that
    is another's, such as root's, and cannot be written by him is a failure.

    Args:
        login: The user.
        key: Lines as in `.pub` files, with options before the key where wanted.
        exclusive: No other key lets in.
        state: Whether they are to be there.
        name: Of the step.

    Raises:
        InvalidError: A name or key that cannot be, a key given twice; absent and exclusive.
    """
    keys = tuple(ssh_key.read(each) for each in ([key] if isinstance(key, str) else key))
    if not keys or len({each.blob for each in keys}) < len(keys):
        raise InvalidError(f"authorized_key {login}: {'a key twice' if keys else 'no key'}", "give each key once")
    if state not in ("present", "absent"):
        raise InvalidError(f"authorized_key {login}: state={state!r}", 'write "present" or "absent"')
    there = is_wanted(state, f"authorized_key {login}")
    if exclusive and not there:
        raise InvalidError(f"authorized_key {login}: absent and exclusive", "give one of the two")
    its = AuthorizedKeys(login_name(login), keys, exclusive)
    told = "\n".join(each.line for each in keys)
    wanted = {"folder": "700", "file": "600", "keys": told} if there else {"keys": ""}
    return ensure(its, wanted, name=name)
