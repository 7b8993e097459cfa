"""A callback of Ansible that prints nothing and, at the end, writes what each task said on each host."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: kxbench
type: stdout
short_description: Keeps the outputs of tasks
description: Writes stdout of every task by host to the file that KXBENCH_TOLD names.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Any where Ansible is not installed
    """Found by its name."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "kxbench"

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, list[dict[str, Any]]] = {}

    def v2_runner_on_ok(self, result: Any) -> None:
        told = result._result
        its = {"stdout": told.get("stdout", ""), "changed": told.get("changed", False)}
        self._said.setdefault(result._host.get_name(), []).append(its)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._display.display(f"failed: {result._host.get_name()}: {result._result}")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._display.display(f"unreachable: {result._host.get_name()}: {result._result}")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        Path(os.environ["KXBENCH_TOLD"]).write_text(json.dumps(self._said))
