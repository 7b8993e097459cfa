"""One sink out of several."""

from __future__ import annotations

from kxflow.interpreters.ports import Journal, Sink, call_sink, check_sink
from kxflow.values.errors import InvalidError
from kxflow.values.event import Event


class Tee:
    """Hands each event to every sink in it, in order; made by `tee`."""

    def __init__(self, sinks: tuple[Sink, ...]) -> None:
        self._sinks = sinks
        self._errors: dict[int, Exception] = {}

    def __call__(self, event: Event, /) -> None:
        """Hand it to every sink that has not failed in this run."""
        for place, sink in enumerate(self._sinks):
            if place not in self._errors:
                try:
                    call_sink(sink, event)
                except Exception as error:  # noqa: BLE001 -- one sink's trouble must not silence the others
                    self._errors[place] = error

    def close(self) -> None:
        """Close every sink, also those that failed.

        Raises:
            Exception: What a sink raised, in this run or now; a group of them where several did.
        """
        for place, sink in enumerate(self._sinks):
            close = getattr(sink, "close", None)
            if close is not None:
                try:
                    close()
                except Exception as error:  # noqa: BLE001 -- the others are closed all the same
                    self._errors.setdefault(place, error)
        errors, self._errors = list(self._errors.values()), {}
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup(f"{len(errors)} of {len(self._sinks)} sinks failed", errors)

    def __repr__(self) -> str:
        return f"tee({', '.join(map(repr, self._sinks))})"


def tee(*sinks: Sink) -> Tee:
    """One sink that hands each event to several, in this order.

    A sink that raises is given nothing more in this run, the others go on; `close` raises what it raised, so it is
    a fault of the run all the same.

    Raises:
        InvalidError: One is no function, or async. Or a journal is among them: a run waits for its journal before each
            step, which no sink in a tee can make it do. Give it beside the tee: `sinks=[kx.ndjson(path), kx.tee(…)]`.
    """
    for sink in sinks:
        if isinstance(sink, Journal):
            raise InvalidError(f"{sink!r} is a journal, which a run waits for", "give it beside the tee, not in it")
        check_sink(sink)
    return Tee(sinks)
