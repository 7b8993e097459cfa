"""OpenSSH client configurations: what is read, what is refused. The parser's cases are data."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kxflow.connectors.ssh_config import ConfigError, Options, read
from kxflow.testing.plugin import need_program


def of(tmp_path: Path, text: str, host: str = "web1", user: str | None = None) -> Options:
    """What a configuration with this text says."""
    path = tmp_path / "config"
    path.write_text(text)
    return read(str(path), host, user=user, local_user=lambda: "me")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Options()),
        ("HostName 10.0.0.1", Options(address="10.0.0.1")),
        ("HostName=10.0.0.1", Options(address="10.0.0.1")),
        ("hostname = 10.0.0.1", Options(address="10.0.0.1")),
        ('HostName "10.0.0.1"  # note', Options(address="10.0.0.1")),
        ("HostName %h.example", Options(address="web1.example")),
        ("Host web1\n User a\nHost *\n User b", Options(user="a")),
        ("Host web2\n User a\nHost *\n User b", Options(user="b")),
        ("Host web* !web1\n User a", Options()),
        ("Host *1\n Port 2222\n Port 3333", Options(port=2222)),
        ("Match host web1\n User a", Options(user="a")),
        ("Match !host web1\n User a", Options()),
        ("Match all\n User a", Options(user="a")),
        ("Match originalhost web1 localuser me\n User a", Options(user="a")),
        ("Match originalhost web1 localuser you\n User a", Options()),
        ("Match canonical\n User a", Options()),
        ("Match final\n User a", Options()),
        ("Match host web2 exec false\n User a\nMatch all\n User b", Options(user="b")),
        ("IdentityFile /k/%r\nIdentityFile /k/%h\nUser a\nHostName b", Options("b", "a", key_files=("/k/a", "/k/b"))),
        ("CertificateFile /c\nIdentityFile none", Options(cert_files=("/c",))),
        ("UserKnownHostsFile /a /b", Options(known_hosts=("/a", "/b"))),
        ("HostKeyAlias rack-%n", Options(alias="rack-web1")),
        ("ProxyJump ops@b:22,c", Options(jump="ops@b:22,c")),
        ("ProxyJump none", Options(jump="")),
        ("ProxyCommand none", Options()),
        ("IdentityAgent none", Options(agent="")),
        ("IdentityAgent /run/agent", Options(agent="/run/agent")),
        ("Ciphers aes128-cbc\nForwardAgent yes\nCompression yes\nNoSuchOption x", Options()),
        ("Host other\n ProxyCommand nc %h\n StrictHostKeyChecking no\nHost *\n User a", Options(user="a")),
        ("StrictHostKeyChecking accept-new", Options()),
    ],
)
def test_configuration_says(text: str, expected: Options, tmp_path: Path) -> None:
    """The first value holds, patterns decide which block counts, the rest is passed over."""
    assert of(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ProxyCommand nc %h %p", "runs a command"),
        ("KnownHostsCommand /bin/x", "runs a command"),
        ("Match exec true\n User a", "runs a command"),
        ("Match host web1 exec true\n User a", "runs a command"),
        ("UserKnownHostsFile none", "switches off"),
        ("UserKnownHostsFile /dev/null", "switches off"),
        ("StrictHostKeyChecking no", "switches off"),
        ("stricthostkeychecking=OFF", "switches off"),
        ("Port 70000", "port"),
        ('User "a', "config:1"),
        ("Match address 10.0.0.0/8\n User a", "not supported"),
        ("IdentityFile /k/%C", "%C"),
        ("Include config", "Include"),
    ],
)
def test_configuration_is_refused(text: str, words: str, tmp_path: Path) -> None:
    """What would run a command or switch a check off, and what cannot be understood."""
    with pytest.raises(ConfigError, match=words):
        of(tmp_path, text)


def test_match_exec_is_never_run(tmp_path: Path) -> None:
    """Not even while the file is read."""
    with pytest.raises(ConfigError):
        of(tmp_path, f"Match exec 'touch {tmp_path}/ran'\n User a")
    assert not (tmp_path / "ran").exists()


def test_include_by_pattern(tmp_path: Path) -> None:
    """Included files are read in order, inside the block that includes them."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "1.conf").write_text("Port 2222\n")
    (tmp_path / "d" / "2.conf").write_text("Port 3333\nUser a\n")
    assert of(tmp_path, "Host web1\n Include d/*.conf\n Port 4444") == Options(port=2222, user="a")
    assert of(tmp_path, "Host web2\n Include d/*.conf") == Options()


def test_host_block_in_an_included_file_ends_with_it(tmp_path: Path) -> None:
    """What follows the Include belongs to the block that it stands in."""
    (tmp_path / "more").write_text("Host other\n Port 2222\n")
    assert of(tmp_path, "Include more\nUser a") == Options(user="a")


def test_configuration_that_others_may_write(tmp_path: Path) -> None:
    """Refused, as OpenSSH does."""
    path = tmp_path / "config"
    path.write_text("User a")
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="written by others"):
        read(str(path), "web1")


def test_configuration_that_is_missing(tmp_path: Path) -> None:
    """Asked for and not there is an error."""
    with pytest.raises(ConfigError, match="cannot be read"):
        read(str(tmp_path / "none"), "web1")


def test_says_what_openssh_says(tmp_path: Path) -> None:
    """`ssh -G` reads the same file to the same values."""
    text = (
        "Host web?\n HostName %h.example\n Port 2222\nMatch host web1.example\n User deploy\n"
        "Host * !web2\n ProxyJump ops@bastion:2200\n IdentityFile /keys/%r-%n\n Port 1\n UserKnownHostsFile /a /b\n"
    )
    mine = of(tmp_path, text)
    argv = [need_program("ssh"), "-G", "-F", str(tmp_path / "config"), "web1"]
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    theirs = dict(line.split(" ", 1) for line in said.splitlines())
    assert mine.address == theirs["hostname"]
    assert str(mine.port) == theirs["port"]
    assert mine.user == theirs["user"]
    assert mine.jump == theirs["proxyjump"]
    assert " ".join(mine.known_hosts) == theirs["userknownhostsfile"]
    assert mine.key_files == (theirs["identityfile"].replace("%r", "deploy").replace("%n", "web1"),)


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"])))
def test_reads_anything_or_refuses_it(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """No text makes the reader fail otherwise."""
    try:
        of(tmp_path_factory.mktemp("config"), text)
    except ConfigError:
        return
