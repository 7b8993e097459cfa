"""What builders of actions and steps give: T is what `parse` returns, else `Output`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, assert_type

import kxflow as kx
from kxflow import Action, Output, Secret, Step


class Version:
    """A type of the user's."""

    def __init__(self, text: str) -> None:
        self.text = text


async def fetch() -> bytes:
    """A function that is async."""
    return b""


def count() -> int:
    """A function that is not."""
    return 1


assert_type(kx.cmd("uname", "-r"), Action[Output])
assert_type(kx.cmd("uname", "-r", parse=Version), Action[Version])
assert_type(kx.cmd(Path("/bin/nproc"), 1, b"x", parse=int, timeout=5, env={"A": Secret("12345678")}), Action[int])
assert_type(kx.shell("nproc"), Action[Output])
assert_type(kx.shell("nproc", parse=float, check="test -e /x", value="cat /x"), Action[float])
assert_type(kx.shell("cat /x.json", parse=lambda text: json.loads(text)["a"]), Action[Any])
assert_type(kx.on_controller(count), Action[int])
assert_type(kx.on_controller(fetch), Action[bytes])
assert_type(kx.on_controller(lambda: str(count())), Action[str])
assert_type(kx.value(count()), Action[int])
assert_type(kx.value(Secret("12345678")), Action[Secret])

assert_type(kx.command("kernel", "uname -r"), Step[Output])
assert_type(kx.command("kernel", ["uname", "-r"], parse=Version), Step[Version])
assert_type(
    kx.command("token", "cat /token", parse=Secret, sensitive=True, check=kx.test("x", undone=(1, 2))), Step[Secret]
)


@kx.step
def kernel(ctx: kx.HostContext) -> kx.Action[Version]:
    """A function without inputs, without parentheses."""
    return kx.cmd("uname", "-r", parse=Version)


@kx.step()
def cores(ctx: kx.HostContext) -> kx.Action[int]:
    """With parentheses."""
    return kx.cmd("nproc", parse=int) if ctx.vars.get("cores") is None else kx.value(1)


@kx.step
def built(ctx: kx.HostContext) -> kx.Step[int]:
    """A step with a constant action, built per host."""
    return kx.command("cores", "nproc", parse=int)


@kx.step
def bare(ctx: kx.HostContext) -> kx.Action:
    """An action of any value."""
    return kx.both(kx.cmd("true"), kx.shell("true")) if ctx.host.roles else kx.skip("no role")


assert_type(kernel, Step[Version])
assert_type(cores, Step[int])
assert_type(built, Step[int])
assert_type(bare, Step[Any])
assert_type(kx.step(lambda ctx: kx.cmd("echo", ctx.host.name)), Step[Output])
assert_type(kx.step(lambda ctx: kx.shell("nproc", parse=int)), Step[int])
assert_type(kx.step(lambda _: kx.value("x")), Step[str])
assert_type(kx.step(lambda _: kx.command("cores", "nproc", parse=int)), Step[int])

# Transforms keep it.
assert_type(kernel.retry(3, delay=1).timeout(5).become("root").when(lambda ctx: True).named("k"), Step[Version])
assert_type(cores.rescue(bare).ignore_errors().ignore_unreachable().sensitive().detached().on(kx.all_hosts), Step[int])
assert_type(kernel.action(kx.context("web1")), Action[Version])
assert_type(kx.step(lambda _: kx.cmd("true")).named("lambda").retry(1), Step[Output])
