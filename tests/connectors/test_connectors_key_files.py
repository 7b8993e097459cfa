"""Key files that are not there are told before any host is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

import kxflow as kx


def pipeline() -> kx.Pipeline:
    """One task on every host."""
    return kx.pipeline("p", kx.module("m", kx.task("t", kx.command("s", "true"))))


def test_a_key_file_that_cannot_be_read_is_told_before_the_run(tmp_path: Path) -> None:
    """All of them at once, each with a host that names it; nobody listens there, and nobody is asked."""
    (tmp_path / "folder").mkdir()
    ways: dict[str, kx.Ssh | kx.Local] = {
        "a": kx.Ssh(port=1, key_files=tmp_path / "none"),
        "b": kx.Ssh(port=1, key_files=tmp_path / "none"),
        "c": kx.Ssh(port=1, key_files=tmp_path / "folder"),
        "d": kx.Local(),
    }
    fleet = kx.Cluster([kx.Host(name, connect=way) for name, way in ways.items()])
    with pytest.raises(kx.InvalidError) as caught:
        kx.run(pipeline(), fleet)
    assert caught.value.what == (
        f"key file {tmp_path}/none (for a) cannot be read: No such file or directory, "
        f"{tmp_path}/folder (for c) is no plain file"
    )


def test_only_hosts_that_are_to_be_reached_by_the_usual_connector_count(tmp_path: Path) -> None:
    """Not those of no task, and none where another connector answers."""
    fleet = kx.Cluster(
        [kx.Host("a", connect=kx.Local(), roles={"x"}), kx.Host("b", connect=kx.Ssh(key_files=tmp_path / "none"))]
    )
    only = kx.pipeline("p", kx.module("m", kx.task("t", kx.command("s", "true"), on=kx.role("x"))))
    assert kx.report_of(kx.run(only, fleet)).succeeded
    assert kx.report_of(kx.run(pipeline(), fleet, connector=kx.MemoryConnector())).succeeded
