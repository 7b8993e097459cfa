"""`kxflow plan`, `apply`, `rollback`, `rehearse`: other meanings of the same pipeline."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click
from attrs import evolve

import kxflow as kx
from kxflow.cli.options import (
    asked,
    begun,
    concurrency_option,
    examples,
    inventory_option,
    limit_option,
    log_option,
    no_verify_option,
    only_option,
    settings_option,
    shown,
    target_argument,
)
from kxflow.cli.status import FAILED, OK, UNREACHABLE, Refused, ended, on_signal


@click.command(
    epilog=examples(
        "kxflow plan deploy.py -i hosts.toml",
        "kxflow plan deploy.py -i hosts.toml --limit 'role:web' --save deploy.plan",
    )
)
@target_argument
@inventory_option
@limit_option
@only_option
@settings_option
@concurrency_option
@click.option("--save", metavar="PLAN", help="Keep it, for `kxflow apply`; it holds the content of files.")
@click.option("--all", "every", is_flag=True, help="Also what would change nothing.")
def plan(
    target: str,
    inventory: str | None,
    limit: str | None,
    only: Sequence[str],
    settings: dict[str, Any],
    concurrency: int,
    save: str | None,
    every: bool,
) -> int:
    """Show what a run would do, with diffs; nothing is changed.

    Hosts are asked for their state. What cannot be known beforehand is said to be unknown, and where a step can be seen
    to fail already the exit status is 1.
    """
    from kxflow.sinks import foreseen

    its = asked(target, inventory, limit=limit, only=only, settings=settings)
    planned = kx.plan(its.pipeline, its.cluster, concurrency=concurrency)
    foreseen.show(planned, sys.stdout, every=every)
    if save is not None:
        origin: dict[str, Any] = {
            "target": target,
            "inventory": inventory,
            "limit": limit,
            "only": list(only),
            "settings": {name: str(value) if not _plain(value) else value for name, value in settings.items()},
        }
        try:
            evolve(planned, origin=origin).save(save)
        except OSError as error:
            raise Refused(f"{save}: {error.strerror}") from None
        click.echo(f"saved: kxflow apply {save}")
    if planned.failing:
        return FAILED
    return UNREACHABLE if any(each.reason.startswith("unreachable:") for each in planned) else OK


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool | list)


@click.command(epilog=examples("kxflow apply deploy.plan", "kxflow apply deploy.plan --log run.ndjson"))
@click.argument("saved", metavar="PLAN")
@log_option
@concurrency_option
@no_verify_option
@click.option("--output", is_flag=True, help="Show every step, and what programs write while they run.")
def apply(saved: str, log: str | None, concurrency: int, no_verify: bool, output: bool) -> int:
    """Run what was planned and saved, if it would still do what was planned.

    The pipeline's file and the inventory are read again, from where they were, and hosts are asked again. Where
    anything is another than when it was planned, nothing is done, and the differences are shown.
    """
    try:
        planned = kx.Plan.load(saved)
    except OSError as error:
        raise Refused(f"{saved}: {error.strerror}: name a plan that `kxflow plan --save` wrote") from None
    origin = dict(planned.origin)
    if "target" not in origin:
        raise Refused(f"{saved} does not say which file it is of: run it with kxflow.apply in Python")
    its = asked(
        origin["target"],
        origin.get("inventory"),
        limit=origin.get("limit"),
        only=origin.get("only") or (),
        settings=origin.get("settings") or {},
    )
    outcome = kx.apply(
        planned,
        its.pipeline,
        its.cluster,
        **shown(log, verbose=output),
        concurrency=concurrency,
        verify=not no_verify,
        output=output,
        on_signal=on_signal,
    )
    return ended(kx.report_of(outcome))


@click.command(
    epilog=examples(
        "kxflow rollback deploy.py -i hosts.toml run.ndjson",
        "kxflow rollback deploy.py -i hosts.toml run.ndjson --run 20261124T080000Z-0a1b2c3d4e5f",
    )
)
@target_argument
@click.argument("taken_from", metavar="LOG")
@inventory_option
@settings_option
@click.option(
    "--run", "run_id", metavar="ID", help="This run of the log; the last that is no rollback, where not given."
)
@log_option
@concurrency_option
def rollback(
    target: str,
    taken_from: str,
    inventory: str | None,
    settings: dict[str, Any],
    run_id: str | None,
    log: str | None,
    concurrency: int,
) -> int:
    """Take back what a run did, by its log: completed steps in reverse order, host by host.

    What cannot be taken back is left and said so; a host on which it fails is not touched any further, unless
    it is what followed a change (`on_change`) and is done again.
    """
    its = asked(target, inventory, settings=settings)
    outcome = kx.rollback(
        its.pipeline,
        its.cluster,
        begun(taken_from, run_id).report(),
        **shown(log, verbose=True),
        concurrency=concurrency,
        on_signal=on_signal,
    )
    return ended(kx.report_of(outcome))


@click.command(
    epilog=examples(
        "kxflow rehearse deploy.py",
        "kxflow rehearse deploy.py -i hosts.toml --limit web1",
    )
)
@target_argument
@inventory_option
@limit_option
@only_option
@settings_option
@click.option("--output", is_flag=True, help="Show every step, and what programs write while they run.")
def rehearse(
    target: str,
    inventory: str | None,
    limit: str | None,
    only: Sequence[str],
    settings: dict[str, Any],
    output: bool,
) -> int:
    """Run a pipeline on copy-on-write clones of this machine, and show what it changed.

    There is one clone for each host that a step is done on: with --limit, for those that it takes. Nothing of it lasts,
    and no host is touched. Needs root, or user namespaces.
    """
    from kxflow.sinks.escape import visible
    from kxflow.testing.missing import MissingError
    from kxflow.testing.rehearsal import rehearse as on_clones

    its = asked(target, inventory, limit=limit, only=only, settings=settings)
    try:
        report, changes = on_clones(
            its.pipeline, its.cluster, **shown(None, verbose=output), output=output, on_signal=on_signal
        )
    except MissingError as error:
        raise Refused(str(error)) from None
    asked_of = report.by_host()
    for name, its_changes in changes.items():
        if name not in asked_of and not its_changes:
            continue
        lines = [f"  {visible(line)}" for line in str(its_changes).split("\n")] if its_changes else ["  nothing"]
        click.echo("\n".join((f"changed on {visible(name)}:", *lines)))
    return ended(report)
