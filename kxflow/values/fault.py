"""Why something went wrong, as a value."""

from __future__ import annotations

from attrs import frozen


@frozen
class Fault:
    """What went wrong, where, and what to do.

    Attributes:
        code: Short machine word, the `reason` of the result it belongs to: `exit`, `hostkey_changed`, …
        what: One sentence; may quote a host's bytes, escaped.
        where: Step path, host, file or option.
        remedy: What to do about it; may be empty.
    """

    code: str
    what: str
    where: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what}" + (f" ({self.remedy})" if self.remedy else "")
