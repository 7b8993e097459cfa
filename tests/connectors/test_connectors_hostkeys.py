"""Files with the keys of hosts: read, asked, added to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kxflow.connectors import hostkeys
from kxflow.connectors.hostkeys import Book, accept, book, fingerprint, name_of, parse, read

ONE, TWO, THREE = (base64.b64encode(bytes([i]) * 20).decode() for i in range(3))


def blob(text: str) -> bytes:
    """A key in wire form."""
    return base64.b64decode(text)


def of(text: str) -> Book:
    """A file with this text."""
    return book(parse(text, "known_hosts"))


def hashed(name: str) -> str:
    """A name as `HashKnownHosts` writes it."""
    salt = b"s" * 20
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("names", "address", "port", "verdict"),
    [
        ("web1", "web1", 22, "known"),
        ("WEB1", "web1", 22, "known"),
        ("web1", "Web1", 22, "known"),
        ("web2,web1,10.0.0.1", "10.0.0.1", 22, "known"),
        ("web*", "web1", 22, "known"),
        ("we?1", "web1", 22, "known"),
        ("web*,!web1", "web1", 22, "unknown"),
        ("!web1,web*", "web1", 22, "unknown"),
        ("web2", "web1", 22, "unknown"),
        ("web1.example", "web1", 22, "unknown"),
        ("webXexample", "web.example", 22, "unknown"),
        ("[web1]:2222", "web1", 2222, "known"),
        ("[web1]:2222", "web1", 22, "unknown"),
        ("[web1]:2222", "web1", 2223, "unknown"),
        ("[web*]:2222", "web1", 2222, "known"),
        ("web1", "web1", 2222, "known"),
        (",,web2", "web1", 22, "unknown"),
        (hashed("web1"), "web1", 22, "known"),
        (hashed("web1"), "web2", 22, "unknown"),
        (hashed("[web1]:2222"), "web1", 2222, "known"),
        ("|1|not base64|x", "web1", 22, "unknown"),
        ("|2|AAAA|AAAA", "web1", 22, "unknown"),
    ],
)
def test_names_match_as_in_openssh(names: str, address: str, port: int, verdict: str) -> None:
    """Plain, patterned, negated, bracketed and hashed names."""
    known = of(f"{names} ssh-ed25519 {ONE}\n").of(address, port)
    assert known.judge(blob(ONE)) == verdict


def test_another_key_of_a_known_host_has_changed() -> None:
    """Unknown and changed are told apart, also when the new key is of another type."""
    known = of(f"web1 ssh-ed25519 {ONE}\n").of("web1", 22)
    assert known.judge(blob(TWO)) == "changed"
    assert of("").of("web1", 22).judge(blob(TWO)) == "unknown"


def test_key_of_the_address_alone_does_not_speak_for_another_port() -> None:
    """Behind another port another server may stand: its own key is unknown, not changed."""
    known = of(f"web1 ssh-ed25519 {ONE}\n").of("web1", 2222)
    assert known.judge(blob(TWO)) == "unknown"


def test_key_of_the_port_goes_before_that_of_the_address() -> None:
    """Where both are known, only the port's own key counts."""
    known = of(f"web1 ssh-ed25519 {ONE}\n[web1]:2222 ssh-ed25519 {TWO}\n").of("web1", 2222)
    assert known.judge(blob(ONE)) == "changed"
    assert known.judge(blob(TWO)) == "known"


@pytest.mark.parametrize("port", [22, 2222])
def test_revoked_key_is_never_known(port: int) -> None:
    """A revocation holds over an entry that accepts the key, whatever the port."""
    lines = f"web1,[web1]:2222 ssh-ed25519 {ONE}\n@revoked * ssh-ed25519 {ONE}\n"
    assert of(lines).of("web1", port).judge(blob(ONE)) == "revoked"


def test_authority_is_no_key_of_a_host() -> None:
    """A certificate authority's key is not accepted as the host's own."""
    known = of(f"@cert-authority *.example ssh-ed25519 {ONE}\n").of("a.example", 22)
    assert known.judge(blob(ONE)) == "unknown"
    assert [each.blob for each in known.authorities] == [blob(ONE)]


def test_entry_knows_its_file_and_line() -> None:
    """Comments, blank and unreadable lines count, and are passed over."""
    text = f"# a\n\nbroken\n@marker web1 ssh-ed25519 {TWO}\nweb1 ssh-ed25519 %%%\nweb1 ssh-ed25519 {ONE} note\r\n"
    entries = list(parse(text, "file"))
    assert [(each.where, each.blob) for each in entries] == [("file:6", blob(ONE))]


@given(st.text())
def test_parse_reads_anything(text: str) -> None:
    """No line makes the reader fail."""
    book(parse(text)).of("web1", 2222).judge(b"key")


@given(st.binary(min_size=1, max_size=60), st.sampled_from([22, 2222]))
def test_fingerprint_is_that_of_ssh(data: bytes, port: int) -> None:
    """Base64 of SHA-256 without padding; and what is added is found again, port and all."""
    assert fingerprint(data).startswith("SHA256:")
    assert len(fingerprint(data)) == 7 + 43
    line = f"{name_of('web1', port)} x {base64.b64encode(data).decode()}\n"
    assert of(line).of("web1", port).judge(data) == "known"


def test_accept_adds_an_unknown_key_once(tmp_path: Path) -> None:
    """The file is made for its owner only; a key that is there is not added again."""
    path = tmp_path / "ssh" / "known_hosts"
    assert accept([str(path)], "web1", 2222, "ssh-ed25519", blob(ONE)) == "unknown"
    assert accept([str(path)], "web1", 2222, "ssh-ed25519", blob(ONE)) == "known"
    assert path.read_text() == f"[web1]:2222 ssh-ed25519 {ONE}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_accept_leaves_a_changed_key_alone(tmp_path: Path) -> None:
    """A second key for the same host is not written."""
    path = tmp_path / "known_hosts"
    accept([str(path)], "web1", 22, "ssh-ed25519", blob(ONE))
    assert accept([str(path)], "web1", 22, "ssh-ed25519", blob(TWO)) == "changed"
    assert TWO not in path.read_text()


def test_accept_looks_in_every_file(tmp_path: Path) -> None:
    """What the second file knows is not written to the first."""
    first, second = tmp_path / "a", tmp_path / "b"
    second.write_text(f"web1 ssh-ed25519 {ONE}\n")
    assert accept([str(first), str(second)], "web1", 22, "ssh-ed25519", blob(TWO)) == "changed"
    assert first.read_text() == ""


def test_accept_ends_an_unfinished_line_first(tmp_path: Path) -> None:
    """A file without a newline at its end loses no entry."""
    path = tmp_path / "known_hosts"
    path.write_text(f"web1 ssh-ed25519 {ONE}")
    accept([str(path)], "web2", 22, "ssh-ed25519", blob(TWO))
    assert path.read_text() == f"web1 ssh-ed25519 {ONE}\nweb2 ssh-ed25519 {TWO}\n"


def test_accept_wants_a_file_that_remembers() -> None:
    """`/dev/null` as the file would accept anybody, each time anew."""
    with pytest.raises(OSError, match="no regular file"):
        accept(["/dev/null"], "web1", 22, "ssh-ed25519", blob(ONE))


def test_two_that_accept_at_once_leave_one_line(tmp_path: Path) -> None:
    """The lock makes the second see what the first wrote; of different keys one wins, the other has changed."""
    path = str(tmp_path / "known_hosts")
    verdicts: list[str] = []
    keys = [blob(ONE), blob(TWO), blob(THREE)] * 8
    threads = [
        threading.Thread(target=lambda key=key: verdicts.append(accept([path], "web1", 22, "ssh-ed25519", key)))
        for key in keys
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(Path(path).read_text().splitlines()) == 1
    assert sorted(verdicts) == ["changed"] * 16 + ["known"] * 7 + ["unknown"]


def test_reads_what_ssh_keygen_wrote(tmp_path: Path) -> None:
    """A file hashed by ssh-keygen, with a real key and its fingerprint."""
    key, known = tmp_path / "key", tmp_path / "known_hosts"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = Path(f"{key}.pub").read_text().split()
    known.write_text(f"web1 {public[0]} {public[1]}\n[web2]:2222 {public[0]} {public[1]}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known)], check=True, capture_output=True)
    assert "web1" not in known.read_text()
    listed = subprocess.run(["ssh-keygen", "-lf", f"{key}.pub"], check=True, capture_output=True, text=True).stdout
    held = read([str(known), str(tmp_path / "missing")])
    assert held.of("web1", 22).judge(blob(public[1])) == "known"
    assert held.of("web2", 2222).judge(blob(public[1])) == "known"
    assert fingerprint(blob(public[1])) == listed.split()[1]


def test_stamp_changes_with_the_file(tmp_path: Path) -> None:
    """So that a file is read again only when it changed."""
    path = tmp_path / "known_hosts"
    seen = [hostkeys.stamp([str(path)])]
    path.write_text("a")
    seen.append(hostkeys.stamp([str(path)]))
    path.write_text("ab")
    seen.append(hostkeys.stamp([str(path)]))
    assert len(set(seen)) == 3
    assert hostkeys.stamp([str(path)]) == seen[-1]
