"""Bytes that a shell writes by its builtin `printf`."""

from __future__ import annotations

import subprocess

import pytest

from kxflow.shell.quote import printf_format
from kxflow.testing.plugin import need_program


@pytest.mark.parametrize("shell", ["sh", "bash", "ksh", "mksh", "zsh", "busybox"])
@pytest.mark.parametrize("data", [b"-rf", b"--", b"-", b"-7", b"a-b", b"\0001", b"%s\\n'\xff\n"], ids=repr)
def test_printf_format_writes_exactly_the_bytes(shell: str, data: bytes) -> None:
    """Also where they look like an option."""
    words = [need_program(shell), *(["sh"] if shell == "busybox" else []), "-c"]
    argv = [*map(str.encode, words), b"printf " + printf_format(data)]
    assert subprocess.run(argv, check=True, capture_output=True).stdout == data
