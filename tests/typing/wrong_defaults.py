"""Inputs as defaults: mypy and pyright both find these."""

from __future__ import annotations

from collections.abc import Mapping

import kxflow as kx
from kxflow import Secret

token_step = kx.command("token", "cat /token", parse=Secret)


def join(ctx: kx.HostContext, token: str = kx.from_one(token_step)) -> kx.Action:  # E: assignment
    """The value is a Secret."""
    return kx.cmd("join", token)


def count(ctx: kx.HostContext, tokens: Mapping[str, str] = kx.from_all(token_step)) -> kx.Action:  # E: arg-type
    """A mapping of them."""
    return kx.cmd("echo", len(tokens))


def show(ctx: kx.HostContext, token: kx.Output = kx.from_here(token_step)) -> kx.Action:  # E: assignment
    """It is parsed, so no output."""
    return kx.cmd("echo", str(token))


@kx.step  # E: arg-type
def missing(ctx: kx.HostContext, port: int, token: Secret = kx.from_one(token_step)) -> kx.Action:
    """Nothing gives the port."""
    return kx.cmd("join", port, env={"TOKEN": token})
