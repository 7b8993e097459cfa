"""Ansible as its documentation makes it quick: pipelining, persistent connections, as many forks as hosts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.contenders.common import Job, contend

_CONFIG = """\
[defaults]
inventory = {here}/hosts.json
forks = {forks}
gathering = explicit
callback_plugins = {plugins}
stdout_callback = kxbench
retry_files_enabled = False
interpreter_python = {python}
local_tmp = {here}/tmp
[ssh_connection]
pipelining = True
ssh_args = -F none -o ControlMaster=auto -o ControlPersist=30 -o UserKnownHostsFile={known_hosts}
control_path_dir = {sockets}
"""


def play(job: Job, tasks: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Run a playbook of these tasks on all hosts; what each came to, by host."""
    here = Path(job["folder"])
    hosts = {
        seat["name"]: {
            "ansible_host": seat["address"],
            "ansible_port": seat["port"],
            "ansible_user": job["user"],
            "ansible_ssh_private_key_file": job["key"],
        }
        for seat in job["hosts"]
    }
    (here / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    (here / "play.json").write_text(json.dumps([{"hosts": "all", "strategy": "free", "tasks": tasks}]))
    (here / "ansible.cfg").write_text(
        _CONFIG.format(
            here=here,
            forks=len(hosts),
            plugins=Path(__file__).parent / "ansible_plugins",
            known_hosts=job["known_hosts"],
            python=job.get("variant", {}).get("python", "/usr/bin/python3"),
            sockets=here / "s",
        )
    )
    told = here / "told.json"
    environment = {**os.environ, "ANSIBLE_CONFIG": str(here / "ansible.cfg"), "KXBENCH_TOLD": str(told)}
    program = Path(sys.executable).parent / "ansible-playbook"
    done = subprocess.run([program, here / "play.json"], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
    found: dict[str, list[dict[str, Any]]] = json.loads(told.read_text())
    return found


def echo(job: Job) -> dict[str, list[str]]:
    """Each command a task."""
    done = play(job, [{"name": f"c{i}", "ansible.builtin.shell": each} for i, each in enumerate(job["commands"])])
    return {name: [each["stdout"] for each in those] for name, those in done.items()}


def config4(job: Job) -> dict[str, str]:
    """The same four."""
    copy = {"src": job["source"], "dest": "/opt/kxbench-copy", "owner": "root", "mode": "0644"}
    state = {"path": "/opt/kxbench-file", "state": "touch", "owner": "kxbench", "mode": "0640"}
    keep = {"access_time": "preserve", "modification_time": "preserve"}
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.user": {"name": "kxbench", "shell": "/bin/sh"}},
        {"ansible.builtin.file": {**state, **keep}},
        {"ansible.builtin.copy": copy},
        {"ansible.builtin.shell": f"echo {job['token']}"},
    ]
    return {name: those[-1]["stdout"] for name, those in play(job, tasks).items()}


def upload(job: Job) -> dict[str, Any]:
    """Its copy module."""
    target = job["target"].format(name="{{ inventory_hostname }}")
    play(job, [{"ansible.builtin.copy": {"src": job["source"], "dest": target}}])
    return {seat["name"]: "" for seat in job["hosts"]}


if __name__ == "__main__":
    contend({"echo": echo, "config4": config4, "upload": upload})
