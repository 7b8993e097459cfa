"""Mistakes that a type checker finds in actions and steps: by code of mypy; pyright finds them too."""

from __future__ import annotations

import kxflow as kx
from kxflow import Action, Secret, Step

a_version: Action[int] = kx.cmd("uname", "-r")  # E: assignment
another: Step[str] = kx.command("cores", "nproc", parse=int)  # E: arg-type
kx.cmd("login", Secret("12345678"))  # E: call-overload
kx.cmd("login", tiemout=5)  # E: call-overload
kx.shell(["ls", "-l"])  # E: call-overload
kx.shell("ls", parse=lambda: 1)  # E: arg-type, misc
kx.cmd("ls", env={"PORT": 80})  # E: dict-item
kx.on_controller(lambda ctx: 1)  # E: arg-type, misc
kx.both("ls")  # E: arg-type
kx.command("cores")  # E: call-overload
kx.test("true", undone=1)  # E: arg-type
Secret(b"12345678").reveal().decode()  # E: attr-defined


@kx.step  # E: arg-type
def no_action(ctx: kx.HostContext) -> int:
    """It gives something else."""
    return 1


@kx.step  # E: arg-type
def no_context() -> kx.Action:
    """It takes none."""
    return kx.cmd("true")


@kx.step  # E: arg-type
async def not_pure(ctx: kx.HostContext) -> kx.Action:
    """It is async."""
    return kx.cmd("true")


@kx.step
def kernel(ctx: kx.HostContext) -> kx.Action[int]:
    """It promises a number and gives an output."""
    return kx.cmd("uname", "-r")  # E: return-value


kernel.retry("3")  # E: arg-type
kernel.retry(3, 1.0)  # E: call-arg
kernel.become(user=0)  # E: arg-type
kernel.rescue(kx.cmd("true"))  # E: arg-type
kernel.on("web1")  # E: arg-type
kernel.name = "other"  # E: misc
