"""States that a host can be in, as steps: `from kxflow.resources import file`.

Everything loads when first asked for. No module here has the name of a function in it: importing it would hide the
function.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final

from kxflow.flow.changes import on_change

if TYPE_CHECKING:
    from kxflow.resources.absence import absent
    from kxflow.resources.authorized import authorized_key
    from kxflow.resources.blocks import block
    from kxflow.resources.checkout import git
    from kxflow.resources.containers import container
    from kxflow.resources.crontab import cron
    from kxflow.resources.directories import directory
    from kxflow.resources.downloads import download
    from kxflow.resources.fact_probe import facts
    from kxflow.resources.fetching import fetch
    from kxflow.resources.files import file
    from kxflow.resources.groups import group
    from kxflow.resources.host_facts import Facts
    from kxflow.resources.hosts import hosts_entry
    from kxflow.resources.lines import line
    from kxflow.resources.links import link
    from kxflow.resources.modules import kernel_module
    from kxflow.resources.mounts import mount
    from kxflow.resources.naming import hostname
    from kxflow.resources.packages import package
    from kxflow.resources.rebooting import reboot
    from kxflow.resources.replacing import replace
    from kxflow.resources.repositories import apt_repository
    from kxflow.resources.services import reload_service, restart_service, service
    from kxflow.resources.sudo import sudoers
    from kxflow.resources.swapfile import swap
    from kxflow.resources.syncing import sync
    from kxflow.resources.sysctls import sysctl
    from kxflow.resources.units import systemd_unit
    from kxflow.resources.unpacking import unpack
    from kxflow.resources.users import user
    from kxflow.resources.waiting import wait_for
    from kxflow.resources.zones import timezone

_HOMES: Final = {
    "Facts": "host_facts",
    "absent": "absence",
    "apt_repository": "repositories",
    "authorized_key": "authorized",
    "block": "blocks",
    "container": "containers",
    "cron": "crontab",
    "directory": "directories",
    "download": "downloads",
    "facts": "fact_probe",
    "fetch": "fetching",
    "file": "files",
    "git": "checkout",
    "group": "groups",
    "hostname": "naming",
    "hosts_entry": "hosts",
    "kernel_module": "modules",
    "line": "lines",
    "link": "links",
    "mount": "mounts",
    "package": "packages",
    "reboot": "rebooting",
    "reload_service": "services",
    "replace": "replacing",
    "restart_service": "services",
    "service": "services",
    "sudoers": "sudo",
    "swap": "swapfile",
    "sync": "syncing",
    "sysctl": "sysctls",
    "systemd_unit": "units",
    "timezone": "zones",
    "unpack": "unpacking",
    "user": "users",
    "wait_for": "waiting",
}

__all__ = [
    "Facts",
    "absent",
    "apt_repository",
    "authorized_key",
    "block",
    "container",
    "cron",
    "directory",
    "download",
    "facts",
    "fetch",
    "file",
    "git",
    "group",
    "hostname",
    "hosts_entry",
    "kernel_module",
    "line",
    "link",
    "mount",
    "on_change",
    "package",
    "reboot",
    "reload_service",
    "replace",
    "restart_service",
    "service",
    "sudoers",
    "swap",
    "sync",
    "sysctl",
    "systemd_unit",
    "timezone",
    "unpack",
    "user",
    "wait_for",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
