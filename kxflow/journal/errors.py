"""What is wrong with a log that was to be read."""

from __future__ import annotations

from attrs import frozen

from kxflow.values.errors import KxflowError


@frozen
class LogError(KxflowError, ValueError):
    """A log that cannot be believed: damaged, out of order, of a newer version, or no log at all.

    Attributes:
        what: What is wrong.
        offset: Where, in bytes from the start of the file; None where it is the file as a whole.
        path: The file, where it is known.
        remedy: What to do about it.
    """

    what: str
    offset: int | None = None
    path: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        place = "" if self.offset is None else f" at byte {self.offset}"
        tail = f" ({self.remedy})" if self.remedy else ""
        return f"{self.path or 'the log'}: {self.what}{place}{tail}"
