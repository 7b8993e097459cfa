"""`if step:` is always a mistake: pyright says so by itself, mypy where it is asked for what is unreachable."""

from __future__ import annotations

import kxflow as kx


def of_step(step: kx.Step[int]) -> int:
    """It has no truth value before it ran."""
    if step:  # P
        return 1  # M: unreachable
    return 0  # M: unreachable


def of_action(action: kx.Action[int]) -> int:
    """Nor has an action."""
    if action:  # P
        return 1  # M: unreachable
    return 0  # M: unreachable


def of_task(task: kx.Task) -> int:
    """Nor a task."""
    if task:  # P
        return 1  # M: unreachable
    return 0  # M: unreachable


def of_module(module: kx.Module) -> int:
    """Nor a module."""
    if module:  # P
        return 1  # M: unreachable
    return 0  # M: unreachable


def of_pipeline(pipeline: kx.Pipeline) -> int:
    """Nor a pipeline."""
    if pipeline:  # P
        return 1  # M: unreachable
    return 0  # M: unreachable


def of_report(report: kx.Report) -> int:
    """A report has two: ask whether it succeeded."""
    if report:  # P
        return 1  # M: unreachable
    return 0  # M: unreachable


def of_selector() -> object:
    """Selectors are combined with signs."""
    return kx.role("web") and kx.host("web1")  # M: unreachable


def of_policy() -> object:
    """So are policies."""
    return kx.fail_fast() or kx.keep_going()  # M: unreachable
