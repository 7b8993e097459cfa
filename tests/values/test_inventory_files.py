"""What `load` does with the disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kxflow.values.cluster import Cluster
from kxflow.values.errors import InventoryError, Problem
from kxflow.values.host import Ssh
from kxflow.values.inventory.outside import SIZE
from kxflow.values.secret import Secret

INI = "[web]\nweb1\n"


def _problem(path: Path) -> Problem:
    with pytest.raises(InventoryError) as caught:
        Cluster.load(path)
    (problem,) = caught.value.problems
    assert problem.remedy
    return problem


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["hosts", "inventory", "fleet.ini", "fleet.cfg", "FLEET.INI"])
def test_ini_is_what_has_no_suffix_or_says_so(name: str, tmp_path: Path) -> None:
    """Ansible's habits."""
    assert Cluster.load(_write(tmp_path / name, INI)).names == ("web1",)


@pytest.mark.parametrize("name", ["fleet.yml", "fleet.yaml"])
def test_yaml_is_what_says_so(name: str, tmp_path: Path) -> None:
    """By either suffix; the path may be text."""
    assert Cluster.load(str(_write(tmp_path / name, "all: {hosts: {web1: }}"))).names == ("web1",)


def test_an_unknown_suffix_is_a_problem(tmp_path: Path) -> None:
    """The remedy lists the formats."""
    problem = _problem(_write(tmp_path / "hosts.json", "{}"))
    assert problem.where == "hosts.json"
    assert "'.json'" in problem.what
    assert "*.toml" in problem.remedy


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    """It names the whole path."""
    problem = _problem(tmp_path / "hosts.toml")
    assert problem.where == "hosts.toml"
    assert problem.what == f"there is no file {tmp_path / 'hosts.toml'}"


def test_a_directory_is_a_problem(tmp_path: Path) -> None:
    """Ansible would read all in it; here one file is named."""
    assert _problem(tmp_path).what == f"{tmp_path} is a directory"


def test_a_pipe_is_a_problem_and_not_waited_for(tmp_path: Path) -> None:
    """Nobody writes it."""
    os.mkfifo(tmp_path / "hosts")
    assert _problem(tmp_path / "hosts").what.endswith("is not a regular file")


def test_a_path_that_cannot_be_is_a_problem() -> None:
    """A NUL byte in it."""
    assert "cannot be a path" in _problem(Path("a\0b.toml")).what


def test_a_file_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    """The group may."""
    path = _write(tmp_path / "hosts.toml", '[hosts]\na = "x"')
    path.chmod(0o666)
    problem = _problem(path)
    assert "can be written by every user" in problem.what
    assert "chmod o-w" in problem.remedy
    path.chmod(0o664)
    assert len(Cluster.load(path)) == 1


def test_a_folder_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    """Who can put another file there decides what it says; the folder of what a link leads to counts as well."""
    path = _write(tmp_path / "open" / "hosts", INI)
    (tmp_path / "link").symlink_to(path)
    assert Cluster.load(tmp_path / "link").names == ("web1",)
    (tmp_path / "open").chmod(0o777)
    for each in (path, tmp_path / "link"):
        problem = _problem(each)
        assert problem.what == f"{each} is in a folder that every user of this machine can write: {path.parent}"
        assert "chmod o-w" in problem.remedy
    key = _write(tmp_path / "hosts.toml", 'hosts.a = "x"\nconnect.password = {file = "open/hosts"}\n')
    assert "in a folder that every user" in _problem(key).what


def test_in_a_folder_like_tmp_it_counts_whose_file_it_is(tmp_path: Path) -> None:
    """One's own and root's is taken; another's may be a trap, and so may another's link to one's own."""
    if os.geteuid() != 0:
        pytest.skip("not run: only root can make a file another's")
    sticky = tmp_path / "tmp"
    path = _write(sticky / "hosts", INI)
    link = sticky / "link"
    link.symlink_to(_write(tmp_path / "hosts", INI))
    sticky.chmod(0o1777)
    assert Cluster.load(path).names == Cluster.load(link).names == ("web1",)
    os.chown(path, 65534, -1)
    os.chown(link, 65534, -1, follow_symlinks=False)
    for each in (path, link):
        assert _problem(each).what == f"{each} is another user's file in {sticky}, where every user can put one"


def test_files_beside_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand files of four MiB would not fit into memory."""
    monkeypatch.setattr("kxflow.values.inventory.outside.SIDE_SIZE", 1 << 20)
    for number in range(3):
        _write(tmp_path / "host_vars" / f"web{number}.yml", f"x: {'y' * 400_000}")
    problem = _problem(_write(tmp_path / "hosts", "web1"))
    assert (problem.where, problem.what) == ("host_vars", "more than 1 MiB")


@pytest.mark.parametrize("name", ["hosts.toml", "hosts", "hosts.yml"])
def test_a_large_file_is_refused(name: str, tmp_path: Path) -> None:
    """Unread beyond the limit."""
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(SIZE + 1)
    assert _problem(path).what == f"{path} is larger than 4096 KiB"


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder, while this process has the rights of a user without any: root could read everything."""
    with tempfile.TemporaryDirectory() as folder:
        root = os.geteuid() == 0
        if root:
            os.chown(folder, 65534, -1)
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)


def test_files_that_may_not_be_read_are_problems(nobody: Path) -> None:
    """The inventory as well as a key."""
    path = _write(nobody / "hosts.toml", 'hosts.a = "x"\nconnect.key_files = "key"\n')
    _write(nobody / "key", "").chmod(0)
    problem = _problem(path)
    assert (problem.where, problem.what) == (
        "hosts.toml:2",
        f"key_files: {nobody / 'key'} cannot be read: permission denied",
    )
    path.chmod(0)
    assert _problem(path).what == f"{path} cannot be read: permission denied"


def test_key_files_are_looked_at_relative_to_the_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to the working directory; a missing one, a directory and a dangling link are told, each at its line."""
    _write(tmp_path / "inv" / "keys" / "good", "key")
    (tmp_path / "inv" / "keys" / "dir").mkdir()
    (tmp_path / "inv" / "keys" / "dangling").symlink_to("nowhere")
    _write(tmp_path / "keys" / "elsewhere", "key")
    monkeypatch.chdir(tmp_path)
    path = _write(tmp_path / "inv" / "hosts.toml", 'hosts.a = "x"\nconnect.key_files = "keys/good"\n')
    assert Cluster.load(Path("inv/hosts.toml")).connect == Ssh(key_files=str(tmp_path / "inv" / "keys" / "good"))
    names = ["good", "elsewhere", "dir", "dangling"]
    _write(path, 'hosts.a = "x"\nconnect.key_files = [\n' + "".join(f'"keys/{name}",\n' for name in names) + "]\n")
    with pytest.raises(InventoryError) as caught:
        Cluster.load(path)
    assert [each.where for each in caught.value.problems] == ["hosts.toml:4", "hosts.toml:5", "hosts.toml:6"]


def test_secrets_come_from_the_environment_and_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line end of the file is not part of it."""
    monkeypatch.setenv("KX_TEST_PASSWORD", "from-env")
    _write(tmp_path / "phrase", "from file \n")
    text = 'hosts.a = "x"\nconnect = {password = {env = "KX_TEST_PASSWORD"}, passphrase = {file = "phrase"}}'
    way = Cluster.load(_write(tmp_path / "hosts.toml", text)).connect
    assert way == Ssh(password=Secret("from-env"), passphrase=Secret("from file "))


def test_files_beside_are_read_for_ansible_only(tmp_path: Path) -> None:
    """A link to the inventory looks beside the link."""
    _write(tmp_path / "group_vars" / "all.yml", "x: 1")
    _write(tmp_path / "host_vars" / "web1.example.org", "y: 2")
    fleet = Cluster.load(_write(tmp_path / "hosts", "web1.example.org"))
    assert fleet.vars_of(fleet.hosts[0]) == {"x": 1, "y": 2}
    ours = _write(tmp_path / "hosts.toml", 'hosts.web1 = "x"')
    with pytest.warns(UserWarning, match=r"hosts.toml: group_vars/ beside it is not read; put variables into") as told:
        assert not Cluster.load(ours).vars
    assert told[0].filename == __file__


def test_files_beside_are_looked_at_as_closely(tmp_path: Path) -> None:
    """Whoever may write them decides as much as who writes the inventory."""
    _write(tmp_path / "group_vars" / "all.yml", "x: 1").chmod(0o646)
    _write(tmp_path / "host_vars" / "nobody.yml", ": not read : [")
    problem = _problem(_write(tmp_path / "hosts", "web1"))
    assert problem.where == "group_vars/all.yml"
    assert "can be written by every user" in problem.what
