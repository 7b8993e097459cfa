"""Arguments of ssh: taken over, harmless, or a problem; none is dropped in silence."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from kxflow.values.host import Host, Ssh
from kxflow.values.inventory import Outside
from kxflow.values.inventory.ssh_args import parse

OUTSIDE = Outside("/f", {}, check=lambda _: None)

TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("-p 23", {"port": 23}),
    ("-p23 -lops", {"port": 23, "user": "ops"}),
    ("-qp 23", {"port": 23}),
    ("-o Port=23 -o Port=24", {"port": 23}),
    ("-oPort=23 -o 'User ops' -o \"IdentityFile = k\"", {"port": 23, "user": "ops", "key_files": ("/f/k",)}),
    ("-i k -i /l", {"key_files": ("/f/k", "/l")}),
    ("-F ssh_config", {"config": "/f/ssh_config"}),
    ("-F none", {}),
    ("-J none -o ProxyCommand=none", {}),
    ("-Jops@gate", {"jump": (Host("gate", connect=Ssh(user="ops")),)}),
    ("-o StrictHostKeyChecking=yes", {}),
    ("-o StrictHostKeyChecking=accept-new", {"accept_new": True}),
    ("-o UserKnownHostsFile='a ~/b'", {"known_hosts": ("/f/a", "~/b")}),
    ("-o IdentitiesOnly=yes", {"agent": False}),
    ("-o IdentitiesOnly=no", {}),
    ("-o ServerAliveInterval=0 -o ConnectTimeout=4", {"connect_timeout": 4.0}),
    ("-C -q -vvv -T -o ControlPersist=60s -o ControlPath=/x -o LogLevel=ERROR -o ForwardAgent=no", {}),
    (
        "-o ProxyCommand='/usr/bin/ssh -o StrictHostKeyChecking=accept-new -J outer -W [%h]:%p gate'",
        {"jump": (Host("outer", connect=Ssh()), Host("gate", connect=Ssh(accept_new=True)))},
    ),
]

REFUSED = [
    ("-A", "-A is not taken over"),
    ("-Y", "-Y is not taken over"),
    ("-L 1:2:3", "-L is not taken over"),
    ("-o ForwardAgent=yes", "'forwardagent' is not taken over"),
    ("-o ProxyUseFdpass=yes", "'proxyusefdpass' is not taken over"),
    ("-o StrictHostKeyChecking=no", "host keys are always checked"),
    ("-o UserKnownHostsFile=/dev/null", "host keys are always checked"),
    ("-o Port=x", "'x' is no whole number"),
    ("-p 0", "port 0 is out of range"),
    ("-l -x", "user '-x' is no login name"),
    ("-J a:b", "jump 'a:b' cannot be read"),
    ("-o ProxyCommand='nc -x proxy %h %p'", "a ProxyCommand other than ssh"),
    ("-o ProxyCommand='ssh gate nc %h %p'", "a ProxyCommand other than ssh"),
    ("-o ProxyCommand='ssh -A -W %h:%p gate'", "-A is not taken over"),
    ('-o "ProxyCommand=ssh \'x"', "a ProxyCommand other than ssh"),
    ("-W other:22", "-W other:22 is not taken over"),
    ("-p", "'' is no whole number"),
    ("-o", "'' is not taken over"),
]


@pytest.mark.parametrize(("text", "fields"), TAKEN)
def test_what_ssh_has_a_word_for_is_taken_over(text: str, fields: dict[str, Any]) -> None:
    """The first of equal options wins, identity files add up; what changes nothing here is left out."""
    taken = parse(shlex.split(text), OUTSIDE)
    assert taken.fields == fields
    assert taken.refused == []
    assert taken.rest == []


@pytest.mark.parametrize(("text", "what"), REFUSED)
def test_what_cannot_be_taken_over_is_a_problem(text: str, what: str) -> None:
    """With a remedy."""
    (problem,) = parse(shlex.split(text), OUTSIDE).refused
    assert what in problem.what
    assert problem.remedy
