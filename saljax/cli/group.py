"""All commands together, and what ends them."""

import os
import sys
import warnings
from collections.abc import Sequence

import click

import saljax
from saljax.cli import convert, demo, evaluate, explain, layers, lists, options, train
from saljax.cli.console import INTERRUPTED, MISTAKE, echo, say


@click.group(
    cls=options.InOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(saljax.__version__, message="saljax %(version)s")
def cli() -> None:
    """Which pixels made this classifier say that?"""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of files that it reads all the same


for command in (
    explain.explain,
    evaluate.evaluate,
    demo.demo,
    lists.methods,
    lists.metrics,
    lists.models,
    layers.layers,
    convert.convert,
    train.train,
):
    cli.add_command(command)


def run(arguments: Sequence[str] | None = None) -> int:
    """As `saljax.cli.main`, with click at hand."""
    try:
        return cli.main(arguments, prog_name="saljax", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        echo(error.ctx.get_help())
        return 0
    except click.ClickException as error:
        say(error.format_message())
        return MISTAKE
    except click.Abort:
        say("interrupted; what was written is whole and stays")
        if arguments is None:
            sys.stdout.flush()
            os._exit(INTERRUPTED)  # a normal exit would wait for the running program to end
        return INTERRUPTED
