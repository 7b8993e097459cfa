"""What several commands take, and how it is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

import click
from attrs import evolve, frozen

import kxflow as kx
from kxflow.cli.status import Refused
from kxflow.flow import narrow
from kxflow.flow.selectors import Selector
from kxflow.interpreters.ports import Journal, Sink
from kxflow.journal.fold import Log
from kxflow.journal.record import LogRepaired
from kxflow.services import pyfile
from kxflow.sinks.escape import visible
from kxflow.sinks.wording import repaired


def taken(cluster: kx.Cluster, text: str) -> Selector:
    """The selector of a text; it takes hosts."""
    found = kx.selector(text)
    if not found(cluster):
        roles = ", ".join(cluster.roles) or "none"
        raise Refused(f"{text!r} matches no host; roles: {roles}; hosts: {few(cluster.names)}")
    return found


def few(names: Sequence[str], most: int = 5) -> str:
    """The first of some names, for a message."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "") or "none"


def settings_of(_: click.Context, __: click.Parameter, pairs: Iterable[str]) -> dict[str, Any]:
    """Variables from `k=v`: v as TOML where it is a TOML value, else as text."""
    import tomllib

    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(f"{pair!r} is not k=v: write, for example, --set port=8080")
        try:
            read = tomllib.loads(f"v = {text}")
        except tomllib.TOMLDecodeError:
            read = {}
        found[key.strip()] = read["v"] if read.keys() == {"v"} else text
    return found


def examples(*lines: str) -> str:
    r"""The end of a help text; `\b` keeps click from joining the lines."""
    return "\b\nExamples:\n" + "\n".join(f"  {each}" for each in lines)


inventory_option = click.option("-i", "--inventory", metavar="INVENTORY", help="Hosts: *.toml, or Ansible INI or YAML.")
concurrency_option = click.option(
    "--concurrency", type=click.IntRange(1), default=50, show_default=True, help="Hosts at a time."
)
target_argument = click.argument("target", metavar="FILE[:NAME]")
limit_option = click.option("--limit", metavar="SEL", help="Only these of its hosts: 'role:db & ~host:db1', 'web*'.")
only_option = click.option(
    "--only", multiple=True, metavar="MODULE[/TASK]", help="Only this part of it; may be repeated."
)
settings_option = click.option(
    "--set", "settings", multiple=True, metavar="K=V", callback=settings_of, help="A variable over all others."
)
no_verify_option = click.option(
    "--no-verify", is_flag=True, help="Believe resources what they did, and do not look again."
)
log_option = click.option("--log", metavar="FILE", help="Record every result, one JSON object a line; appended to.")


@frozen
class Asked:
    """A pipeline and its hosts, as a command line names them.

    Attributes:
        pipeline: With what `--only` and `--limit` leave of it.
        cluster: With what `--set` says.
    """

    pipeline: kx.Pipeline
    cluster: kx.Cluster


def asked(
    target: str,
    inventory: str | None,
    *,
    limit: str | None = None,
    only: Sequence[str] = (),
    settings: dict[str, Any] | None = None,
) -> Asked:
    """What a command line names.

    Raises:
        KxflowError: It names nothing, or what does not fit together.
    """
    source = pyfile.load(target)
    cluster = source.cluster(inventory, settings or {})
    if cluster is None:
        raise click.UsageError(f"{source.path} has no cluster of its own: name an inventory with -i")
    wanted = source.pipeline.only(*only) if only else source.pipeline
    if limit is not None:
        wanted = narrow.limited(wanted, cluster, taken(cluster, limit))
    return Asked(wanted, cluster)


class Shown(TypedDict):
    """Who is told of a run: options of `kxflow.run`."""

    sinks: list[Sink | Journal]
    reader: Sink | None


def shown(log: str | None, *, verbose: bool) -> Shown:
    """A log, where one is named, and the console; live output is shown whole, so hosts wait for it."""

    def told(fragment: LogRepaired) -> None:
        click.echo(f"kxflow: {visible(log or '')}: {repaired(fragment)}", err=True)

    journals: list[Sink | Journal] = [] if log is None else [kx.ndjson(log, on_repair=told)]
    console = kx.console(verbose=verbose)
    return Shown(sinks=journals, reader=console) if verbose else Shown(sinks=[*journals, console], reader=None)


def begun(log: str, run_id: str | None) -> Log:
    """The run of a log that is to be taken back: where none is named, the last that is no rollback itself.

    Raises:
        Refused: The log cannot be read, or is none; it is a rollback.
    """
    its = last = logged(log, run_id)
    for earlier in reversed(its.runs[:-1] if run_id is None else ()):
        if its.took_back:
            its = logged(log, earlier)
    if its.took_back:
        raise Refused(
            f"{log}: run {its.run} is a rollback: give the log of the run that it took back, or --run of that"
        )
    if its.run != last.run:
        click.echo(f"kxflow: {visible(log)}: run {its.run} is taken back: what came after it is a rollback", err=True)
    return its


def logged(log: str, run_id: str | None) -> Log:
    """A run, read from its log.

    Raises:
        Refused: The log cannot be read, or is none.
    """
    from kxflow.journal.errors import LogError

    try:
        return kx.read_log(log, run=run_id)
    except OSError as error:
        raise Refused(f"{log}: {error.strerror}: name a log that `kxflow run --log` wrote") from None
    except LogError as error:
        raise Refused(str(error if error.remedy else evolve(error, remedy="name a log as kxflow wrote it"))) from None
