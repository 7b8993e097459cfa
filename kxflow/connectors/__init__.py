"""Ways to open processes on hosts: by SSH, as subprocesses, or by a command that gives a shell."""

from kxflow.connectors.choose import ChoosingConnector, default_connector

__all__ = ["ChoosingConnector", "default_connector"]
