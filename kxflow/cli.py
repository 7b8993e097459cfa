"""The command line: `kxflow run`, `exec`, `check`, `show`, `demo`."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, NoReturn

import click
from attrs import evolve

import kxflow as kx
from kxflow.flow import narrow
from kxflow.flow.selectors import Selector
from kxflow.services import pyfile
from kxflow.sinks.escape import lines_of
from kxflow.sinks.out import Out
from kxflow.sinks.wording import count
from kxflow.values.errors import KxflowError, ProblemsError

OK: Final = 0
FAILED: Final = 1
INVALID: Final = 2
UNREACHABLE: Final = 3
LOST: Final = 4
UNRECORDED: Final = 5
SIGNALLED: Final = 128

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_SEVERITY: Final = (LOST, FAILED, UNREACHABLE)
_CODES: Final = {
    kx.Status.Lost: LOST,
    kx.Status.Failed: FAILED,
    kx.Status.Cancelled: FAILED,
    kx.Status.Unreachable: UNREACHABLE,
    kx.Status.NotRun: UNREACHABLE,
}


def exit_code(report: kx.Report) -> int:
    """What a process that made this run says with its exit status.

    0 all well · 1 a step failed · 3 hosts could not be reached · 4 what became of a step is not known · 5 the run could
    not be recorded · 128+n ended by signal n. The worst wins: signal, 5, 4, 1, 3.

    >>> exit_code(kx.Report(faults=(kx.Fault("interrupted", "the run was interrupted: SIGTERM"),)))
    143
    """
    ended_by = [_signal_number(each.what) for each in report.faults if each.code == "interrupted"]
    if ended_by:
        return SIGNALLED + ended_by[0]
    if report.faults:
        return UNRECORDED
    found = {_CODES[each.status] for each in report.results if each.spoils}
    return next((code for code in _SEVERITY if code in found), OK)


def _signal_number(what: str) -> int:
    name = what.rsplit(maxsplit=1)[-1] if what.strip() else ""
    return int(signal.Signals.__members__.get(name, signal.SIGINT))


class _Refused(click.ClickException):
    """Nothing was run, and this is why; names out of a log or an inventory are escaped."""

    exit_code = INVALID

    def show(self, file: Any = None) -> None:
        click.echo(lines_of(f"kxflow: {self.message}"), err=True)


class _Commands(click.Group):
    """Commands that give exit codes; expected trouble is told in words, never as a traceback."""

    def main(self, *args: Any, **options: Any) -> NoReturn:
        options["standalone_mode"] = False
        sys.exit(_status_of(lambda: super(_Commands, self).main(*args, **options)))

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        with _well_when_unread():  # --help and --version write from here
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _well_when_unread():
            return super().invoke(ctx)


@contextlib.contextmanager
def _well_when_unread() -> Iterator[None]:
    """`| head` has seen enough: click would exit with 1."""
    try:
        yield
    except BrokenPipeError as error:
        raise click.exceptions.Exit(OK) from error


def _status_of(command: Callable[[], Any]) -> int:
    """The exit status of a command; what nobody reads any more goes nowhere, also at the interpreter's end."""
    try:
        code = int(command() or OK)
        sys.stdout.flush()
    except click.ClickException as error:
        code = _refusal(error)
    except ProblemsError as error:
        listed = "".join(f"\n  {each}" for each in error.problems)
        code = _refusal(_Refused(f"{count(len(error.problems), 'problem')}:{listed}"))
    except KxflowError as error:
        code = _refusal(_Refused(str(error)))
    except (click.Abort, KeyboardInterrupt):
        code = SIGNALLED + signal.SIGINT
    except BrokenPipeError:
        code = OK
    except OSError as error:
        if error.errno not in _FULL:
            raise
        code = _refusal(_Refused(f"the output cannot be written: {error.strerror}"))
    for each in (sys.stdout, sys.stderr):
        Out(each).flush()
    return code


def _refusal(error: click.ClickException) -> int:
    with contextlib.suppress(OSError):  # nobody reads it
        error.show()
    return error.exit_code


def _on_signal(name: str, final: bool) -> None:
    """What a signal does, told to who sent it."""
    from kxflow.edge import GRACE

    calm = f"no further step begins; those in flight may end, for up to {GRACE:.0f} s; once more ends them now"
    out = Out(sys.stderr)
    out.write(f"kxflow: {name}: {'steps in flight are ended' if final else calm}\n")
    out.flush()


def _taken(cluster: kx.Cluster, text: str) -> Selector:
    """The selector of a text; it takes hosts."""
    found = kx.selector(text)
    if not found(cluster):
        roles = ", ".join(cluster.roles) or "none"
        raise _Refused(f"{text!r} matches no host; roles: {roles}; hosts: {_few(cluster.names)}")
    return found


def _few(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "") or "none"


def _settings(_: click.Context, __: click.Parameter, pairs: Iterable[str]) -> dict[str, Any]:
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


# The commands

_EXIT: Final = """Exit status: 0 all well, 1 a step failed, 2 invalid and nothing was run, 3 hosts could not be reached,
4 what became of a step is not known, 5 the log could not be written, 128+n ended by signal n. The worst wins."""


def _examples(*lines: str) -> str:
    r"""The end of a help text; `\b` keeps click from joining the lines."""
    return "\b\nExamples:\n" + "\n".join(f"  {each}" for each in lines)


@click.group(
    cls=_Commands,
    epilog=_examples(
        "kxflow demo",
        "kxflow check deploy.py -i hosts.toml",
        "kxflow run deploy.py -i hosts.toml --log run.ndjson",
        "kxflow show run.ndjson",
        "kxflow exec 'role:web' -i hosts.toml -- uptime",
    )
    + "\n\n"
    + _EXIT,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(kx.__version__, prog_name="kxflow", message="%(prog)s %(version)s")
def cli() -> None:
    """Run pipelines over fleets of machines, over SSH, without an agent."""


_inventory = click.option("-i", "--inventory", metavar="INVENTORY", help="Hosts: *.toml, or Ansible INI or YAML.")
_concurrency = click.option(
    "--concurrency", type=click.IntRange(1), default=50, show_default=True, help="Hosts at a time."
)


@cli.command(
    epilog=_examples(
        "kxflow run deploy.py -i hosts.toml",
        "kxflow run deploy.py:staging -i hosts.ini --limit 'role:web & ~web3' --keep-going",
        "kxflow run deploy.py -i hosts.toml --only web/restart --set release='\"1.10\"' --log run.ndjson",
    )
)
@click.argument("target", metavar="FILE[:NAME]")
@_inventory
@click.option("--limit", metavar="SEL", help="Only these of its hosts: 'role:db & ~host:db1', 'web*'.")
@click.option("--only", multiple=True, metavar="MODULE[/TASK]", help="Only this part of it; may be repeated.")
@click.option("--set", "settings", multiple=True, metavar="K=V", callback=_settings, help="A variable over all others.")
@click.option("--log", metavar="FILE", help="Record every result, one JSON object a line; appended to.")
@click.option("--keep-going", is_flag=True, help="A host that fails stops no other, where a task has no policy.")
@_concurrency
@click.option("--no-fuse", is_flag=True, help="Send steps one at a time.")
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
    source = pyfile.load(target)
    cluster = source.cluster(inventory, settings)
    if cluster is None:
        raise click.UsageError(f"{source.path} has no cluster of its own: name an inventory with -i")
    wanted = source.pipeline.only(*only) if only else source.pipeline
    if keep_going:
        wanted = evolve(wanted, policy=kx.keep_going())
    if limit is not None:
        wanted = narrow.limited(wanted, cluster, _taken(cluster, limit))
    sinks = [kx.ndjson(log)] if log is not None else []
    outcome = kx.run(
        wanted,
        cluster,
        sinks=[*sinks, kx.console(verbose=output)],
        concurrency=concurrency,
        fuse=not no_fuse,
        output=output,
        on_signal=_on_signal,
    )
    return exit_code(kx.report_of(outcome))


class _Exec(click.Command):
    """Says what to do about an option that is meant for the command on the hosts."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(f"{error.format_message()} Options of COMMAND stand after --.", ctx) from None


@cli.command(
    "exec",
    cls=_Exec,
    epilog=_examples(
        "kxflow exec all -i hosts.toml -- uptime",
        "kxflow exec 'role:web & ~web3' -i hosts.toml --become -- systemctl restart app",
        "kxflow exec 'db*' -i hosts.toml --timeout 60 -- 'df -h | tail -n +2'",
    ),
)
@click.argument("selector", metavar="SEL")
@click.option("-i", "--inventory", metavar="INVENTORY", required=True, help="Hosts: *.toml, or Ansible INI or YAML.")
@click.option("--become", is_flag=True, help="As root, by sudo.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="End it after that time.")
@_concurrency
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
    task = kx.task("exec", step, on=_taken(cluster, selector), policy=kx.keep_going())
    made = kx.pipeline("exec", kx.module("exec", task))
    outcome = kx.run(made, cluster, sinks=[Lines()], concurrency=concurrency, output=True, on_signal=_on_signal)
    return exit_code(kx.report_of(outcome))


@cli.command(
    epilog=_examples(
        "kxflow check deploy.py -i hosts.toml",
        "kxflow check deploy.py:staging",
    )
)
@click.argument("target", metavar="FILE[:NAME]")
@_inventory
def check(target: str, inventory: str | None) -> int:
    """Tell every problem of a pipeline, without touching a host.

    Without an inventory, and without a Cluster in the file, what depends on hosts is not checked.
    """
    source = pyfile.load(target)
    cluster = source.cluster(inventory, {})
    pipeline = source.pipeline if cluster is not None else narrow.hostless(source.pipeline)
    problems = kx.check(pipeline, cluster if cluster is not None else kx.Cluster())
    if problems:
        raise kx.CompositionError(tuple(problems))
    tasks = [task for module in pipeline.modules for task in module.tasks]
    parts = [(len(pipeline.modules), "module"), (len(tasks), "task"), (sum(len(each.steps) for each in tasks), "step")]
    told = ", ".join(count(*each) for each in parts)
    hosts = count(len(cluster), "host") if cluster is not None else "no inventory, so its hosts were not checked"
    click.echo(f"{pipeline.name}: no problems: {told}; {hosts}")
    return OK


@cli.command(
    epilog=_examples(
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
    from kxflow.journal.errors import LogError
    from kxflow.sinks import tables

    try:
        report = kx.read_log(log, run=run_id).report()
    except OSError as error:
        raise _Refused(f"{log}: {error.strerror}: name a log that `kxflow run --log` wrote") from None
    except LogError as error:
        raise _Refused(str(error if error.remedy else evolve(error, remedy="name a log as kxflow wrote it"))) from None
    _check_hosts(hosts, report)
    chosen = tuple(
        each
        for each in report.results
        if (not hosts or any(fnmatchcase(each.host, pattern) for pattern in hosts))
        and (not statuses or each.status.name in statuses)
    )
    if as_json:
        for line in tables.json_lines(chosen):
            click.echo(line)
    else:
        tables.show(report, sys.stdout, results=chosen if hosts or statuses else None)
    return OK


def _check_hosts(patterns: Iterable[str], report: kx.Report) -> None:
    names = tuple(report.by_host())
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise _Refused(f"--host {pattern!r} matches no host of this run; hosts: {_few(names)}")


@cli.command(
    epilog=_examples(
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

    return exit_code(rehearse(hosts, log, keep=keep, say=say, on_signal=_on_signal))


def main() -> None:
    """The program `kxflow`."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by the caller: the next file opened would take its place
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 -- lives as long as the process
    cli(prog_name="kxflow")


if __name__ == "__main__":
    main()
