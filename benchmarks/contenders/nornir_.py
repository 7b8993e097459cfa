"""nornir: its runner with a task that does nothing, and netmiko's sessions for commands."""

from __future__ import annotations

from typing import Any

from nornir.core import Nornir
from nornir.core.configuration import Config
from nornir.core.inventory import ConnectionOptions, Defaults, Groups, Host, Hosts, Inventory
from nornir.core.plugins.connections import ConnectionPluginRegister
from nornir.core.task import Result, Task
from nornir.plugins.runners import ThreadedRunner

from benchmarks.contenders.common import Job, Seat, contend


def made(job: Job, workers: int) -> Nornir:
    """Its inventory and its runner."""
    extras = {
        "use_keys": True,
        "key_file": job["key"],
        "system_host_keys": False,
        "alt_host_keys": True,
        "alt_key_file": job["known_hosts"],
        "ssh_strict": True,
    }
    hosts = Hosts(
        {
            seat["name"]: Host(
                name=seat["name"],
                hostname=seat["address"],
                port=seat["port"],
                username=job["user"],
                platform="linux",
                connection_options={"netmiko": ConnectionOptions(extras=extras)},
            )
            for seat in job["hosts"]
        }
    )
    return Nornir(
        inventory=Inventory(hosts, Groups(), Defaults()), config=Config(), runner=ThreadedRunner(num_workers=workers)
    )


def engine(job: Job) -> dict[str, int]:
    """Its runner, once a step with a task that does nothing; or once, with a task that calls that as many times.

    Nothing is written.
    """
    imagined: list[Seat] = [{"name": f"h{i}", "address": "127.0.0.1", "port": 22} for i in range(job["count"])]
    its = made({**job, "hosts": imagined}, workers=50)

    def nothing(task: Task) -> Result:
        return Result(host=task.host)

    def all_steps(task: Task) -> Result:
        for i in range(job["steps"]):
            task.run(nothing, name=f"c{i}")
        return Result(host=task.host)

    if job.get("variant", {}).get("grouped"):
        return {"results": sum(len(each) - 1 for each in its.run(all_steps).values() if not each.failed)}
    done = [its.run(nothing, name=f"c{i}") for i in range(job["steps"])]
    return {"results": sum(not each.failed for all_hosts in done for each in all_hosts.values())}


def echo(job: Job) -> dict[str, list[str]]:
    """One interactive session for each host, one command after the other."""
    ConnectionPluginRegister.auto_register()
    its = made(job, workers=len(job["hosts"]))

    def say(task: Task) -> Result:
        connection: Any = task.host.get_connection("netmiko", task.nornir.config)
        said = [connection.send_command(each).strip() for each in job["commands"]]
        return Result(host=task.host, result=said)

    done = its.run(say)
    its.close_connections()
    return {name: each[0].result for name, each in done.items()}


if __name__ == "__main__":
    contend({"echo": echo, "engine": engine})
