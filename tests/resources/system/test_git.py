"""Checkouts of a bare repository that lies beside them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kxflow.resources import git
from kxflow.resources.giturl import reference, repository
from kxflow.testing.plugin import need_program
from kxflow.values.errors import InvalidError
from kxflow.values.state import state
from tests.resources.helpers_system import Box, cycle, ensured, fails, holds, refused, succeeds, undoing

URL = "/srv/app.git"
LOOK = "cd /srv/app && git rev-parse HEAD && git status --porcelain && git remote -v && cat f; ls -A /srv; ls /pwned"

_LAY = """
export HOME=/root
rm -f /root/.gitconfig
git config --global user.email ann@example.com
git config --global user.name Ann
git config --global init.defaultBranch main
git init -q --bare /srv/app.git
git clone -q /srv/app.git /srv/work 2>&1
cd /srv/work
echo 1 >f; git add f; git commit -qm 1; git tag v1
echo 2 >f; git commit -qam 2; git tag -a v2 -m 'the second'
git checkout -qb side v1; echo side >f; git commit -qam side
git push -q origin main side v1 v2
"""


@pytest.fixture
def repo(box: Box) -> Box:
    """A box with a repository: v1 and v2 on main, and a branch side."""
    need_program("git")
    box.sh(_LAY)
    return box


def commit(box: Box, ref: str) -> str:
    """The id of a commit."""
    return box.sh(f"git -C /srv/work rev-parse '{ref}^{{commit}}'").strip()


@pytest.mark.parametrize("ref", ["v1", "v2", "main", "side", "refs/heads/side", "refs/tags/v2", "COMMIT"])
def test_git_is_cloned_repaired_and_undone(repo: Box, ref: str) -> None:
    """At a commit, a tag of either kind or a branch; another commit is repaired; undo takes the clone away."""
    here, other = (commit(repo, "v1"), "v2") if ref == "COMMIT" else (ref, "v1" if ref != "v1" else "v2")
    step = git("/srv/app", URL, here)
    cycle(repo, step, look=LOOK, drift=f"git -C /srv/app checkout -q {other}")
    succeeds(repo, step)
    assert repo.sh("git -C /srv/app rev-parse HEAD").strip() == commit(repo, here if "COMMIT" not in ref else "v1")


def test_git_goes_from_one_ref_to_another_and_back(repo: Box) -> None:
    """What is there is taken on from where it is; undo goes back to that commit."""
    succeeds(repo, git("/srv/app", URL, "v2"))
    result = succeeds(repo, git("/srv/app", URL, "side"))
    assert ensured(result).before == state({"url": URL, "at": commit(repo, "v2")})
    cycle(repo, git("/srv/app", URL, "v1"), look=LOOK)


def test_git_sees_that_a_branch_or_tag_has_moved(repo: Box) -> None:
    """A branch that got a commit, or a tag that was set anew, means something to do."""
    for ref in ("main", "v2"):
        repo.one(git("/srv/app", URL, ref))
        repo.sh("cd /srv/work; git checkout -q main; date +%N >f; git commit -qam more; git tag -f v2; "
                "git push -qf origin main v2")  # fmt: skip
        cycle(repo, git("/srv/app", URL, ref), look=LOOK)
        succeeds(repo, git("/srv/app", URL, ref))
        assert repo.sh("git -C /srv/app rev-parse HEAD").strip() == commit(repo, "main")


def test_git_at_a_commit_asks_nobody(repo: Box) -> None:
    """A commit that is there needs no repository to be reached."""
    step = git("/srv/app", URL, commit(repo, "v1"))
    succeeds(repo, step)
    repo.sh("mv /srv/app.git /srv/gone.git")
    holds(repo, step)
    fails(repo, git("/srv/app", URL, "v1"), "'/srv/app.git' does not appear to be a git repository")


def test_git_gets_a_commit_that_no_branch_has(repo: Box) -> None:
    """A commit that was pushed away is fetched by its id, where the repository lets it."""
    lost = commit(repo, "side")
    repo.sh("git -C /srv/app.git config uploadpack.allowAnySHA1InWant true; git -C /srv/app.git branch -D side 2>&1")
    step = git("/srv/app", f"file://{URL}", lost)
    cycle(repo, step, look=LOOK)
    succeeds(repo, step)
    succeeds(repo, git("/srv/app", f"file://{URL}", "v1"))


def test_git_keeps_local_changes(repo: Box) -> None:
    """What somebody changed or committed there is not thrown away; with force it is."""
    succeeds(repo, git("/srv/app", URL, "v2"))
    repo.sh("echo mine >>/srv/app/f; echo new >/srv/app/untracked")
    holds(repo, git("/srv/app", URL, "v2"))
    before = repo.sh(LOOK, ok=False)
    fails(repo, git("/srv/app", URL, "v1"), "there are local changes in /srv/app")
    assert repo.sh(LOOK, ok=False) == before
    result = succeeds(repo, git("/srv/app", URL, "v2", force=True))
    assert repo.sh("cd /srv/app; git status --porcelain") == "?? untracked\n"
    with pytest.raises(AssertionError):
        undoing(git("/srv/app", URL, "v2", force=True), result)
    holds(repo, git("/srv/app", URL, "v2", force=True))


def test_git_keeps_local_commits(repo: Box) -> None:
    """A commit that no branch has is not lost; a local branch stays where it is."""
    succeeds(repo, git("/srv/app", URL, "v2"))
    repo.sh("cd /srv/app; echo mine >f; git commit -qam mine")
    fails(repo, git("/srv/app", URL, "v1"), "there are commits in /srv/app that no branch has")
    repo.sh("cd /srv/app; git branch mine; git checkout -q mine")
    succeeds(repo, git("/srv/app", URL, "v1"))
    assert repo.sh("cd /srv/app; git show mine:f; cat f") == "mine\n1\n"


def test_git_untracked_file_in_the_way_is_a_failure(repo: Box) -> None:
    """A file that a commit would write over stays, and so does the checkout."""
    repo.sh("cd /srv/work; git checkout -q main; echo x >g; git add g; git commit -qm g; git push -q origin main")
    succeeds(repo, git("/srv/app", URL, "v1"))
    repo.sh("echo mine >/srv/app/g")
    before = repo.sh(LOOK, ok=False)
    fails(repo, git("/srv/app", URL, "main"), "would be overwritten by checkout")
    assert repo.sh(f"{LOOK}; cat /srv/app/g", ok=False) == f"{before}mine\n"
    succeeds(repo, git("/srv/app", URL, "main", force=True))


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ("echo x >untracked", "files in /srv/app that are in no commit"),
        ("echo x >f", "files in /srv/app that are in no commit"),
        ("echo ignored >.git/info/exclude; echo x >ignored", "files in /srv/app that are in no commit"),
        ("echo x >f; git commit -qam mine", "commits in /srv/app that are nowhere else"),
        ("git checkout -qb mine; echo x >f; git commit -qam mine; git checkout -q v2", "that are nowhere else"),
        ("echo x >f; git stash -q", "commits in /srv/app that are nowhere else"),
    ],
)
def test_git_absent_keeps_what_is_nowhere_else(repo: Box, own: str, words: str) -> None:
    """Work that is only there is not taken away; with force it is."""
    step = git("/srv/app", state="absent")
    succeeds(repo, git("/srv/app", URL, "v2"))
    repo.sh(f"cd /srv/app; {own}")
    fails(repo, step, words)
    assert repo.sh("ls -A /srv").split() == ["app", "app.git", "work"]
    succeeds(repo, git("/srv/app", state="absent", force=True))
    assert repo.sh("ls -A /srv").split() == ["app.git", "work"]
    holds(repo, step)


def test_git_absent_comes_back_by_undo(repo: Box) -> None:
    """As a new clone, at the same commit."""
    succeeds(repo, git("/srv/app", URL, "side"))
    cycle(repo, git("/srv/app", state="absent"), look=LOOK)


def test_git_another_origin_is_set_and_undone(repo: Box) -> None:
    """A repository that moved: the same commits from another place."""
    repo.sh("cp -a /srv/app.git '/srv/new home.git'")
    succeeds(repo, git("/srv/app", URL, "v1"))
    cycle(repo, git("/srv/app", "/srv/new home.git", "v2"), look=LOOK, drift="git -C /srv/app remote set-url origin x")
    repo.sh("git -C /srv/app remote remove origin")
    cycle(repo, git("/srv/app", URL, "v2"), look=LOOK)


@pytest.mark.parametrize("name", ["a b", "it's", '"q"', "-x", "$(touch pwned)", "back\\slash", "a\nb", "\udcff", "é"])
def test_git_path_is_taken_as_it_is(repo: Box, name: str) -> None:
    """Blanks, quotes, dollars, line breaks and bytes that are no UTF-8, in its path and in the repository's."""
    step = git(f"/srv/{name}", f"/srv/{name}.git" if "\n" not in name else URL, "v1")
    copy = repo.root / "srv" / f"{name}.git"
    if "\n" not in name:
        repo.sh("cp -a /srv/app.git /srv/copy.git")
        (repo.root / "srv/copy.git").rename(copy)
    cycle(repo, step, look="ls -A /srv; ls /pwned")
    succeeds(repo, step)
    assert (repo.root / "srv" / name / "f").read_text() == "1\n"


def test_git_path_through_links_is_followed(repo: Box) -> None:
    """A link to where it is, or where it is to be, stays a link."""
    repo.sh("mkdir /srv/data; ln -s data /srv/link; ln -s data/app /srv/here")
    cycle(repo, git("/srv/link/x", URL, "v1"), look="ls -A /srv /srv/data")
    step = git("/srv/here", URL, "v1")
    cycle(repo, step, look="ls -A /srv /srv/data; readlink /srv/here")
    repo.sh("mkdir /srv/data/app")
    succeeds(repo, step)
    assert repo.sh("readlink /srv/here; cat /srv/data/app/f") == "data/app\n1\n"


def test_git_something_else_at_the_path_is_a_failure(repo: Box) -> None:
    """A folder with files in it, and a file, are neither taken over nor taken away; an empty folder is taken."""
    repo.sh("mkdir /srv/full /srv/empty; echo x >/srv/full/x; echo x >/srv/file")
    for path in ("/srv/full", "/srv/file"):
        fails(repo, git(path, URL, "v1"), f"{path} is there, and is no git repository")
        fails(repo, git(path, state="absent"), f"{path} is no git repository")
    assert repo.sh("cat /srv/full/x /srv/file") == "x\nx\n"
    succeeds(repo, git("/srv/empty", URL, "v1"))


def test_git_that_cannot_be_cloned_leaves_nothing(repo: Box) -> None:
    """No such repository or ref, no folder to put it in, a full and a read-only disk: nothing is left."""
    fails(repo, git("/srv/app", "/srv/nope.git", "v1"), "repository '/srv/nope.git' does not exist")
    fails(repo, git("/srv/app", URL, "nope"), f"there is no tag or branch nope in {URL}")
    fails(repo, git("/srv/app", URL, "1" * 40), "not our ref")
    fails(repo, git("/srv/no/app", URL, "v1"), "there is no folder /srv/no")
    assert repo.sh("ls -A /srv").split() == ["app.git", "work"]
    repo.sh("mkdir /srv/full; mount -t tmpfs -o size=64k t /srv/full")
    fails(repo, git("/srv/full/app", f"file://{URL}", "v1"), "No space left")
    repo.sh("mount -o remount,ro /srv/full")
    fails(repo, git("/srv/full/app", URL, "v1"), "Read-only file system")
    assert repo.sh("ls -A /srv/full") == ""


def test_git_name_of_a_tag_and_a_branch_has_to_be_told(repo: Box) -> None:
    """Which of the two is meant is not guessed."""
    repo.sh("git -C /srv/app.git tag main v1")
    fails(repo, git("/srv/app", URL, "main"), "main is a tag and a branch")
    succeeds(repo, git("/srv/app", URL, "refs/tags/main"))
    assert repo.sh("cat /srv/app/f") == "1\n"
    succeeds(repo, git("/srv/app", URL, "refs/heads/main"))
    assert repo.sh("cat /srv/app/f") == "2\n"


def test_git_without_rights_is_told_so(repo: Box) -> None:
    """A plain user changes nothing of another's, and is not told that all is well."""
    succeeds(repo, git("/srv/app", URL, "v1"))
    refused(repo, git("/srv/new", URL, "v1"), "Permission denied", look=LOOK)
    refused(repo, git("/srv/app", URL, "v2"), "is it another user's?", look=LOOK)
    refused(repo, git("/srv/app", state="absent"), "is it another user's?", look=LOOK)
    repo.sh("chmod 700 /srv")
    refused(repo, git("/srv/app", state="absent"), "cannot see whether there is /srv/app", look=LOOK)


def test_git_as_root_does_not_run_what_a_user_left_there(repo: Box) -> None:
    """A hostile user's repository has hooks and settings; root does not go into it."""
    repo.sh("useradd ann; mkdir /srv/ann; chown ann /srv/ann")
    repo.sh("su ann -c 'cd /srv/ann; git init -q app; git -C app config core.fsmonitor \"touch /tmp/pwned\"'")
    repo.sh("su ann -c 'cd /srv/ann/app; git remote add origin /srv/app.git; git status' && rm /tmp/pwned")
    for step in (git("/srv/ann/app", URL, "v1"), git("/srv/ann/app", URL, "v1", force=True)):
        fails(repo, step, "is it another user's?")
    assert repo.sh("ls /tmp/pwned", ok=False) == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        None,
        "-u",
        "--upload-pack=touch /pwned",
        "ext::sh -c id",
        "ext::sh%20-c%20id",
        "fd::17",
        "foo::bar",
        "app.git",
        "../app.git",
        "ftp://example.com/app",
        "javascript://x",
        "ssh://-oProxyCommand=id/app",
        "ssh://-oProxyCommand=id@example.com/app",
        "-oProxyCommand=id:app",
        "a@-oProxyCommand=id:app",
        "ssh:///app",
        "https:///app",
        "https://example.com/a b",
        "https://example.com/a\nb",
        "file://host/app",
        "//host/app",
        "https://ann:hunter2hunter2@example.com/app",
        "https://hunter2hunter2@example.com/app",
        "ssh://ann:hunter2hunter2@example.com/app",
    ],
)
def test_git_url_that_git_would_take_for_something_else_is_refused(url: str) -> None:
    """Options, programs, other protocols and passwords are refused when the step is built, and not shown."""
    with pytest.raises(InvalidError) as caught:
        git("/srv/app", url, "v1")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/app.git",
        "http://[::1]:8080/app",
        "ssh://git@example.com:22/app",
        "git@example.com:team/app.git",
        "example.com:app",
        "git://example.com/app",
        "file:///srv/app.git",
        "/srv/my app.git",
    ],
)
def test_git_url_of_every_kind_is_taken(url: str) -> None:
    """What git has for a repository, other than programs."""
    assert repository(url) == url


@pytest.mark.parametrize(
    "ref",
    ["", None, "-x", "a b", "a..b", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a\\b", "@", "a@{1}", "/a", "a/", "a//b",
     ".a", "a/.b", "a.", "a.lock", "a.lock/b", "a\nb", "a\x7f"],
)  # fmt: skip
def test_git_ref_that_cannot_be_is_refused(ref: str) -> None:
    """Options, revisions and what no branch may be called."""
    with pytest.raises(InvalidError, match=re.escape("cannot be one")):
        reference(ref)


@given(st.lists(st.text("abcXYZ019._-+@é{}", min_size=1, max_size=8), min_size=1, max_size=3).map("/".join))
def test_git_ref_that_is_taken_is_one_for_git(ref: str) -> None:
    """Nothing that starts with a dash, climbs, or is a revision gets through."""
    try:
        reference(ref)
    except InvalidError:
        return
    assert not ref.startswith("-")
    assert ".." not in ref
    assert "@{" not in ref
    assert not any(part.startswith(".") or part.endswith((".", ".lock")) for part in ref.split("/"))


def test_git_that_cannot_be_is_refused() -> None:
    """Absent and with more, an odd state, a path that is none."""
    with pytest.raises(InvalidError, match="absent, and with a URL or ref"):
        git("/srv/app", URL, state="absent")
    with pytest.raises(InvalidError, match="state='gone'"):
        git("/srv/app", URL, "v1", state="gone")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(InvalidError, match="path 'app'"):
        git("app", URL, "v1")
