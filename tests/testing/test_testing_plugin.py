"""The package's fixtures and its lazy names."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio
import pytest

import kxflow.testing
from kxflow.connectors.local import LocalConnector, LocalLink
from kxflow.connectors.pipes import PipeProcess
from kxflow.interpreters.ports import Exit
from kxflow.testing import check_connector
from kxflow.testing.plugin import MakeEmbeddedFleet, need_program
from kxflow.values.cluster import Cluster
from kxflow.values.host import Host, Local


def test_every_name_can_be_had() -> None:
    """`__all__` is sorted, and each name is a function or class, not a module."""
    assert list(kxflow.testing.__all__) == sorted(kxflow.testing.__all__)
    for name in kxflow.testing.__all__:
        assert callable(getattr(kxflow.testing, name)), name
        assert name in dir(kxflow.testing)
    with pytest.raises(AttributeError, match="no_such"):
        kxflow.testing.no_such  # noqa: B018 -- the look-up is the test


def test_no_module_has_the_name_of_a_public_function() -> None:
    """Importing it would hide the function."""
    modules = {path.stem for path in Path(kxflow.testing.__file__).parent.glob("*.py")}
    assert not modules & set(kxflow.testing.__all__)


def test_fixture_starts_several_fleets(embedded_fleet: MakeEmbeddedFleet) -> None:
    """Each with keys of its own."""
    one, two = embedded_fleet(1), embedded_fleet(names=["a", "b"])
    assert one.cluster.names == ("host1",)
    assert two.cluster.names == ("a", "b")
    assert one.key.read_bytes() != two.key.read_bytes()


def test_missing_program_skips_the_test_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it runs unattended nothing is passed over in silence."""
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="not run"):
        need_program("no-such-program-kx")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(RuntimeError, match="not installed"):
        need_program("no-such-program-kx")


class _Loses(PipeProcess):
    """Gives no stderr."""

    async def read_stderr(self) -> bytes:
        return b""


class _Lies(PipeProcess):
    """Calls every end a success."""

    async def wait(self) -> Exit:
        await super().wait()
        return Exit(0)


class _Forgets(PipeProcess):
    """Drops the last byte of large writes."""

    async def write(self, data: bytes) -> None:
        await super().write(data if len(data) < 1000 else data[:-1])


class _Decodes(PipeProcess):
    """Text mode: bytes that are no UTF-8 come out changed."""

    async def read_stdout(self) -> bytes:
        return (await super().read_stdout()).decode("utf-8", "replace").encode()


class _Lingers(PipeProcess):
    """Does not come back from kill in time, once."""

    late = True

    async def kill(self) -> None:
        if self.late and not self.over:
            self.late = False
            await asyncio.sleep(3.5)
        await super().kill()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (_Loses, "stderr is"),
        (_Lies, "ended as"),
        (_Forgets, "came back"),
        (_Decodes, "not exact"),
        (_Lingers, "took more than"),
    ],
)
def test_check_connector_finds_a_wrong_one(kind: type[PipeProcess], words: str) -> None:
    """Each of these breaks one promise, and the sentence says which."""

    class Link(LocalLink):
        async def spawn(self, argv: Sequence[str]) -> PipeProcess:
            process = await super().spawn(argv)
            process.__class__ = kind
            return process

    class Connector(LocalConnector):
        async def connect(self, host: Host, cluster: Cluster) -> LocalLink:
            return Link(host.name)

    cluster = Cluster([Host("here", connect=Local())])
    with pytest.raises(AssertionError, match=words):
        anyio.run(partial(check_connector, Connector, host=cluster["here"], cluster=cluster))
