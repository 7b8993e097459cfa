"""States that a host can be in, as steps: `from kxflow.resources import file`.

Most load when first asked for. A module that loads late must not have the name of a function: importing it would hide
the function.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from kxflow.resources.file import file

if TYPE_CHECKING:
    from kxflow.resources.fact_probe import facts
    from kxflow.resources.host_facts import Facts
    from kxflow.resources.packages import package
    from kxflow.resources.services import reload_service, restart_service, service
    from kxflow.resources.waiting import wait_for

_HOMES: Final = {
    "Facts": "host_facts",
    "facts": "fact_probe",
    "package": "packages",
    "reload_service": "services",
    "restart_service": "services",
    "service": "services",
    "wait_for": "waiting",
}

__all__ = [
    "Facts",
    "facts",
    "file",
    "package",
    "reload_service",
    "restart_service",
    "service",
    "wait_for",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
