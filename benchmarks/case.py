"""What is measured: a work of some size, on hosts that are there for it, and who does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

from attrs import field, frozen

from benchmarks.contenders.common import Job
from benchmarks.measure import Contender

Check: TypeAlias = Callable[[Any, Job], str]


@frozen
class Ready:
    """A case whose hosts run.

    Attributes:
        job: What to do; made anew for each run, so that nothing of an earlier one can be taken for it.
        check: From what a contender found to what is wrong with it; empty where nothing is.
        before: Awaits a run: brings the hosts back to where they were.
    """

    job: Callable[[], Job]
    check: Check
    before: Callable[[], object] = field(default=lambda: None)


@frozen(kw_only=True)
class Case:
    """One line of columns in the table.

    Attributes:
        workload: Its name.
        size: Which of its sizes; empty where it has one.
        number: What grows over the sizes, for slopes.
        ready: Starts the hosts.
        contenders: Who does it, the first of them being what the others are compared with.
        rounds: How often at most; slow contenders do it once.
    """

    workload: str
    size: str
    number: int
    ready: Callable[[], AbstractContextManager[Ready]]
    contenders: Sequence[Contender]
    rounds: int = 5

    @property
    def label(self) -> str:
        """Workload and size."""
        return f"{self.workload} {self.size}".strip()


def alone(ready: Ready) -> Callable[[], AbstractContextManager[Ready]]:
    """A case that needs no hosts."""
    return lambda: nullcontext(ready)


OURS = Contender("kxflow", "ours")
FLOOR = Contender("floor", "floor")
EXECS = Contender("exec each", "execs")
PSSH = Contender("parallel-ssh", "parallel_ssh", "pssh")
FABRIC = Contender("fabric", "fabric_", "fabric")
PYINFRA = Contender("pyinfra", "pyinfra_", "pyinfra")
NORNIR = Contender("nornir", "nornir_", "nornir")
ANSIBLE = Contender("ansible", "ansible_", "ansible")
SCP = Contender("scp", "scp_")
PEERS: Mapping[str, Contender] = {
    each.name: each for each in (FLOOR, OURS, EXECS, SCP, PSSH, FABRIC, PYINFRA, NORNIR, ANSIBLE)
}
