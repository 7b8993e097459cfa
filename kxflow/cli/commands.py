"""What `kxflow --help` lists."""

from __future__ import annotations

from typing import Final

import click

import kxflow as kx
from kxflow.cli import plans, runs
from kxflow.cli.options import examples
from kxflow.cli.status import Commands

_EXIT: Final = """Exit status: 0 all well, 1 a step failed, 2 invalid and nothing was run, 3 hosts could not be reached,
4 what became of a step is not known, 5 the log could not be written, 128+n ended by signal n. The worst wins."""


@click.group(
    cls=Commands,
    epilog=examples(
        "kxflow demo",
        "kxflow check deploy.py -i hosts.toml",
        "kxflow rehearse deploy.py -i hosts.toml",
        "kxflow plan deploy.py -i hosts.toml --save deploy.plan",
        "kxflow apply deploy.plan",
        "kxflow run deploy.py -i hosts.toml --log run.ndjson",
        "kxflow show run.ndjson",
        "kxflow rollback deploy.py run.ndjson -i hosts.toml",
        "kxflow exec 'role:web' -i hosts.toml -- uptime",
    )
    + "\n\n"
    + _EXIT,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(kx.__version__, prog_name="kxflow", message="%(prog)s %(version)s")
def cli() -> None:
    """Run pipelines over fleets of machines, over SSH, without an agent."""


for _command in (
    runs.run,
    runs.exec_,
    runs.check,
    runs.show,
    runs.demo,
    plans.plan,
    plans.apply,
    plans.rollback,
    plans.rehearse,
):
    cli.add_command(_command)
