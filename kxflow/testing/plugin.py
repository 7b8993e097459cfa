"""Fixtures for pytest: fleets that end with the test. Loaded by an entry point, so it imports next to nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from kxflow.testing.clone import CloneFleet
    from kxflow.testing.embedded import EmbeddedFleet
    from kxflow.testing.sshd import SshdFleet


class MakeEmbeddedFleet(Protocol):
    """Takes what `kxflow.testing.embedded_fleet` takes."""

    def __call__(self, n: int | None = None, **options: Any) -> EmbeddedFleet:
        """Start a fleet."""
        ...


class MakeSshdFleet(Protocol):
    """Takes what `kxflow.testing.sshd_fleet` takes."""

    def __call__(self, n: int | None = None, **options: Any) -> SshdFleet:
        """Start a fleet."""
        ...


class MakeCloneFleet(Protocol):
    """Takes what `kxflow.testing.clone_fleet` takes."""

    def __call__(self, n: int | None = None, **options: Any) -> CloneFleet:
        """Start a fleet."""
        ...


@pytest.fixture
def embedded_fleet() -> Iterator[MakeEmbeddedFleet]:
    """Start SSH hosts in this process, that end with the test: `fleet = make(3)`, where `make` is this."""
    from kxflow.testing.embedded import embedded_fleet as start

    with ExitStack() as stack:
        yield lambda n=None, **options: stack.enter_context(start(n, **options))


@pytest.fixture
def sshd_fleet() -> Iterator[MakeSshdFleet]:
    """Start real OpenSSH servers, that end with the test.

    Where there is no sshd the test is skipped and says so; where the environment has `CI`, it fails.
    """
    from kxflow.testing.sshd import sshd_fleet as start

    need_program("sshd")
    with ExitStack() as stack:
        yield lambda n=None, **options: stack.enter_context(start(n, **options))


@pytest.fixture
def clone_fleet() -> Iterator[MakeCloneFleet]:
    """Start clones of this machine, that end with the test.

    Where none can be made the test is skipped and says so; where the environment has `CI`, it fails.
    """
    from kxflow.testing.clone import clone_fleet as start
    from kxflow.testing.missing import MissingError

    def make(n: int | None = None, **options: Any) -> CloneFleet:
        try:
            return stack.enter_context(start(n, **options))
        except MissingError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"not run: {error}")

    with ExitStack() as stack:
        yield make


def need_program(name: str) -> str:
    """The path of a program; without it the test is skipped and says so, and in CI it fails.

    Raises:
        MissingError: It is not installed, and this is CI.
    """
    from kxflow.testing.missing import MissingError, program

    try:
        return program(name)
    except MissingError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"not run: {error}")
