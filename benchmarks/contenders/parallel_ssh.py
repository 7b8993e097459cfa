"""parallel-ssh: one exec request for each command, on libssh2."""

from __future__ import annotations

from typing import Any

from gevent import joinall
from pssh.clients import ParallelSSHClient
from pssh.config import HostConfig

from benchmarks.contenders.common import Job, contend


def client(job: Job) -> Any:
    """All hosts at once."""
    hosts = [seat["address"] for seat in job["hosts"]]
    config = [HostConfig(port=seat["port"], user=job["user"], private_key=job["key"]) for seat in job["hosts"]]
    return ParallelSSHClient(hosts, host_config=config, pool_size=len(hosts), allow_agent=False)


def echo(job: Job) -> dict[str, list[str]]:
    """One command on all hosts, then the next."""
    found: dict[str, list[str]] = {seat["name"]: [] for seat in job["hosts"]}
    its = client(job)
    for text in job["commands"]:
        outputs = its.run_command(text)
        its.join(outputs)
        for seat, output in zip(job["hosts"], outputs, strict=True):
            found[seat["name"]].append("\n".join(output.stdout))
            assert output.exit_code == 0, output.exception
    return found


def upload(job: Job) -> dict[str, Any]:
    """By SFTP, side by side."""
    places = [
        {"local_file": job["source"], "remote_file": job["target"].format(name=seat["name"])} for seat in job["hosts"]
    ]
    joinall(client(job).copy_file("%(local_file)s", "%(remote_file)s", copy_args=places), raise_error=True)
    return {seat["name"]: "" for seat in job["hosts"]}


if __name__ == "__main__":
    contend({"echo": echo, "upload": upload})
