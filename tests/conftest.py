"""In CI nothing is skipped for want of a tool."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

# A shared machine is slow for a moment now and then: that is no failure of what is tested.
settings.register_profile("kxflow", deadline=None)
settings.load_profile("kxflow")

_REQUIRE_ALL = bool(os.environ.get("KXFLOW_REQUIRE_ALL"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skipped test is a failed one, where KXFLOW_REQUIRE_ALL is set."""
    report = yield
    if _REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = (
            f"KXFLOW_REQUIRE_ALL is set, and {item.nodeid} was skipped: {call.excinfo and call.excinfo.value}"
        )
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """So is a file of them."""
    report = yield
    if _REQUIRE_ALL and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"KXFLOW_REQUIRE_ALL is set, and {collector.nodeid} was skipped: {report.longrepr}"
    return report
