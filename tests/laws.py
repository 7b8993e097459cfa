"""How often a law is tried, and that a busy machine is no fault of it."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings


def laws(examples: int = 100, *, shrink: bool = True) -> settings:
    """Settings of a test that draws its cases.

    Args:
        examples: How many.
        shrink: Make a failing case smaller. Of records of a log, with all that can be in them, that takes minutes.
    """
    phases = [each for each in Phase if shrink or each is not Phase.shrink]
    return settings(deadline=None, max_examples=examples, phases=phases, suppress_health_check=[HealthCheck.too_slow])
