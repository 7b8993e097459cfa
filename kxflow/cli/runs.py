"""`kxflow run`, `exec`, `check`, `show`, `demo`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import click
from attrs import evolve

import kxflow as kx
from kxflow.cli.options import (
    asked,
    concurrency_option,
    examples,
    few,
    inventory_option,
    limit_option,
    log_option,
    logged,
    no_verify_option,
    only_option,
    settings_option,
    shown,
    taken,
    target_argument,
)
from kxflow.cli.status import OK, Refused, ended, on_signal
from kxflow.flow import narrow
from kxflow.flow.check import checked
from kxflow.services import pyfile
from kxflow.sinks import wording
from kxflow.sinks.escape import visible
from kxflow.sinks.out import Out
from kxflow.sinks.wording import count


@click.command(
    epilog=examples(
        "kxflow run deploy.py -i hosts.toml",
        "kxflow run deploy.py:staging -i hosts.ini --limit 'role:web & ~web3' --keep-going",
        "kxflow run deploy.py -i hosts.toml --only web/restart --set release='\"1.10\"' --log run.ndjson",
    )
)
@target_argument
@inventory_option
@limit_option
@only_option
@settings_option
@log_option
@click.option("--keep-going", is_flag=True, help="A host that fails stops no other, where a task has no policy.")
@concurrency_option
@click.option("--no-fuse", is_flag=True, help="Send steps one at a time.")
@no_verify_option
@click.option("--output", is_flag=True, help="Show every step, and what programs write while they run.")
def run(
    target: str,
    inventory: str | None,
    limit: str | None,
    only: Sequence[str],
    settings: dict[str, Any],
    log: str | None,
    keep_going: bool,
    concurrency: int,
    no_fuse: bool,
    no_verify: bool,
    output: bool,
) -> int:
    """Run a pipeline of a Python file on the hosts of an inventory.

    NAME is the variable of the pipeline, or a function without arguments that gives one; it may be left out where the
    file has one pipeline. The inventory may be left out where the file has one Cluster that is named cluster, fleet or
    inventory.

    In --set k=v, v is read as TOML (8080, true, "1.10", ["a", "b"]), and as text where it is none.

    A task whose hosts are all outside of --limit is not run. Ctrl-C lets steps in flight end, for up to ten seconds; a
    second one ends them.
    """
    its = asked(target, inventory, limit=limit, only=only, settings=settings)
    wanted = evolve(its.pipeline, policy=kx.keep_going()) if keep_going else its.pipeline
    outcome = kx.run(
        wanted,
        its.cluster,
        **shown(log, verbose=output),
        concurrency=concurrency,
        fuse=not no_fuse,
        verify=not no_verify,
        output=output,
        on_signal=on_signal,
    )
    return ended(kx.report_of(outcome))


class _Exec(click.Command):
    """Says what to do about an option that is meant for the command on the hosts."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(f"{error.format_message()} Options of COMMAND stand after --.", ctx) from None


@click.command(
    "exec",
    cls=_Exec,
    epilog=examples(
        "kxflow exec all -i hosts.toml -- uptime",
        "kxflow exec 'role:web & ~web3' -i hosts.toml --become -- systemctl restart app",
        "kxflow exec 'db*' -i hosts.toml --timeout 60 -- 'df -h | tail -n +2'",
    ),
)
@click.argument("selector", metavar="SEL")
@click.option("-i", "--inventory", metavar="INVENTORY", required=True, help="Hosts: *.toml, or Ansible INI or YAML.")
@click.option("--become", is_flag=True, help="As root, by sudo.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="End it after that time.")
@concurrency_option
@click.argument("words", metavar="COMMAND...", nargs=-1, required=True)
def exec_(
    selector: str, inventory: str, become: bool, timeout: float | None, concurrency: int, words: tuple[str, ...]
) -> int:
    """Run one command on hosts, side by side, and show what it writes as `host | line`.

    One word is shell text; several are a program and its arguments, with no shell in between. A host that fails
    stops no other.
    """
    from kxflow.sinks.lines import Lines

    if not any(word.strip() for word in words):
        raise click.UsageError("COMMAND is empty: write it after --")
    cluster = kx.Cluster.load(inventory)
    step = kx.command("run", words[0] if len(words) == 1 else list(words))
    step = step.become() if become else step
    step = step if timeout is None else step.timeout(timeout)
    task = kx.task("exec", step, on=taken(cluster, selector), policy=kx.keep_going())
    made = kx.pipeline("exec", kx.module("exec", task))
    outcome = kx.run(made, cluster, reader=Lines(), concurrency=concurrency, output=True, on_signal=on_signal)
    return ended(kx.report_of(outcome))


@click.command(
    epilog=examples(
        "kxflow check deploy.py -i hosts.toml",
        "kxflow check deploy.py:staging",
    )
)
@target_argument
@inventory_option
def check(target: str, inventory: str | None) -> int:
    """Tell every problem of a pipeline, without touching a host.

    Without an inventory, and without a Cluster in the file, what depends on hosts is not checked.
    """
    source = pyfile.load(target)
    cluster = source.cluster(inventory, {})
    pipeline = source.pipeline if cluster is not None else narrow.hostless(source.pipeline)
    layout = checked(pipeline, cluster if cluster is not None else kx.Cluster())
    modules = sum(module.enabled for module in layout.modules)
    steps = sum(task.steps for task in layout.shape)
    parts = [(modules, "module"), (len(layout.shape), "task"), (steps, "step")]  # with hooks, as a run counts them
    told = ", ".join(count(*each) for each in parts)
    hosts = count(len(cluster), "host") if cluster is not None else "no inventory, so its hosts were not checked"
    click.echo(f"{pipeline.name}: no problems: {told}; {hosts}")
    return OK


@click.command(
    epilog=examples(
        "kxflow show run.ndjson",
        "kxflow show run.ndjson --host 'web*' --status Failed",
        "kxflow show run.ndjson --json | jq -r 'select(.duration > 5) | .host'",
    )
)
@click.argument("log", metavar="LOG")
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="Only this host, or hosts by pattern.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([each.name for each in kx.Status], case_sensitive=False),
    help="Only results of this status; may be repeated.",
)
@click.option("--run", "run_id", metavar="ID", help="This run of the log; the last, where not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, one for each result.")
def show(log: str, hosts: Sequence[str], statuses: Sequence[str], run_id: str | None, as_json: bool) -> int:
    """Show a run from its log: what went wrong, and how long each step took."""
    from kxflow.sinks import tables

    its = logged(log, run_id)
    report = its.report()
    notes = [*map(wording.repaired, its.repaired), *([] if its.torn is None else [wording.torn(its.torn)])]
    _check_hosts(hosts, report)
    chosen = tuple(
        each
        for each in report.results
        if (not hosts or any(fnmatchcase(each.host, pattern) for pattern in hosts))
        and (not statuses or each.status.name in statuses)
    )
    if as_json:
        for note in notes:
            click.echo(f"kxflow: {visible(log)}: {note}", err=True)
        for line in tables.json_lines(chosen):
            click.echo(line)
    else:
        tables.show(report, sys.stdout, results=chosen if hosts or statuses else None, notes=notes)
    return OK


def _check_hosts(patterns: Iterable[str], report: kx.Report) -> None:
    names = tuple(report.by_host())
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise Refused(f"--host {pattern!r} matches no host of this run; hosts: {few(names)}")


@click.command(
    epilog=examples(
        "kxflow demo",
        "kxflow demo --hosts 20 --log demo.ndjson",
    )
)
@click.option("--hosts", type=click.IntRange(2, 64), default=8, show_default=True, help="How many.")
@click.option("--log", metavar="FILE", help="Where to record the first run; a temporary file, where not given.")
@click.option("--keep", is_flag=True, help="Leave the services running until Ctrl-C, to look around.")
def demo(hosts: int, log: str | None, keep: bool) -> int:
    """See it work: a fleet of SSH hosts inside this process, and a pipeline that runs on it twice.

    Needs nothing installed and no root, and leaves nothing behind but the log.
    """
    from kxflow.testing.demo import rehearse

    out = Out(sys.stdout)

    def say(text: str) -> None:
        out.write(f"{text}\n")
        out.flush()

    return ended(rehearse(hosts, log, keep=keep, say=say, on_signal=on_signal))
