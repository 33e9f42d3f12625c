"""All commands together, and what ends them."""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click
import jax

import saljax
from saljax.cli import convert, demo, evaluate, explain, layers, lists, options, report, train
from saljax.cli.console import INTERRUPTED, MISTAKE, echo, say

MOST_PROGRAMS = 1000
"""Compiled programs that are kept; beyond it the oldest go. Our choice."""

WORTH_KEEPING = 0.1
"""Seconds of compilation from which on a program is kept. Our choice."""


@click.group(
    cls=options.InOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(saljax.__version__, message="saljax %(version)s")
def cli() -> None:
    """Which pixels made this classifier say that?

    Compiled programs are kept in the user's cache for the next call: elsewhere with
    JAX_COMPILATION_CACHE_DIR=FOLDER, nowhere with JAX_ENABLE_COMPILATION_CACHE=0.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of files that it reads all the same
    keep_programs()


def keep_programs() -> None:
    """Have JAX keep what it compiles in the user's cache, unless it was told where, or not to.

    Several processes may write there at once. Where nothing can be written or what is there is
    damaged, programs are compiled as if there were no cache.
    """
    config: Any = jax.config
    if config.jax_compilation_cache_dir or not config.jax_enable_compilation_cache:
        return
    from saljax.models import published

    folder = published.cache("programs")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # who writes here can run code as us
        with os.scandir(folder) as there:
            files = [(file.stat().st_mtime, file.path) for file in there if file.is_file()]
        for _, path in sorted(files)[:-MOST_PROGRAMS]:
            os.remove(path)
    except OSError:  # or another process was faster
        pass
    if os.access(folder, os.W_OK):
        warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
        config.update("jax_compilation_cache_dir", str(folder))
        if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
            config.update("jax_persistent_cache_min_compile_time_secs", WORTH_KEEPING)


for command in (
    explain.explain,
    evaluate.evaluate,
    report.report,
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
    words = sys.argv[1:] if arguments is None else list(arguments)  # records name the command
    try:
        return cli.main(words, prog_name="saljax", standalone_mode=False, obj=words) or 0
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
