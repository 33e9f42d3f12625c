"""`saljax convert`: weights from one file into another."""

from pathlib import Path

import click

import saljax
from saljax.cli import options
from saljax.cli.console import echo, mistakes, say


@click.command()
@click.argument("source", type=options.File())
@click.argument("target", type=options.File())
@options.model()
def convert(source: Path, target: Path, model: str) -> None:
    """Check weights and store them as safetensors.

    SOURCE has torchvision's names, as trainers leave them (safetensors, or with torch installed
    torch's); TARGET is loaded by --weights.
    """
    with mistakes():
        saljax.models.convert_file(source, target, model, say)
    echo(f"{target}: weights of {model}")
