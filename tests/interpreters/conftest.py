"""The fleets' fixtures, also where the package's entry points are not installed."""

from kxflow.testing.plugin import embedded_fleet, sshd_fleet

__all__ = ["embedded_fleet", "sshd_fleet"]
