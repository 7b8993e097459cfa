"""A function of the user's, called on the controller: bounded in time, and ended when it is to be."""

from __future__ import annotations

import contextvars
import inspect
import math
import sys
import threading
from collections.abc import Callable
from typing import Any, Literal

import anyio
import anyio.from_thread
import anyio.lowlevel
from attrs import field, frozen

from kxflow.interpreters.brake import Brake
from kxflow.values.fault import Raised, attempt


@frozen
class Called:
    """What came of a call.

    Attributes:
        gave: Its value, or what it raised; meaningless where it was ended.
        ended: Why it was, where it was.
        sure: It is over: a thread cannot be ended, only be waited for no more.
    """

    gave: Any = field(default=None, repr=False)
    ended: Literal["", "timed_out", "cancel"] = ""
    sure: bool = True


class _Cancel:
    def __init__(self, brake: Brake, scope: anyio.CancelScope) -> None:
        self._brake, self._scope = brake, scope

    def wake(self) -> None:
        if self._brake.cancelled:
            self._scope.cancel()


async def call(function: Callable[[], Any], brake: Brake, seconds: float) -> Called:
    """Call a function: on the event loop where it is async, else in a thread of its own.

    Args:
        function: Takes nothing.
        brake: Ends it where steps in flight are to be ended.
        seconds: Most that it may take.
    """
    waiting = _Waiting()
    with anyio.CancelScope() as scope:
        cancel = _Cancel(brake, scope)
        brake.attach(cancel)
        cancel.wake()
        try:
            with anyio.move_on_after(seconds) as limit:
                return Called(await waiting.on(function))
        finally:
            brake.detach(cancel)
        if limit.cancelled_caught:
            return Called(ended="timed_out", sure=not waiting.thread)
    return Called(ended="cancel", sure=not waiting.thread)


class _Waiting:
    """Waits for a function, and knows whether that is at work in a thread."""

    def __init__(self) -> None:
        self.thread = False

    async def on(self, function: Callable[[], Any]) -> Any:
        gave = function() if inspect.iscoroutinefunction(function) else await self._in_thread(function)
        return await _awaited(gave) if inspect.isawaitable(gave) else gave

    async def _in_thread(self, function: Callable[[], Any]) -> Any:
        """A thread that nobody waits for at the end of the process: who ends the run does not wait either."""
        done = anyio.Event()
        given: list[Any] = []
        token = anyio.lowlevel.current_token()
        context = contextvars.copy_context()

        def work() -> None:
            given.append(context.run(attempt, function))
            try:
                anyio.from_thread.run_sync(done.set, token=token)
            except RuntimeError:  # the event loop is gone: nobody waits any more
                return

        self.thread = True
        threading.Thread(target=work, name="kxflow on_controller", daemon=True).start()
        await done.wait()
        self.thread = False
        return given[0]


async def _awaited(work: Any) -> Any:
    """What it gives, or what it raised: a cancellation that is not ours is its own affair."""
    try:
        return await work
    except BaseException as error:
        ours = isinstance(error, anyio.get_cancelled_exc_class()) and _cancelled()
        if ours or isinstance(error, KeyboardInterrupt | GeneratorExit):
            raise
        return Raised(error)


def _cancelled() -> bool:
    """Whether somebody wants this task to end: a scope around it, or asyncio itself."""
    if anyio.current_effective_deadline() == -math.inf:
        return True
    asyncio = sys.modules.get("asyncio")
    try:
        task = None if asyncio is None else asyncio.current_task()
    except RuntimeError:  # the loop is another's
        return False
    return task is not None and task.cancelling() > 0
