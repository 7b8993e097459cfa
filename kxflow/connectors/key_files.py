"""Key files that hosts name, looked at before any host is touched."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from kxflow.values.cluster import Cluster
from kxflow.values.errors import InvalidError
from kxflow.values.host import Host, Ssh


def check_key_files(hosts: Iterable[Host], cluster: Cluster) -> None:
    """See that every named key file can be read; whether it holds a key shows when it is used.

    Raises:
        InvalidError: Some cannot; it names the first few, with a host each.
    """
    named: dict[str, str] = {}
    for host in hosts:
        way = cluster.connect_of(host)
        for path in way.key_files if isinstance(way, Ssh) else ():
            named.setdefault(path, host.name)
    wrong = [f"{path} (for {host}) {why}" for path, host in named.items() if (why := _why_not(path))]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise InvalidError(f"key file {', '.join(wrong[:3])}{more}", "check key_files=; nothing was run")


def _why_not(path: str) -> str:
    try:
        plain = stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 -- a path of the user's, as it stands
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not plain:
        return "is no plain file"
    return "" if os.access(path, os.R_OK) else "cannot be read: Permission denied"
