"""States that a host can be in, as steps: `from kxflow.resources import file`."""

from kxflow.resources.file import file

__all__ = ["file"]
