"""All commands together, and what ends them."""

import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

import saljax
from saljax.cli import evaluate, explain, options, train
from saljax.cli.console import INTERRUPTED, MISTAKE, mistakes, say


@click.group(
    cls=options.InOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(saljax.__version__, message="saljax %(version)s")
def cli() -> None:
    """Which pixels made this classifier say that?"""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of files that it reads all the same


cli.add_command(explain.explain)
cli.add_command(evaluate.evaluate)


@cli.command()
@options.out("demo")
def demo(out: Path) -> None:
    """Explain generated birds with the bundled classifier."""
    from saljax.cli import demo
    from saljax.runs import store
    from saljax.runs.progress import progress

    with mistakes(), progress("explaining", 3) as advance:
        store.check_writable(out)
        click.echo(f"{demo.ABOUT}\n")
        for name, says, picture in demo.pages():
            store.write(out / f"{name}.png", picture)
            click.echo(f"{out / name}.png\n    {says}")
            advance()
        store.write(out / "bird.png", demo.bird())
    click.echo(
        f"\nYour turn: saljax explain {out / 'bird.png'} --sigmas 6,3,1.5 --out {out / 'mine'}"
    )


@cli.command()
def methods() -> None:
    """List the methods and their papers."""
    from saljax.methods.table import METHODS
    from saljax.runs.hyperparameters import summary

    _list((name, f"{summary(known.function)} {known.paper}.") for name, known in METHODS.items())


@cli.command()
def metrics() -> None:
    """List the metrics of `saljax evaluate`."""
    from saljax.evaluation.measures import MEASURES
    from saljax.runs.hyperparameters import summary

    _list((name, summary(known.function)) for name, known in MEASURES.items())


@cli.command()
def models() -> None:
    """List the classifiers and what they take."""

    def line(about: Any) -> str:
        size = " x ".join(str(length) for length in about.input_shape)
        weights = (
            "bundled" if about.bundled else "--weights " + " or ".join(("FILE", *about.published))
        )
        return f"{about.description}; input {size}; {len(about.labels)} classes; weights: {weights}"

    _list((name, line(saljax.models.info(name))) for name in saljax.models.names())


@cli.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="See `saljax models`.")
def convert(source: Path, target: Path, model: str) -> None:
    """Check weights and store them as safetensors.

    SOURCE has torchvision's names (.safetensors, or .pth with torch installed); TARGET is loaded
    by --weights.
    """
    with mistakes():
        saljax.models.convert_file(source, target, model)
    click.echo(f"{target}: weights of {model}")


cli.add_command(train.train)


def run(arguments: Sequence[str] | None = None) -> int:
    """As `saljax.cli.main`, with click at hand."""
    try:
        return cli.main(arguments, prog_name="saljax", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
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


def _list(rows: Iterable[tuple[str, str]]) -> None:
    formatter = click.HelpFormatter(max_width=100)
    formatter.write_dl(list(rows))
    click.echo(formatter.getvalue(), nl=False)
