"""What all commands say to people, and how."""

import contextlib
import sys
from collections.abc import Iterator

import click

MISTAKE, INTERRUPTED = 2, 130


def say(text: str) -> None:
    """One line on stderr."""
    click.echo(f"saljax: {' '.join(text.split())}", err=True)


@contextlib.contextmanager
def mistakes() -> Iterator[None]:
    """Errors of the library about what it was given become one line."""
    from jax.errors import JaxRuntimeError

    try:
        yield
    except (ValueError, OSError) as error:
        text = str(error)
        if isinstance(error, OSError) and error.filename and error.strerror:
            text = f"{error.filename}: {error.strerror.lower()}"  # without Python's number for it
        raise click.ClickException(text or type(error).__name__) from None
    except JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        text = "not enough memory; lower --batch-size, or --chunk-size where the method has it"
        raise click.ClickException(text) from None


def fetching(there: int, total: int | None) -> None:
    """Say how much of a download is there, on one line of a terminal."""
    if sys.stderr.isatty():
        of_all = "" if total is None else f" of {total >> 20}"
        end = "\n" if there == total else "\r"
        click.echo(f"fetching weights: {there >> 20}{of_all} MiB{end}", nl=False, err=True)
