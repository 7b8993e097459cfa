"""States that a host can be in, as steps: `from kxflow.resources import file`.

Each loads when first asked for. No module here but `file` has the name of a function in it: importing it would hide the
function.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from kxflow.resources.file import file

if TYPE_CHECKING:
    from kxflow.resources.authorized import authorized_key
    from kxflow.resources.checkout import git
    from kxflow.resources.crontab import cron
    from kxflow.resources.groups import group
    from kxflow.resources.hosts import hosts_entry
    from kxflow.resources.modules import kernel_module
    from kxflow.resources.mounts import mount
    from kxflow.resources.naming import hostname
    from kxflow.resources.sudo import sudoers
    from kxflow.resources.swapfile import swap
    from kxflow.resources.sysctls import sysctl
    from kxflow.resources.users import user
    from kxflow.resources.zones import timezone

_HOMES: Final = {
    "authorized_key": "authorized",
    "cron": "crontab",
    "git": "checkout",
    "group": "groups",
    "hostname": "naming",
    "hosts_entry": "hosts",
    "kernel_module": "modules",
    "mount": "mounts",
    "sudoers": "sudo",
    "swap": "swapfile",
    "sysctl": "sysctls",
    "timezone": "zones",
    "user": "users",
}

__all__ = [
    "authorized_key",
    "cron",
    "file",
    "git",
    "group",
    "hostname",
    "hosts_entry",
    "kernel_module",
    "mount",
    "sudoers",
    "swap",
    "sysctl",
    "timezone",
    "user",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
