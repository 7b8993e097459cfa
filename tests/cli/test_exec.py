"""`kxflow exec`: one command on many hosts."""

from __future__ import annotations

import os
import random
import signal
import subprocess

import pytest

from kxflow.testing.fleet import until
from kxflow.testing.plugin import need_program
from tests.cli.program import ONE, Program, call


def lines(text: str) -> list[str]:
    """Lines in an order of our own: hosts write side by side."""
    return sorted(text.splitlines())


def test_one_word_is_shell_text(here: Program) -> None:
    """Quoted once for the shell at home, it may hold pipes and variables."""
    done = call("exec", "role:web", "-i", "hosts.toml", "--", "for i in 1 2; do echo $i; done | tail -n 1")
    assert (done.code, lines(done.out)) == (0, ["web1 | 2", "web2 | 2"])
    assert done.err == "2 hosts: 2 succeeded\n"


def test_several_words_are_a_program_and_its_arguments(here: Program) -> None:
    """No shell in between: every word arrives as it is."""
    words = ["a b", "$HOME", "'", '"', "*", "", "\\n", ";", "é", "-i", "--help"]
    done = call("exec", "web1", "-i", "hosts.toml", "--", "printf", "<%s>", *words)
    assert (done.code, done.out) == (0, f"web1 | <{'><'.join(words)}>\n")


def test_any_word_arrives_as_it_is(here: Program) -> None:
    """Also words that nobody would choose."""
    chosen = random.Random(7)  # noqa: S311 -- words, always the same
    signs = [chr(code) for code in range(0x20, 0x7F)] + ["é", "€"]
    for _ in range(20):
        word = "".join(chosen.choices(signs, k=chosen.randint(1, 30)))
        done = call("exec", "web1", "-i", "hosts.toml", "--", "printf", "%s.", word)
        assert done.out == f"web1 | {word}.\n"


def test_stderr_of_hosts_goes_to_stderr_and_lines_are_never_mixed(here: Program) -> None:
    """Each line whole, behind its host, the last one also without a newline; what controls is written out."""
    script = r'i=0; while test $i -lt 200; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); done; printf "\033[2Jend"'
    done = call("exec", "all", "-i", "hosts.toml", "--", script)
    assert done.code == 0
    hosts = ["db1", "web1", "web2"]
    out = [f"{host} | out {i}" for host in hosts for i in range(200)] + [f"{host} | \\x1b[2Jend" for host in hosts]
    assert lines(done.out) == sorted(out)
    told = [line for line in done.err.splitlines() if " | " in line]
    assert sorted(told) == sorted(f"{host} | err {i}" for host in hosts for i in range(200))


def test_a_failing_host_is_named_and_stops_no_other(here: Program) -> None:
    """Also with one host at a time, and the exit status says that something failed."""
    script = 'test -e first && { echo fine; exit; }; touch first; echo "no space" >&2; exit 28'
    done = call("exec", "all", "-i", "hosts.toml", "--concurrency", "1", "--", script)
    assert done.code == 1
    assert done.out == "web1 | fine\nweb2 | fine\n"
    assert done.err == "db1 | no space\ndb1: failed: exit status 28\n3 hosts: 2 succeeded, 1 failed\n"


def test_concurrency_bounds_how_many_hosts_are_at_work(here: Program) -> None:
    """One at a time: none finds what another one has taken."""
    args = ("exec", "all", "-i", "hosts.toml")
    alone = ("--", "mkdir taken || exit 9; sleep 0.1; rmdir taken")
    assert call(*args, "--concurrency", "1", *alone).code == 0
    assert call(*args, *alone).code == 1


def test_a_command_whose_time_is_up_is_ended(here: Program) -> None:
    """It is told so, and the exit status is 1."""
    done = call("exec", "web1", "-i", "hosts.toml", "--timeout", "0.2", "--", "sleep 60")
    assert done.code == 1
    assert "web1: failed: its time was up and it was ended" in done.err


def test_a_command_that_is_not_there_fails_with_the_words_of_the_shell(here: Program) -> None:
    """As ssh would show it."""
    done = call("exec", "web1", "-i", "hosts.toml", "--", "no-such-program", "x")
    assert done.code == 1
    assert "no-such-program: not found" in done.err
    assert "web1: failed: exit status 127" in done.err


@pytest.mark.skipif(os.geteuid() != 0, reason="not run: only root may become root without a password")
def test_become_acts_as_root(here: Program) -> None:
    """By sudo, which tells who it was."""
    need_program("sudo")
    done = call("exec", "web1", "-i", "hosts.toml", "--become", "--", "echo $(id -u) by ${SUDO_USER:-nobody}")
    assert (done.code, done.out) == (0, "web1 | 0 by root\n")


def test_much_output_comes_whole_and_in_order(kxflow: Program) -> None:
    """However fast the host writes: it waits for who reads."""
    kxflow.file("one.toml", ONE)
    done = kxflow.sh("kxflow exec here -i one.toml -- 'seq 2000000' | sed 's/here | //' | cmp - <(seq 2000000)")
    assert (done.code, done.out, done.err) == (0, "", "1 host: 1 succeeded\n")


def test_the_time_of_a_command_that_writes_without_end_is_up_all_the_same(kxflow: Program) -> None:
    """It is told, and no more was kept meanwhile than the bound."""
    kxflow.file("one.toml", ONE)
    running = kxflow.start("exec", "here", "-i", "one.toml", "--timeout", "1.5", "--", "yes", stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(running.process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 1
    running.process.returncode = 1
    assert "here: failed: its time was up and it was ended" in running.end().err
    assert used.ru_maxrss < 150_000


def test_who_reads_nothing_is_left_with_the_second_ctrl_c(kxflow: Program) -> None:
    """The pipe is full and stays so; the program ends, and says that not all was shown."""
    kxflow.file("one.toml", ONE)
    unread, full = os.pipe()
    running = kxflow.start("exec", "here", "-i", "one.toml", "--", "touch began; yes", stdout=full)
    os.close(full)
    until((kxflow.folder / "began").exists, "the command to begin")
    running.send(signal.SIGINT)
    running.says("no further step begins")
    running.send(signal.SIGINT)
    done = running.end()
    os.close(unread)
    assert done.code == 128 + signal.SIGINT
    assert "kxflow: what was shown is not all: " in done.err
