"""Restart a host, and go on when it is back."""

from __future__ import annotations

from typing import Any, Final, cast

from kxflow.flow.actions import positive_seconds, shell, test
from kxflow.flow.step import Step, check_name
from kxflow.resources.paths import PathLike, remote_path, sh
from kxflow.shell.preamble import dense
from kxflow.values.action import Command, Reboot, clean_text
from kxflow.values.errors import InvalidError

BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"

_OWN: Final = r"""
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then go='systemctl reboot'
elif command -v shutdown >/dev/null 2>&1; then go='shutdown -r now'
elif command -v reboot >/dev/null 2>&1; then go=reboot
else printf 'nothing here restarts it: no systemctl, no shutdown, no reboot\n' >&2; exit 1; fi
"""
# A moment later, so that this side hears that it was ordered.
_GO: Final = r"""
go="sleep 1; $go"
if command -v setsid >/dev/null 2>&1; then setsid sh -c "$go" </dev/null >/dev/null 2>&1 &
else sh -c "$go" </dev/null >/dev/null 2>&1 & fi
"""
_NEEDED: Final = "(eval {text}) >/dev/null 2>&1; kx_r=$?; case $kx_r in 0) exit 1;; 1) exit 0;; *) exit $kx_r;; esac"


def reboot(
    *,
    only_if: str | None = None,
    timeout: float = 600,
    interval: float = 2,
    command: str | None = None,
    boot_id: PathLike = BOOT_ID,
    name: str = "reboot",
) -> Step[None]:
    """Restart the host and wait until it is back: with another boot id, on a new connection. It is one-shot.

    >>> reboot(only_if="test -e /run/reboot-required")
    Step('reboot')

    A host that does not come back in time is Lost, one that is there and did not restart is Failed. Meanwhile nothing
    else is done there. Linux only. It is ordered by `systemctl`, `shutdown` or `reboot`, whichever is there first;
    systemd was proved by restarting clones, the others are not.

    Args:
        only_if: Shell text; the host is restarted where it ends with 0, and the step is Skipped where it ends with 1.
        timeout: Seconds from the order until the host is back.
        interval: Seconds between two tries to reach it.
        command: Shell text that restarts it, run in the background after a second; what the host has, where not given.
        boot_id: File that holds another text after each start.
        name: Of the step.

    Raises:
        InvalidError: A text or a time that cannot be.
    """
    for what, text in (("only_if", only_if), ("command", command)):
        if text is not None:
            clean_text(text, f"reboot: {what}")
            if not text.strip():
                raise InvalidError(f"reboot: {what} is empty", "give shell text")
    limit = positive_seconds(timeout, "reboot: timeout") or 0.0
    pause = positive_seconds(interval, "reboot: interval") or 0.0
    ask = f"cat -- {sh(remote_path(boot_id, 'boot_id'))}"
    order = dense(_OWN).decode() if command is None else f"go={sh(command)}"
    go = shell(
        f"{ask} || exit 1\n{order}\n{dense(_GO).decode()}",
        check=None if only_if is None else test(_NEEDED.format(text=sh(f"{only_if}\n"))),
        one_shot=True,
        timeout=300,
    )
    build: Reboot[None] = Reboot(
        cast("Command[Any]", go), cast("Command[Any]", shell(ask, readonly=True, timeout=30)), limit, pause
    )
    return Step(name=check_name(name, "step", slash=True), build=build)
