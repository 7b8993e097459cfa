"""States that a host can be in, as steps: `from kxflow.resources import file`.

Everything loads when first asked for. No module here has the name of a function in it: importing it would hide the
function.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kxflow.resources.absence import absent
    from kxflow.resources.blocks import block
    from kxflow.resources.directories import directory
    from kxflow.resources.files import file
    from kxflow.resources.lines import line
    from kxflow.resources.links import link
    from kxflow.resources.packages import package
    from kxflow.resources.replacing import replace
    from kxflow.resources.services import reload_service, restart_service, service

_HOMES: Final = {
    "absent": "absence",
    "block": "blocks",
    "directory": "directories",
    "file": "files",
    "line": "lines",
    "link": "links",
    "package": "packages",
    "reload_service": "services",
    "replace": "replacing",
    "restart_service": "services",
    "service": "services",
}

__all__ = [
    "absent",
    "block",
    "directory",
    "file",
    "line",
    "link",
    "package",
    "reload_service",
    "replace",
    "restart_service",
    "service",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
