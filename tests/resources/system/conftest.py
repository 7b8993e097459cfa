"""Throw-away places for what changes a machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.resources.helpers_system import Box, laid_box, may_lay


@pytest.fixture
def box() -> Iterator[Box]:
    """A copy-on-write copy of this machine that ends with the test."""
    if not may_lay():
        pytest.skip("not run: only root can mount")
    with laid_box() as made:
        yield made
