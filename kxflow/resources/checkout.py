"""A git repository, checked out at what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from kxflow.flow.ensure import Need, ensure, ensuring
from kxflow.flow.step import Step
from kxflow.resources import giturl, needs
from kxflow.resources.paths import PathLike, remote_path, sh
from kxflow.resources.presence import Presence, is_wanted
from kxflow.resources.sight import sighted
from kxflow.values.action import Command
from kxflow.values.errors import InvalidError
from kxflow.values.state import Ensured, State
from kxflow.values.state import state as as_state

WHOLE: Final[State] = as_state({"url": "", "at": "0" * 40})

# Nobody is asked for anything; what surrounds us says nothing about this repository.
_QUIET: Final = f"""\
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_COMMON_DIR GIT_OBJECT_DIRECTORY
export LC_ALL=C GIT_TERMINAL_PROMPT=0 GIT_ALLOW_PROTOCOL={giturl.PROTOCOLS}
export GIT_SSH_COMMAND="${{GIT_SSH_COMMAND:-ssh -oBatchMode=yes}}"
"""
# kx_full and kx_sha: the whole name of a tag or branch at kx_url, and its commit.
_RESOLVE: Final = """\
kx_resolve() {
  kx_l=$(git ls-remote -- "$kx_url" "$1" "refs/heads/$1" "refs/tags/$1" "refs/tags/$1^{}" "$1^{}") || exit 1
  kx_l=$(printf '%s\\n' "$kx_l" | kx_ref=$1 awk '
    BEGIN { r = ENVIRON["kx_ref"]; whole = index(r, "refs/") == 1 }
    { base = $2; peeled = sub(/\\^[{][}]$/, "", base) }
    base == (whole ? r : "refs/heads/" r) || base == "refs/tags/" r {
      if (!(base in at)) { found++; name = base }
      if (!(base in at) || peeled) at[base] = $1
    }
    END { if (found > 1) print "twice"; else if (found) print name " " at[name] }
  ')
  case $kx_l in
    '') kx_no "there is no tag or branch $1 in $kx_url" ;;
    twice) kx_no "$1 is a tag and a branch in $kx_url: write refs/tags/$1 or refs/heads/$1" ;;
  esac
  kx_full=${kx_l% *} kx_sha=${kx_l##* }
}
"""
_ORIGIN: Final = """\
if [ -z "$kx_url" ]; then git -C "$kx_d" config --remove-section remote.origin || exit 1; else
git -C "$kx_d" config remote.origin.url "$kx_url" || exit 1
git -C "$kx_d" config --get remote.origin.fetch >/dev/null ||
git -C "$kx_d" config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*' || exit 1
fi
"""
_HEAD: Final = """\
kx_head=$(git -C "$kx_d" rev-parse -q --verify 'HEAD^{commit}')
case $? in 0 | 1) ;; *) kx_no "git does not take $kx_d: is it another user's?" ;; esac
"""
_GET_COMMIT: Final = """\
if ! git -C "$kx_d" cat-file -e "$kx_at^{commit}" 2>/dev/null; then
  git -C "$kx_d" fetch -q --force --tags origin '+refs/heads/*:refs/remotes/origin/*' || exit 1
  git -C "$kx_d" cat-file -e "$kx_at^{commit}" 2>/dev/null || git -C "$kx_d" fetch -q origin "$kx_at" || exit 1
fi
kx_sha=$kx_at
"""
_GET_NAMED: Final = """\
kx_resolve "$kx_at"
case $kx_full in
  refs/heads/*) kx_here=refs/remotes/origin/${kx_full#refs/heads/} ;;
  *) kx_here=$kx_full ;;
esac
git -C "$kx_d" fetch -q --no-tags origin "+$kx_full:$kx_here" || exit 1
kx_sha=$(git -C "$kx_d" rev-parse -q --verify "$kx_here^{commit}") || kx_no "$kx_at is no commit"
"""
_CAREFUL: Final = """\
if [ "$kx_head" ] && [ "$kx_head" != "$kx_sha" ]; then
  kx_l=$(git -C "$kx_d" --no-optional-locks status --porcelain -uno) || exit 1
  [ -z "$kx_l" ] || kx_no "there are local changes in $kx_d: commit them, or give force=True"
  kx_l=$(git -C "$kx_d" for-each-ref --count=1 --contains "$kx_head") || exit 1
  [ "$kx_l" ] || kx_no "there are commits in $kx_d that no branch has: give them one, or give force=True"
fi
"""
_NOTHING_OWN: Final = """\
kx_l=$(git -C "$kx_d" --no-optional-locks status --porcelain --ignored) || exit 1
[ -z "$kx_l" ] || kx_no "there are files in $kx_d that are in no commit: move them, or give force=True"
if [ "$kx_head" ]; then
kx_l=$(git -C "$kx_d" rev-list -n 1 HEAD --branches --not --remotes --tags --glob='refs/kxflow/*') || exit 1
fi
[ -z "$kx_l" ] && ! git -C "$kx_d" rev-parse -q --verify refs/stash >/dev/null ||
  kx_no "there are commits in $kx_d that are nowhere else: push them, or give force=True"
"""
_GO_GENTLY: Final = """\
git -C "$kx_d" checkout -q --detach "$kx_sha" || exit 1
"""
_GO_FORCED: Final = """\
git -C "$kx_d" checkout -q --force --detach "$kx_sha" && git -C "$kx_d" reset -q --hard "$kx_sha" || exit 1
"""
# So that what is checked out here counts as kept, and only what somebody committed on top of it does not.
_NOTE: Final = 'git -C "$kx_d" update-ref refs/kxflow/at "$kx_sha" || exit 1\n'


@frozen
class Checkout:
    """A repository at a path.

    Attributes:
        path: Where.
        force: What is there of one's own goes.
    """

    path: str
    force: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Kind and path."""
        return ("git", self.path)

    def probe(self, wanted: State) -> str:
        """Its origin, and its commit: by its name, where the origin says that it has that name now."""
        where = sh(self.path)
        asked = wanted or WHOLE
        at = asked["at"]
        named = (
            "" if giturl.is_commit(at) else f'kx_resolve {sh(at)}\n[ "$kx_head" != "$kx_sha" ] || kx_head={sh(at)}\n'
        )
        changes = (
            'kx_l=$(git -C "$kx_d" --no-optional-locks status --porcelain -uno) || exit 1\n'
            '[ "$kx_l" ] && kx_say changes yes || kx_say changes no\n'
        )
        return f"""\
{sighted(self.path)}kx_d={where}
if [ ! -e "$kx_d/.git" ]; then
[ -d "$kx_d" ] && [ -z "$(ls -A -- "$kx_d")" ] || [ ! -e "$kx_d" ] || kx_say other yes
exit 0
fi
{_QUIET}{_RESOLVE}kx_url={sh(asked["url"])}
{_HEAD}kx_say url "$(git -C "$kx_d" config --get remote.origin.url)"
{named}kx_say at "$kx_head"
{changes if "changes" in asked else ""}"""

    def needs(self, wanted: State) -> Iterator[Need]:
        """The program, and a folder to be in."""
        yield needs.program("git", "git")
        if wanted:
            yield needs.room(self.path)

    def apply(self, wanted: State) -> str:
        """Made whole beside its place, then moved there; what is there is taken on from where it is."""
        if not wanted:
            return self._remove()
        get = _GET_COMMIT if giturl.is_commit(wanted["at"]) else _GET_NAMED
        go = _GO_FORCED if self.force else _GO_GENTLY
        return f"""\
kx_need git git
{_QUIET}{_RESOLVE}kx_url={sh(wanted["url"])} kx_at={sh(wanted["at"])}
kx_real {sh(self.path)}
kx_d=$real kx_t=
if [ ! -e "$real/.git" ]; then
[ ! -e "$real" ] || {{ [ -d "$real" ] && [ -z "$(ls -A -- "$real")" ]; }} ||
kx_no "$real is there, and is no git repository"
kx_x=${{real%/*}}
kx_dir "${{kx_x:-/}}" || exit 1
kx_t=$(mktemp -d -- "${{real%/*}}/.kx.XXXXXXXX") || exit 1
trap 'rm -rf -- "$kx_t"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
trap 'exit 129' HUP
kx_d=$kx_t/new
git clone -q --no-checkout -- "$kx_url" "$kx_d" || exit 1
fi
{_ORIGIN}if [ "$kx_t" ]; then kx_head=; else
{_HEAD}fi
{get}{"" if self.force else _CAREFUL}{go}{_NOTE}[ "$kx_t" ] || exit 0
[ ! -d "$real" ] || rmdir -- "$real" || exit 1
mv -- "$kx_d" "$real"
"""

    def _remove(self) -> str:
        return f"""\
kx_need git git
{_QUIET}kx_real {sh(self.path)}
kx_d=$real
[ -e "$kx_d/.git" ] || kx_no "$kx_d is no git repository"
{_HEAD}{"" if self.force else _NOTHING_OWN}kx_t=$(mktemp -d -- "${{real%/*}}/.kx.XXXXXXXX") || exit 1
trap 'rm -rf -- "$kx_t"' EXIT
mv -- "$real" "$kx_t/old"
"""

    def back(self, before: State) -> Command[Ensured] | None:
        """Towards the commit that was found; None where there was none, or what was there was not committed."""
        if before and (not before.get("at") or before.get("changes") == "yes"):
            return None
        return ensuring(self, before or None)


def git(
    path: PathLike,
    url: str | None = None,
    ref: str | None = None,
    *,
    force: bool = False,
    state: Presence = "present",
    name: str | None = None,
) -> Step[Ensured]:
    """A git repository at a path, checked out at a commit, tag or branch; HEAD is detached there.

    >>> git("/srv/app", "https://example.com/app.git", "v1.4.2")
    Step('git /srv/app')

    States: `present`; `absent`: the whole folder goes. Probe: the origin's URL and the commit of HEAD, and what the
    origin now has by the name of a tag or branch, which asks the network; a commit that is there asks nobody.

    A new repository is put in place when it is complete. Nothing of one's own is lost without `force`: local changes,
    or commits that no branch has, are failures; local branches stay in any case. To take it away, it must hold nothing
    that is not at the origin. Undo goes back to the commit that was there; what was taken away comes back as a new
    clone.

    git refuses a repository that is somebody else's, and so does root: `.become(user)` acts as its owner.

    Args:
        path: Absolute; the folder above it must be there.
        url: Where it is cloned from: https, ssh, git, `user@host:path`, or a path on the host. No password in it.
        ref: A whole commit id, or a tag or branch: in full, `refs/heads/main`, where there are both of one name.
        force: Local changes go; untracked files stay, where nothing takes their place.
        state: Whether it is to be there.
        name: Of the step.

    Raises:
        InvalidError: A path, URL or ref that cannot be; absent, and with a URL or ref.
    """
    its = Checkout(remote_path(path), force)
    if state not in ("present", "absent"):
        raise InvalidError(f"git {its.path}: state={state!r}", 'write "present" or "absent"')
    if not is_wanted(state, f"git {its.path}"):
        if url is not None or ref is not None:
            raise InvalidError(f"git {its.path}: absent, and with a URL or ref", "give the path only")
        return ensure(its, None, name=name)
    changes = {"changes": "no"} if force else {}
    return ensure(its, {"url": giturl.repository(url), "at": giturl.reference(ref), **changes}, name=name)
