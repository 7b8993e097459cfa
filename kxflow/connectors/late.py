"""Waiting for what must not be cut in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def finish_later(task: asyncio.Future[T], dispose: Callable[[T], object]) -> T:
    """Wait for a task; when the wait is cancelled the task goes on, and what it yields is disposed of.

    Half-opened SSH channels need this: asyncssh forgets an opening that is cancelled, while the server
    counts it as a session until the connection ends.
    """

    def clean(done: asyncio.Future[T]) -> None:
        if not done.cancelled() and done.exception() is None:
            dispose(done.result())

    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(clean)
        raise
