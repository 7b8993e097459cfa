"""The workloads, by name: each gives its cases, small ones for a quick run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from benchmarks.case import Case
from benchmarks.workloads.config4 import config4, wan_config4
from benchmarks.workloads.data import output, upload
from benchmarks.workloads.echo import echo20, hosts, record, slow_login, steps, wan_echo20
from benchmarks.workloads.local import engine, imports

Workload: TypeAlias = Callable[[bool], Sequence[Case]]

WORKLOADS: Mapping[str, Sequence[Workload]] = {
    "echo20": [echo20],
    "config4": [config4],
    "wan": [wan_echo20, wan_config4],
    "slow-login": [slow_login],
    "steps": [steps],
    "hosts": [hosts],
    "engine": [engine],
    "output": [output],
    "upload": [upload],
    "record": [record],
    "import": [imports],
}
