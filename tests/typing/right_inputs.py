"""Inputs give the value's own type, and are compared with the parameters that take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

import kxflow as kx
from kxflow import Output, Secret, Step

token = kx.command("token", "cat /token", parse=Secret)
port = kx.command("port", "cat /port", parse=int)
kernel = kx.command("kernel", "uname -r")

assert_type(kx.from_here(port), int)
assert_type(kx.from_one(token), Secret)
assert_type(kx.from_one(token, kx.host("db1"), in_task="db/token"), Secret)
assert_type(kx.from_all(kernel), Mapping[str, Output])
assert_type(kx.from_all(port, missing="omit"), Mapping[str, int])


@kx.step(token=kx.from_one(token), ports=kx.from_all(port), mine=kx.from_here(kernel))
def join(ctx: kx.HostContext, token: Secret, ports: Mapping[str, int], mine: Output) -> kx.Action[Output]:
    """Declared at the decorator."""
    return kx.cmd("join", str(mine), max(ports.values()), env={"TOKEN": token})


@kx.step(ports=kx.from_all(port), token=kx.from_one(token))
def in_another_order(ctx: kx.HostContext, token: Secret, ports: Mapping[str, int]) -> kx.Action[int]:
    """Names count, not places."""
    return kx.value(ports[ctx.host.name])


@kx.step(token=kx.from_one(token))
def by_name_only(ctx: kx.HostContext, *, token: Secret) -> kx.Action[Secret]:
    """Behind a star."""
    return kx.value(token)


@kx.step(token=kx.from_one(token), port=kx.from_here(port))
def wider(ctx: kx.HostContext, token: object, port: float, retries: int = 3) -> kx.Action[str]:
    """A wider type than the value's, and a parameter of its own with a default."""
    return kx.value(f"{token}{port}{retries}")


@kx.step
def as_defaults(
    ctx: kx.HostContext, token: Secret = kx.from_one(token), ports: Mapping[str, int] = kx.from_all(port)
) -> kx.Action[int]:
    """Declared as defaults: every checker compares them."""
    return kx.value(ports[ctx.host.name])


assert_type(join, Step[Output])
assert_type(in_another_order, Step[int])
assert_type(by_name_only, Step[Secret])
assert_type(wider, Step[str])
assert_type(as_defaults, Step[int])

# What a step with inputs gives is an input again.
assert_type(kx.from_all(as_defaults), Mapping[str, int])

maybe = join.when(lambda ctx, port: port > 1, port=kx.from_here(port))
assert_type(maybe, Step[Output])
