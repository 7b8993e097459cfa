"""Mistakes in inputs declared at the decorator: mypy alone compares names and types there."""

from __future__ import annotations

from collections.abc import Mapping

import kxflow as kx
from kxflow import Secret

token = kx.command("token", "cat /token", parse=Secret)
port = kx.command("port", "cat /port", parse=int)


@kx.step(token=kx.from_one(token))  # M: arg-type
def wrong_type(ctx: kx.HostContext, token: str) -> kx.Action:
    """The value is a Secret."""
    return kx.cmd("join", token)


@kx.step(tokne=kx.from_one(token))  # M: arg-type
def wrong_name(ctx: kx.HostContext, token: Secret) -> kx.Action:
    """Misspelt."""
    return kx.cmd("join", env={"TOKEN": token})


@kx.step(port=kx.from_here(port))  # M: arg-type
def missing(ctx: kx.HostContext, port: int, token: Secret) -> kx.Action:
    """Nothing gives the token."""
    return kx.cmd("join", port, env={"TOKEN": token})


@kx.step()  # M: arg-type
def missing_too(ctx: kx.HostContext, token: Secret) -> kx.Action:
    """With parentheses."""
    return kx.cmd("join", env={"TOKEN": token})


@kx.step  # E: arg-type
def missing_all(ctx: kx.HostContext, token: Secret) -> kx.Action:
    """Without."""
    return kx.cmd("join", env={"TOKEN": token})


@kx.step(token=kx.from_one(token), port=kx.from_here(port))  # M: arg-type
def too_many(ctx: kx.HostContext, token: Secret) -> kx.Action:
    """It does not take the port."""
    return kx.cmd("join", env={"TOKEN": token})


@kx.step(ports=kx.from_all(port))  # M: arg-type
def one_of_all(ctx: kx.HostContext, ports: int) -> kx.Action:
    """From all hosts a mapping comes."""
    return kx.cmd("join", ports)


@kx.step(ports=kx.from_all(port))  # M: arg-type
def can_be_written(ctx: kx.HostContext, ports: dict[str, int]) -> kx.Action:
    """It is frozen, so no dict."""
    return kx.cmd("join", *ports.values())


@kx.step(port=kx.from_one(port))
def right(ctx: kx.HostContext, port: int) -> kx.Action[str]:
    """It gives a text."""
    return kx.value(str(port))


@kx.step(text=kx.from_here(right))  # M: arg-type
def chained(ctx: kx.HostContext, text: Mapping[str, str]) -> kx.Action:
    """What a step with inputs gives is known too."""
    return kx.cmd("echo", *text)


@kx.step(kx.from_one(token))  # E: call-overload, untyped-decorator
def by_place(ctx: kx.HostContext, token: Secret) -> kx.Action:
    """Inputs are given by name."""
    return kx.cmd("join", env={"TOKEN": token})


kx.from_one("token")  # E: arg-type
kx.from_all(token, missing="skip")  # E: arg-type
kx.from_one(token, "db1")  # E: arg-type
kx.from_here(kx.cmd("cat", "/token"))  # E: arg-type
