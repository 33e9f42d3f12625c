"""What all commands say to people, and how."""

import contextlib
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from saljax.runs.progress import cleared

MISTAKE, INTERRUPTED, CLOSED = 2, 130, 141
"""Exit codes after bad input, after Ctrl-C, and where nobody reads what is printed."""


def echo(text: str = "", err: bool = False, end: str = "\n") -> None:
    """Print, whatever is in the way.

    Letters that the terminal or pipe cannot show, and bytes of file names that are no letters, are
    escaped; a progress bar is drawn again below.
    """
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    shown = (text + end).encode(encoding, "backslashreplace").decode(encoding)
    try:
        with cleared():
            click.echo(shown, nl=False, err=err)
    except BrokenPipeError:  # whoever reads, such as `head`, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise click.exceptions.Exit(CLOSED) from None


def say(text: str) -> None:
    """One line on stderr."""
    echo(f"saljax: {' '.join(text.split())}", err=True)


def command(*words: object) -> str:
    """A command of saljax for the shell, as this one was called, to be copied from the terminal."""
    called, found = Path(sys.argv[0]), shutil.which("saljax")
    if called.name == "__main__.py":
        program = [Path(sys.executable).name, "-m", "saljax"]
    elif called.stem == "saljax" and (not found or Path(found).parent != called.parent):
        program = [str(called)]  # the shell would not find it by its name
    else:
        program = ["saljax"]
    return shlex.join([*program, *map(str, words)])


@contextlib.contextmanager
def mistakes() -> Iterator[None]:
    """Errors of the library about what it was given become one line."""
    from jax.errors import JaxRuntimeError

    try:
        yield
    except (ValueError, OSError) as error:
        raise click.ClickException(described(error)) from None
    except JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        text = "not enough memory; lower --batch-size, or --chunk-size where the method has it"
        raise click.ClickException(text) from None


def described(error: Exception) -> str:
    """What an error says, without Python's number for it."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}"
    return str(error) or type(error).__name__


def fetching(there: int, total: int | None) -> None:
    """Say how much of a download is there, on one line of a terminal."""
    if sys.stderr.isatty():
        of_all = "" if total is None else f" of {total >> 20}"
        end = "\n" if there == total else "\r"
        echo(f"fetching weights: {there >> 20}{of_all} MiB", err=True, end=end)
