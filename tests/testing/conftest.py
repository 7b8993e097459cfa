"""The fleets' fixtures, also where the package's entry points are not installed."""

from kxflow.testing.plugin import clone_fleet, embedded_fleet, sshd_fleet

__all__ = ["clone_fleet", "embedded_fleet", "sshd_fleet"]
