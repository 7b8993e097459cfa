"""States that a host can be in, as steps: `from kxflow.resources import file`.

Everything loads when first asked for. No module here has the name of a function in it: importing it would hide the
function.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kxflow.resources.absence import absent
    from kxflow.resources.blocks import block
    from kxflow.resources.directories import directory
    from kxflow.resources.downloads import download
    from kxflow.resources.fetching import fetch
    from kxflow.resources.files import file
    from kxflow.resources.lines import line
    from kxflow.resources.links import link
    from kxflow.resources.replacing import replace
    from kxflow.resources.syncing import sync
    from kxflow.resources.unpacking import unpack

_HOMES: Final = {
    "absent": "absence",
    "block": "blocks",
    "directory": "directories",
    "download": "downloads",
    "fetch": "fetching",
    "file": "files",
    "line": "lines",
    "link": "links",
    "replace": "replacing",
    "sync": "syncing",
    "unpack": "unpacking",
}

__all__ = [
    "absent",
    "block",
    "directory",
    "download",
    "fetch",
    "file",
    "line",
    "link",
    "replace",
    "sync",
    "unpack",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
