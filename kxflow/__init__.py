"""Pipelines over fleets of machines, over SSH: steps are pure functions, actions are data, results are values.

>>> import kxflow as kx
>>> fleet = kx.Cluster([kx.Host("here")], connect=kx.Local())
>>> hello = kx.command("hello", ["echo", "hello"])
>>> outcome = kx.run(kx.pipeline("demo", kx.module("greet", kx.task("say", hello))), fleet)
>>> str(kx.report_of(outcome).results[0].stdout)
'hello\\n'
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

importlib.import_module("kxflow.shell")  # loaded first: later its import would replace the function of that name

from kxflow.flow.actions import both, cmd, fail, on_controller, shell, skip, test, value
from kxflow.flow.changes import on_change
from kxflow.flow.check import check
from kxflow.flow.ensure import ensure
from kxflow.flow.inputs import from_all, from_here, from_one
from kxflow.flow.layers import Module, Pipeline, Task, module, pipeline, task
from kxflow.flow.policy import Rollback, fail_fast, keep_going, max_failures, quorum, waves
from kxflow.flow.selectors import all_hosts, first, host, role, selector, where
from kxflow.flow.step import Step, command, failed, step, steps
from kxflow.values.action import Action
from kxflow.values.cluster import Cluster
from kxflow.values.context import HostContext, context
from kxflow.values.errors import (
    CompositionError,
    InvalidError,
    InventoryError,
    KxflowError,
    MergeError,
    ProblemsError,
    UnknownHostError,
)
from kxflow.values.fault import Fault
from kxflow.values.host import Become, Host, Local, Ssh, Via
from kxflow.values.output import Output
from kxflow.values.plan import Effect, Plan, PlanMovedError, Planned
from kxflow.values.report import Report
from kxflow.values.result import Position, Results, Status, StepResult
from kxflow.values.secret import Secret
from kxflow.values.state import Ensured
from kxflow.values.tally import Tally, Verdict

if TYPE_CHECKING:
    from kxflow.connectors.memory import MemoryConnector
    from kxflow.edge import aplan, apply, arun, plan, rollback, run, serial, stream
    from kxflow.flow.check import check
    from kxflow.interpreters.ports import Connector, Journal, Reply, Sink
    from kxflow.services.record import record_run
    from kxflow.services.store import MemoryStore, StepLog, Store, TaskRecord, TaskStatus
    from kxflow.sinks.console import console
    from kxflow.sinks.memory import memory
    from kxflow.sinks.ndjson import ndjson, read_log
    from kxflow.sinks.tee import tee
    from kxflow.values.event import Event, OutputChunk, RunBegan, RunEnded, StepBegan, StepEnded, StepRetried, fold
    from kxflow.values.outcome import either, report_of
    from kxflow.values.plan import Effect, Plan, PlanMovedError, Planned

__version__ = "0.1.0"

_LATE = {
    "Connector": "kxflow.interpreters.ports",
    "Effect": "kxflow.values.plan",
    "Event": "kxflow.values.event",
    "Journal": "kxflow.interpreters.ports",
    "MemoryConnector": "kxflow.connectors.memory",
    "MemoryStore": "kxflow.services.store",
    "OutputChunk": "kxflow.values.event",
    "Plan": "kxflow.values.plan",
    "PlanMovedError": "kxflow.values.plan",
    "Planned": "kxflow.values.plan",
    "Reply": "kxflow.interpreters.ports",
    "RunBegan": "kxflow.values.event",
    "RunEnded": "kxflow.values.event",
    "Sink": "kxflow.interpreters.ports",
    "StepBegan": "kxflow.values.event",
    "StepEnded": "kxflow.values.event",
    "StepLog": "kxflow.services.store",
    "StepRetried": "kxflow.values.event",
    "Store": "kxflow.services.store",
    "TaskRecord": "kxflow.services.store",
    "TaskStatus": "kxflow.services.store",
    "aplan": "kxflow.edge",
    "apply": "kxflow.edge",
    "arun": "kxflow.edge",
    "check": "kxflow.flow.check",
    "console": "kxflow.sinks.console",
    "either": "kxflow.values.outcome",
    "fold": "kxflow.values.event",
    "memory": "kxflow.sinks.memory",
    "ndjson": "kxflow.sinks.ndjson",
    "plan": "kxflow.edge",
    "read_log": "kxflow.sinks.ndjson",
    "record_run": "kxflow.services.record",
    "report_of": "kxflow.values.outcome",
    "rollback": "kxflow.edge",
    "run": "kxflow.edge",
    "serial": "kxflow.edge",
    "stream": "kxflow.edge",
    "tee": "kxflow.sinks.tee",
}


def __getattr__(name: str) -> Any:
    """Load what costs time to import when it is first used."""
    if name not in _LATE:
        raise AttributeError(f"module 'kxflow' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    found = getattr(importlib.import_module(_LATE[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "Action",
    "Become",
    "Cluster",
    "CompositionError",
    "Connector",
    "Effect",
    "Ensured",
    "Event",
    "Fault",
    "Host",
    "HostContext",
    "InvalidError",
    "InventoryError",
    "Journal",
    "KxflowError",
    "Local",
    "MemoryConnector",
    "MemoryStore",
    "MergeError",
    "Module",
    "Output",
    "OutputChunk",
    "Pipeline",
    "Plan",
    "PlanMovedError",
    "Planned",
    "Position",
    "ProblemsError",
    "Reply",
    "Report",
    "Results",
    "Rollback",
    "RunBegan",
    "RunEnded",
    "Secret",
    "Sink",
    "Ssh",
    "Status",
    "Step",
    "StepBegan",
    "StepEnded",
    "StepLog",
    "StepResult",
    "StepRetried",
    "Store",
    "Tally",
    "Task",
    "TaskRecord",
    "TaskStatus",
    "UnknownHostError",
    "Verdict",
    "Via",
    "__version__",
    "all_hosts",
    "aplan",
    "apply",
    "arun",
    "both",
    "check",
    "cmd",
    "command",
    "console",
    "context",
    "either",
    "ensure",
    "fail",
    "fail_fast",
    "failed",
    "first",
    "fold",
    "from_all",
    "from_here",
    "from_one",
    "host",
    "keep_going",
    "max_failures",
    "memory",
    "module",
    "ndjson",
    "on_change",
    "on_controller",
    "pipeline",
    "plan",
    "quorum",
    "read_log",
    "record_run",
    "report_of",
    "role",
    "rollback",
    "run",
    "selector",
    "serial",
    "shell",
    "skip",
    "step",
    "steps",
    "stream",
    "task",
    "tee",
    "test",
    "value",
    "waves",
    "where",
]
