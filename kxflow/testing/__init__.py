"""What tests of pipelines need: fleets of hosts to run them on, checks for connectors, resources, sinks and stores.

Everything loads when first asked for, so that importing this costs nothing. No module here has the name of a function
in it: importing it would hide the function.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kxflow.testing.accounts import Account, Login, account
    from kxflow.testing.changes import Changes
    from kxflow.testing.clone import CloneFleet, clone_fleet
    from kxflow.testing.connector_check import check_connector
    from kxflow.testing.embedded import EmbeddedFleet, embedded_fleet
    from kxflow.testing.rehearsal import rehearse
    from kxflow.testing.resource_check import check_resource
    from kxflow.testing.sink_check import check_sink
    from kxflow.testing.sshd import SshdFleet, sshd_fleet
    from kxflow.testing.store_check import check_store

_HOMES: Final = {
    "Account": "accounts",
    "Changes": "changes",
    "CloneFleet": "clone",
    "EmbeddedFleet": "embedded",
    "Login": "accounts",
    "SshdFleet": "sshd",
    "account": "accounts",
    "check_connector": "connector_check",
    "check_resource": "resource_check",
    "check_sink": "sink_check",
    "check_store": "store_check",
    "clone_fleet": "clone",
    "embedded_fleet": "embedded",
    "rehearse": "rehearsal",
    "sshd_fleet": "sshd",
}

__all__ = [
    "Account",
    "Changes",
    "CloneFleet",
    "EmbeddedFleet",
    "Login",
    "SshdFleet",
    "account",
    "check_connector",
    "check_resource",
    "check_sink",
    "check_store",
    "clone_fleet",
    "embedded_fleet",
    "rehearse",
    "sshd_fleet",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
