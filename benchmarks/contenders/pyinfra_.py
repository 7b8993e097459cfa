"""pyinfra by its API: each command an operation, hosts side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.inventory import Inventory
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.api.state import State
from pyinfra.operations import files, server

from benchmarks.contenders.common import Job, contend


def deploy(job: Job, add: Callable[[State], list[Any]]) -> list[dict[str, Any]]:
    """Connect, gather what is there, run; what each operation came to on each host."""
    hosts = [
        (
            seat["name"],
            {
                "ssh_hostname": seat["address"],
                "ssh_port": seat["port"],
                "ssh_user": job["user"],
                "ssh_key": job["key"],
                "ssh_known_hosts_file": job["known_hosts"],
                "ssh_strict_host_key_checking": "yes",
                "ssh_allow_agent": False,
                "ssh_look_for_keys": False,
            },
        )
        for seat in job["hosts"]
    ]
    state = State(Inventory((hosts, {})), Config(PARALLEL=len(hosts)))
    connect_all(state)
    operations = add(state)
    run_ops(state, no_wait=True)
    disconnect_all(state)
    return [{host.name: meta for host, meta in each.items()} for each in operations]


def echo(job: Job) -> dict[str, list[str]]:
    """Each command an operation."""
    done = deploy(job, lambda state: [add_op(state, server.shell, commands=[each]) for each in job["commands"]])
    return {seat["name"]: [each[seat["name"]].stdout for each in done] for seat in job["hosts"]}


def config4(job: Job) -> dict[str, str]:
    """The four operations of its own comparison."""

    def add(state: State) -> list[Any]:
        return [
            add_op(state, server.user, user="kxbench", shell="/bin/sh"),
            add_op(state, files.file, path="/opt/kxbench-file", user="kxbench", mode="640"),
            add_op(state, files.put, src=job["source"], dest="/opt/kxbench-copy", user="root", mode="644"),
            add_op(state, server.shell, commands=[f"echo {job['token']}"]),
        ]

    done = deploy(job, add)
    return {seat["name"]: done[-1][seat["name"]].stdout for seat in job["hosts"]}


def upload(job: Job) -> dict[str, Any]:
    """By SFTP."""

    def add(state: State) -> list[Any]:
        puts = [
            add_op(state, files.put, src=job["source"], dest=job["target"].format(name=host.name), host=host)
            for host in state.inventory.get_active_hosts()
        ]
        return [{host: meta for each in puts for host, meta in each.items()}]

    deploy(job, add)
    return {seat["name"]: "" for seat in job["hosts"]}


if __name__ == "__main__":
    contend({"echo": echo, "config4": config4, "upload": upload})
