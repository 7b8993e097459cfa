"""What cannot be meant: exit status 2, words that say what, where and what to do, and nothing is run."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Final

import pytest

from tests.cli.program import Program, call

MARKING: Final = """
import kxflow as kx

def build(*tasks):
    mark = kx.command("mark", "echo ran > ran")
    return kx.pipeline("p", kx.module("m", kx.task("t", mark)))

p = build()
step = kx.command("mark", "echo ran > ran")
needs = lambda name: p

def gives_none():
    pass

def raises():
    return {}["no such key"]
"""

RUN: Final = "run p.py -i hosts.toml"

CASES: Final = {
    # the program
    "nonsense": ("No such command 'nonsense'", "--help"),
    "--nonsense": ("No such option", "--nonsense"),
    # FILE
    "run": ("Missing argument 'FILE[:NAME]'",),
    "run nix.py -i hosts.toml": ("nix.py: there is no such file",),
    "run nix.py:p -i hosts.toml": ("nix.py: there is no such file",),
    "run folder -i hosts.toml": ("folder: this is no file: name a Python file",),
    "run pipe -i hosts.toml": ("pipe: this is no file",),
    "run syntax.py -i hosts.toml": ("syntax.py: it is no valid Python", 'syntax.py", line 3', "def oops(:"),
    "run raises.py -i hosts.toml": ("raises.py: it raised", 'raises.py", line 4', "ZeroDivisionError"),
    "run exits.py -i hosts.toml": ("exits.py: it raised", "SystemExit: 0"),
    "run kx.py -i hosts.toml": ("kx.py: it raised", 'kx.py", line 2', "task name ''", "give a short text"),
    "run nul.py -i hosts.toml": ("nul.py: it ", "null bytes"),  # raised or told as a SyntaxError, by version
    "run latin.py -i hosts.toml": ("latin.py: it is no valid Python", "utf-8"),
    "run none.py -i hosts.toml": ("none.py: it has no pipeline", "pipeline("),
    "run several.py -i hosts.toml": ("which pipeline? Write several.py:NAME; its pipelines: one, two",),
    "run several.py:three -i hosts.toml": ("'three' is no pipeline", "its pipelines: one, two"),
    "run p.py:kx -i hosts.toml": ("'kx' is no pipeline",),
    "run p.py:step -i hosts.toml": ("'step' is no pipeline, and no function without arguments that gives one",),
    "run p.py:needs -i hosts.toml": ("'needs' is no pipeline, and no function without arguments that gives one",),
    "run p.py:gives_none -i hosts.toml": ("gives_none() gave a NoneType, and no pipeline; its pipelines: p",),
    "run p.py:raises -i hosts.toml": ("p.py: it raised", "in raises", "KeyError: 'no such key'"),
    "check nix.py": ("nix.py: there is no such file",),
    "check several.py": ("which pipeline?",),
    # -i
    "run p.py": ("p.py has no cluster of its own: name an inventory with -i",),
    "run fleets.py": ("which cluster, cluster or fleet? Name an inventory with -i",),
    "run p.py -i": ("'-i' requires an argument",),
    "run p.py -i nix.toml": ("nix.toml: there is no file nix.toml", "check the path"),
    "run p.py -i p.py": ("p.py: the suffix '.py' says no format of an inventory", "name it *.toml"),
    "run p.py -i typo.toml": ("typo.toml:2: unknown key 'adress'", "did you mean 'address'?"),
    "run p.py -i empty.toml": ("empty.toml:1: the inventory has no hosts", "add [hosts]"),
    "check p.py -i nix.toml": ("nix.toml: there is no file nix.toml",),
    "exec all -- touch ran": ("Missing option '-i'",),
    "exec all -i nix.toml -- touch ran": ("nix.toml: there is no file nix.toml",),
    # --limit, SEL
    f"{RUN} --limit nix": ("'nix' matches no host; roles: db, web; hosts: db1, web1, web2",),
    f"{RUN} --limit ''": ("selector ''", "for example: role:db & ~host:db1"),
    f"{RUN} --limit 'role:web &'": ("selector 'role:web &'", "for example"),
    f"{RUN} --limit 'role:web & role:db'": ("matches no host",),
    "exec role:nix -i hosts.toml -- touch ran": ("'role:nix' matches no host",),
    "exec '(web1' -i hosts.toml -- touch ran": ("selector '(web1'",),
    "exec": ("Missing argument 'SEL'",),
    # --only
    f"{RUN} --only nix": ("pipeline 'p' has no module or task 'nix': modules: m",),
    f"{RUN} --only m/nix": ("no module or task 'm/nix'",),
    # --set
    f"{RUN} --set port": ("'--set': 'port' is not k=v", "--set port=8080"),
    f"{RUN} --set =8080": ("'--set': '=8080' is not k=v",),
    f"{RUN} --set": ("'--set' requires an argument",),
    # --log
    f"{RUN} --log no/such/folder/run.ndjson": ("is in no folder that exists: make the folder first",),
    f"{RUN} --log folder": ("is a folder: name a file",),
    f"{RUN} --log /dev/full": ("the log /dev/full is no plain file",),
    f"{RUN} --log pipe": ("is no plain file",),
    f"{RUN} --log link": ("link",),
    f"{RUN} --log p.py": ("nothing can be written behind the log", "p.py"),
    # --concurrency, --timeout
    f"{RUN} --concurrency 0": ("'--concurrency': 0 is not in the range x>=1",),
    f"{RUN} --concurrency many": ("'--concurrency': 'many' is not a valid integer",),
    "exec all -i hosts.toml --timeout 0 -- touch ran": ("'--timeout': 0.0 is not in the range x>0",),
    "exec all -i hosts.toml --timeout nan -- touch ran": ("timeout=nan", "give a positive number of seconds"),
    "exec all -i hosts.toml --timeout soon -- touch ran": ("'--timeout': 'soon' is not a valid float",),
    # COMMAND
    "exec all -i hosts.toml --": ("Missing argument 'COMMAND...'",),
    "exec all -i hosts.toml -- ''": ("COMMAND is empty: write it after --",),
    "exec all -i hosts.toml touch -a ran": ("No such option", "-a", "Options of COMMAND stand after --"),
    # show
    "show": ("Missing argument 'LOG'",),
    "show nix.ndjson": ("nix.ndjson: No such file or directory", "kxflow run --log"),
    "show folder": ("folder: Is a directory",),
    "show p.py": ("p.py: a record is damaged at byte 0", "name a log as kxflow wrote it"),
    "show empty.toml": ("empty.toml: ", "no log of kxflow"),
    "show pipe": ("pipe: is no plain file",),
    "show nix.ndjson --status Broken": ("'--status': 'Broken' is not one of",),
    # demo
    "demo --hosts 1": ("'--hosts': 1 is not in the range",),
    "demo --hosts 1000": ("'--hosts': 1000 is not in the range",),
    "demo nonsense": ("unexpected extra argument",),
}


@pytest.fixture
def files(here: Program) -> Program:
    """Files of every bad kind, and a good one."""
    here.file("p.py", MARKING)
    here.file("syntax.py", "import kxflow\n\ndef oops(:\n    pass\n")
    here.file("raises.py", "def half():\n    return 1 / 0\n\nhalf()\n")
    here.file("exits.py", "raise SystemExit(0)\n")
    here.file("kx.py", 'import kxflow as kx\nkx.task("")\n')
    here.file("nul.py", "p = '\0'\n")
    (here.folder / "latin.py").write_bytes(b"name = '\xe9'\n")
    here.file("none.py", "import kxflow\n")
    here.file("several.py", MARKING + "\none, two, p = build(), build(), None\n")
    here.file("fleets.py", MARKING + "\ncluster, fleet = kx.Cluster([kx.Host('a')]), kx.Cluster([kx.Host('b')])\n")
    here.file("typo.toml", '[hosts]\nweb1 = {adress = "10.0.0.11"}\n')
    here.file("empty.toml", "[hosts]\n")
    (here.folder / "folder").mkdir()
    (here.folder / "link").symlink_to("elsewhere")
    os.mkfifo(here.folder / "pipe")
    return here


@pytest.mark.parametrize("line", CASES)
def test_what_cannot_be_meant_is_refused_in_words_and_nothing_is_run(files: Program, line: str) -> None:
    """Exit status 2; stdout stays empty; no traceback through our own files; no step and no log."""
    before = {path.name for path in files.folder.iterdir()}
    done = call(*shlex.split(line))
    assert done.code == 2
    for words in CASES[line]:
        assert words in done.err
    assert done.out == ""
    assert f"{os.sep}kxflow{os.sep}flow" not in done.err
    assert f"{os.sep}kxflow{os.sep}services" not in done.err
    assert {path.name for path in files.folder.iterdir()} == before


def test_a_demo_that_cannot_record_leaves_nothing(files: Program) -> None:
    """Its hosts are started before its log is opened, and they are ended."""
    done = call("demo", "--hosts", "2", "--log", "folder")
    assert done.code == 2
    assert "is a folder: name a file" in done.err
    assert "Look at it" not in done.out


def test_the_good_file_among_them_runs(files: Program) -> None:
    """So the refusals above are of what was bad in them."""
    assert call("run", "p.py", "-i", "hosts.toml").code == 0
    assert Path("ran").read_text("ascii") == "ran\n"


@pytest.mark.parametrize("command", ["run", "check", "exec", "show", "demo"])
def test_every_option_of_every_command_refuses_to_be_the_last_word_without_a_value(
    files: Program, command: str
) -> None:
    """Each option that takes a value says so by its name."""
    from kxflow.cli import cli

    options = [each for each in cli.commands[command].params if each.param_type_name == "option"]
    names = [each.opts[-1] for each in options if not getattr(each, "is_flag", False)]
    assert names or command == "check"
    for name in names:
        done = call(command, name)
        assert done.code == 2
        assert f"Option '{name}' requires an argument" in done.err
