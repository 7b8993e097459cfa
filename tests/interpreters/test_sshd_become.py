"""Other users on real hosts: who a step is, what a refusal says, that nothing is left and nothing shows."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import kxflow as kx
from kxflow.testing.accounts import Account, account
from kxflow.testing.fleet import until
from kxflow.testing.plugin import MakeSshdFleet, need_program
from tests.interpreters.hosts import (
    alive,
    giving,
    needs_root,
    one,
    owned,
    processes,
    ran,
    statuses,
    sudoer,
    told,
    unique,
)

pytestmark = needs_root

PASSWORD = "right-pa'ss $word-1"


@pytest.fixture(params=["nopasswd", "password, pty"])
def login(request: pytest.FixtureRequest) -> Iterator[tuple[Account, kx.Become]]:
    """Somebody who may become root, and how: asked for a password or not, under a terminal of sudo's or not."""
    secret = PASSWORD if request.param.startswith("password") else None
    with sudoer(
        unique("kxops"), password=secret, sudo="password" if secret else "nopasswd", pty=request.param.endswith("pty")
    ) as user:
        yield user, kx.Become(password=secret)


def test_a_step_as_root_is_a_step_like_any_other(sshd_fleet: MakeSshdFleet, login: tuple[Account, kx.Become]) -> None:
    """Bytes, statuses, checks, values, folders; between steps of one's own, on one connection, with nothing left."""
    fleet = sshd_fleet(1)
    user, root = login
    every = bytes(range(256)) * 3
    mark = f"51{os.getpid()}"
    steps = [
        kx.command("mine", "id -un"),
        kx.command("bytes", "tee /dev/fd/2; exit 3", stdin=every, ok_codes=(3,), become=root),
        kx.command("env", ["printenv", "-0", "X", "HOME"], env={"X": "a'b\n$c"}, become=root),
        kx.command("there", "pwd", check="id -un; test -d /no", cwd="/usr", become=root),
        kx.command("held", "echo no", check="test $(id -u) = 0", value="id -un", parse=str, become=root),
        kx.command("signal", "sh -c 'kill -9 $$'", become=root).ignore_errors(),
        kx.command("slow", f"trap '' TERM; echo out; sleep {mark} & sleep {mark}", become=root)
        .timeout(0.5)
        .ignore_errors(),
        kx.command("background", "sleep 3 & echo started", become=root),
        kx.command("again", "id -un; umask"),
    ]
    its = ran(one(*steps), fleet.login(user.name))
    by_step = {each.step: each for each in its}
    assert (by_step["bytes"].stdout.data, by_step["bytes"].stderr.data) == (every, every)
    assert by_step["env"].stdout.data == b"a'b\n$c\0/root\0"
    assert told(its) == [
        ("Succeeded", "", f"{user.name}\n"),
        ("Succeeded", "", str(by_step["bytes"].stdout)),
        ("Succeeded", "", "a'b\n$c\0/root\0"),
        ("Succeeded", "", "/usr\n"),
        ("Skipped", "check", ""),
        ("Failed", "signal", ""),
        ("Failed", "timed_out", "out\n"),
        ("Succeeded", "", "started\n"),
        ("Succeeded", "", f"{user.name}\n0022\n"),
    ]
    assert by_step["held"].value == "root"
    assert not alive(f"sleep\0{mark}")
    assert fleet.log("host1").count("Accepted publickey") == 1


def test_cancel_ends_a_step_as_root_with_its_death_confirmed(
    sshd_fleet: MakeSshdFleet, login: tuple[Account, kx.Become]
) -> None:
    """It ignores TERM and has children; Cancelled, and no process is left."""
    fleet = sshd_fleet(2)
    user, root = login
    mark = f"52{os.getpid()}"

    @kx.step
    def act(ctx: kx.HostContext) -> kx.Action[Any]:
        if ctx.host.name == "host1":
            return kx.shell("sleep 0.7; exit 1")
        return kx.shell(f"trap '' TERM; echo out; sleep {mark} & sleep {mark}", become=root)

    task = kx.task("t", act, kx.command("next", "id -un", become=root), policy=kx.fail_fast(cancel=True))
    its = ran(kx.pipeline("p", kx.module("m", task)), fleet.login(user.name))
    assert statuses(its) == {
        "host1 act": "Failed", "host2 act": "Cancelled", "host1 next": "NotRun", "host2 next": "NotRun"
    }  # fmt: skip
    assert str(its["act", "host2"].stdout) == "out\n"
    assert not alive(f"sleep\0{mark}")


def test_a_soft_stop_reaches_a_program_of_another_user(sshd_fleet: MakeSshdFleet) -> None:
    """The step in progress ends, the next one of that user does not begin."""
    fleet = sshd_fleet(2)

    @kx.step
    def act(ctx: kx.HostContext) -> kx.Action[Any]:
        return kx.shell("sleep 0.3; exit 1") if ctx.host.name == "host1" else kx.shell("sleep 1; echo whole")

    with sudoer(unique("kxsoft")) as user:
        steps = [act.become(), kx.command("next", "touch /root/kxflow-no").become()]
        task = kx.task("t", *steps, policy=kx.fail_fast())
        its = ran(kx.pipeline("p", kx.module("m", task)), fleet.login(user.name))
    assert statuses(its)["host2 act"] == "Succeeded"
    assert statuses(its)["host2 next"] == "NotRun"
    assert not Path("/root/kxflow-no").exists()


def test_a_refusal_is_a_failure_with_its_own_reason_after_one_try(sshd_fleet: MakeSshdFleet, tmp_path: Path) -> None:
    """No password, a wrong one, a user that sudoers does not know: said at once, and sudo was asked once."""
    fleet = sshd_fleet(1)
    step = giving("as", kx.cmd("id", "-un"))

    def outcome(user: Account, become: kx.Become) -> tuple[str, str, list[str]]:
        cluster = fleet.login(user.name, become=become)
        its = ran(one(step, kx.command("next", "touch ~/no")), cluster)
        assert its.results[1].status is kx.Status.NotRun
        assert not (user.home / "no").exists()
        return (*told(its)[0][:2], sudo_log(user))

    with ExitStack() as stack:
        ops = stack.enter_context(sudoer(unique("kxpass"), password=PASSWORD, sudo="password", log=tmp_path / "log"))
        none = stack.enter_context(sudoer(unique("kxnone"), password="right-pw-2", sudo=None, log=tmp_path / "log"))

        def sudo_log(user: Account) -> list[str]:
            """What sudo noted of a user since last time."""
            text = (tmp_path / "log").read_text() if (tmp_path / "log").exists() else ""
            (tmp_path / "log").write_text("")
            return [line for line in text.splitlines() if "incorrect password" in line]

        assert outcome(ops, kx.Become()) == ("Failed", "become_password", [])
        status, reason, tries = outcome(ops, kx.Become(password="wrong-pw-1"))
        assert (status, reason, len(tries)) == ("Failed", "become_denied", 1)
        assert "1 incorrect password attempt" in tries[0]
        status, reason, _ = outcome(none, kx.Become(password="right-pw-2"))
        assert (status, reason) == ("Failed", "become_denied")
        status, reason, _ = outcome(ops, kx.Become("no-such-user", password=PASSWORD))
        assert (status, reason) == ("Failed", "become_denied")


@pytest.mark.parametrize("method", ["sudo", "su", "doas"])
def test_a_host_without_the_program_says_so(sshd_fleet: MakeSshdFleet, method: Any) -> None:
    """`become_missing`, with what to do; a tolerated step lets the host go on."""
    fleet = sshd_fleet(1)
    with account(unique("kxmissing"), shell="bash") as user:
        (user.home / "bin").mkdir()
        for tool in ("sh", "dd", "id", "grep", "sleep", "printenv"):
            (user.home / "bin" / tool).symlink_to(need_program(tool))
        (user.home / ".bashrc").write_text(f"PATH={user.home}/bin\n")
        step = kx.command("as", "id").become(method=method).ignore_errors()
        first, second = ran(one(step, kx.command("next", "echo next")), fleet.login(user.name))
    assert (first.status, first.reason) == (kx.Status.Failed, "become_missing")
    assert first.error is not None
    assert "method=" in first.error.remedy
    assert str(second.stdout) == "next\n"


@pytest.mark.parametrize("shell", ["tcsh", "fish"])
def test_su_becomes_another_ordinary_user_by_that_users_password(sshd_fleet: MakeSshdFleet, shell: str) -> None:
    """Whatever that user's login shell is; root needs none."""
    need_program(shell)
    fleet = sshd_fleet(1)
    with (
        account(unique("kxme"), shell="bash") as me,
        account(unique("kxother"), shell=shell, password=PASSWORD) as other,
    ):
        for login, password in ((me.name, PASSWORD), ("root", None)):
            become = kx.Become(other.name, password=password, method="su")
            steps = [
                kx.command("a", "id -un; cat", stdin=b"in", become=become),
                kx.command("b", "exit 4", become=become).ignore_errors(),
                kx.command("c", "id -un"),
            ]
            assert told(ran(one(*steps), fleet.login(login))) == [
                ("Succeeded", "", f"{other.name}\nin"), ("Failed", "exit", ""), ("Succeeded", "", f"{login}\n")
            ]  # fmt: skip


def test_su_with_a_wrong_password_or_none_is_refused(sshd_fleet: MakeSshdFleet) -> None:
    """Each with its own reason."""
    fleet = sshd_fleet(1)
    with (
        account(unique("kxme"), shell="bash") as me,
        account(unique("kxother"), shell="bash", password=PASSWORD) as other,
    ):
        for password, reason in (("wrong", "become_denied"), (None, "become_password")):
            step = kx.command("a", "id -un").become(other.name, password=password, method="su")
            assert told(ran(one(step), fleet.login(me.name))) == [("Failed", reason, "")]


def test_steps_for_root_deploy_root_are_each_whose_they_are(sshd_fleet: MakeSshdFleet) -> None:
    """Neighbours of one user share one escalation; checks, environment and folder are the user's too."""
    fleet = sshd_fleet(1)
    mark = f"53{os.getpid()}"
    with account(unique("kxdeploy"), shell="bash") as deploy:
        steps = [
            kx.command("a", "id -un"),
            kx.command("b", "id -un; pwd; echo $X", check="false", become=deploy.name, cwd="/", env={"X": "x y"}),
            kx.command("c", "id -un; echo $HOME; umask", become=deploy.name),
            kx.command("d", "id -un"),
            kx.command("e", f"trap '' TERM; sleep {mark} & sleep {mark}", become=deploy.name)
            .timeout(0.5)
            .ignore_errors(),
            kx.command("f", "id -un"),
        ]
        its = ran(one(*steps), fleet.cluster)
        until(lambda: not owned(deploy.uid), "the guard of the program that was ended is gone too", 5)
        name = deploy.name
    assert [str(each.stdout) for each in its] == [
        "root\n", f"{name}\n/\nx y\n", f"{name}\n/home/{name}\n0022\n", "root\n", "", "root\n"
    ]  # fmt: skip
    assert (its.results[4].status, its.results[4].reason) == (kx.Status.Failed, "timed_out")


@pytest.mark.parametrize("fuse", [True, False])
def test_who_is_not_root_becomes_root_deploy_and_root_again(
    sshd_fleet: MakeSshdFleet, login: tuple[Account, kx.Become], fuse: bool
) -> None:
    """Each by sudo, with one password or with none; between them the steps of the login itself."""
    fleet = sshd_fleet(1)
    user, root = login
    with account(unique("kxdeploy"), shell="bash") as deploy:
        other = evolve(root, user=deploy.name)
        who = [root, other, root, None, root, root, other, None]
        steps = [kx.command(f"s{place}", "id -un; echo $HOME", become=each) for place, each in enumerate(who)]
        its = ran(one(*steps), fleet.login(user.name), fuse=fuse)
        homes = {"root": "/root", deploy.name: str(deploy.home), user.name: str(user.home)}
    names = [user.name if each is None else each.user for each in who]
    assert [str(each.stdout) for each in its] == [f"{name}\n{homes[name]}\n" for name in names]
    assert fleet.log("host1").count("Accepted publickey") == 1


@pytest.mark.parametrize("fuse", [True, False])
def test_parts_of_a_step_as_several_users_stop_at_the_first_that_fails(sshd_fleet: MakeSshdFleet, fuse: bool) -> None:
    """Whichever user that was; and the step is not stopped between two of its parts."""
    fleet = sshd_fleet(1)
    with account(unique("kxparts"), shell="bash") as user:
        mine, other = {"become": None}, {"become": user.name}
        made, shared = fleet.home("host1"), user.home

        def step(name: str, *parts: tuple[str, dict[str, Any]]) -> kx.Step[Any]:
            return giving(name, kx.both(*(kx.shell(text, **options) for text, options in parts))).ignore_errors()

        steps = [
            step("first", ("exit 1", mine), (f"touch {made}/no", mine), (f"touch {shared}/no", other)),
            step("second", ("exit 2", other), (f"touch {made}/no", mine)),
            step("third", ("exit 3", other), (f"touch {shared}/no", other), (f"touch {made}/no", mine)),
            step("well", ("id -un", mine), ("id -un", other), ("id -un", other), ("id -un", mine)),
            step("fourth", ("id -un", other), ("exit 4", mine), (f"touch {shared}/no", other)),
            kx.command("last", "echo last"),
        ]
        its = ran(one(*steps), fleet.cluster, fuse=fuse)
        assert not [each for each in (made / "no", shared / "no") if each.exists()]
    assert [(each.status.name, each.exit_code) for each in its] == [
        ("Failed", 1), ("Failed", 2), ("Failed", 3), ("Succeeded", 0), ("Failed", 4), ("Succeeded", 0)
    ]  # fmt: skip
    assert str(its.results[3].stdout) == f"root\n{user.name}\n{user.name}\nroot\n"


def test_a_stop_does_not_cut_a_step_between_its_parts(sshd_fleet: MakeSshdFleet) -> None:
    """It began, so it ends: all of its parts, whoever runs them."""
    fleet = sshd_fleet(2)
    with account(unique("kxwhole"), shell="bash") as user:

        @kx.step
        def act(ctx: kx.HostContext) -> kx.Action[Any]:
            if ctx.host.name == "host1":
                return kx.shell("sleep 0.4; exit 1")
            parts = [kx.shell("sleep 1.2; id -un"), kx.shell("id -un", become=user.name), kx.shell("id -un")]
            return kx.both(*parts)

        task = kx.task("t", act, kx.command("next", "echo no").become(user.name), policy=kx.fail_fast())
        its = ran(kx.pipeline("p", kx.module("m", task)), fleet.cluster)
    assert (its["act", "host2"].status.name, str(its["act", "host2"].stdout)) == (
        "Succeeded",
        f"root\n{user.name}\nroot\n",
    )
    assert its["next", "host2"].status is kx.Status.NotRun


class Watch:
    """Looks at every process of the machine, again and again, for words that must not be there.

    Attributes:
        words: What to look for.
        found: Where it was: `cmdline` or `environ`, and the command.
        looks: How many processes it looked at.
    """

    def __init__(self, *words: str) -> None:
        self.words = [word.encode() for word in words]
        self.found: set[tuple[str, str]] = set()
        self.looks = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        while not self._over.is_set():
            for pid, _, line in processes():
                self._look(pid, line)
            time.sleep(0)

    def _look(self, pid: int, line: bytes) -> None:
        if pid == os.getpid():
            return
        self.looks += 1
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            environment = b""
        for where, text in (("cmdline", line), ("environ", environment)):
            if any(word in text for word in self.words):
                self.found.add((where, line.replace(b"\0", b" ").decode("utf-8", "replace")[:80]))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look while this lasts."""
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join()


@pytest.mark.parametrize("method", ["sudo", "su"])
def test_a_password_shows_in_no_command_line_and_no_environment(sshd_fleet: MakeSshdFleet, method: Any) -> None:
    """While it is checked, while a step runs, for the first step as for later ones; nor does a wrong one."""
    fleet = sshd_fleet(1)
    watch = Watch(PASSWORD, "wrong-secret-password")
    with (
        sudoer(unique("kxquiet"), password=PASSWORD, sudo="password") as user,
        account(unique("kxroot2"), shell="bash", password=PASSWORD) as other,
    ):
        target = "root" if method == "sudo" else other.name
        steps = [
            step
            for i in range(3)
            for step in (
                kx.command(f"as{i}", "sleep 0.1; env >/dev/null").become(target, password=PASSWORD, method=method),
                kx.command(f"me{i}", "true"),
            )
        ]
        steps.append(kx.command("bad", "true").become(target, password="wrong-secret-password", method=method))
        with watch.watching():
            its = ran(one(*steps), fleet.login(user.name))
    assert [each.reason for each in its] == [*[""] * 6, "become_denied"]
    assert watch.looks > 500
    assert watch.found == set()


def test_a_secret_of_the_environment_is_in_its_own_step_alone(sshd_fleet: MakeSshdFleet) -> None:
    """In the environment of the processes of the step that asked for it; in no command line, in no other's."""
    fleet = sshd_fleet(1)
    watch = Watch("canary-secret-value")
    secret = kx.Secret("canary-secret-value")
    with sudoer(unique("kxenv")) as user:
        steps = [
            kx.command("in", "sleep 0.81", env={"T": secret}),
            kx.command("root", "sleep 0.82", env={"T": secret}).become(),
            kx.command("stdin", "sleep 0.33; cat >/dev/null", stdin=secret),
            kx.command("other", "sleep 0.34"),
            kx.command("as", "sleep 0.35").become(),
        ]
        with watch.watching():
            its = ran(one(*steps), fleet.login(user.name))
    assert its.succeeded
    assert watch.found == {("environ", "sleep 0.81 "), ("environ", "sleep 0.82 ")}
