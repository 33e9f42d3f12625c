"""The command `saljax`."""

import sys
from collections.abc import Sequence

EXTRA = {"click", "docstring_parser", "jinja2", "matplotlib", "PIL", "rich", "safetensors"}
"""What the command imports beside what the library does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what follows `saljax`; those of the process if not given.

    Returns:
        Exit code: 0; 2 after bad input, named in one line on stderr; 130 after Ctrl-C; 141 where
        nobody reads on.
    """
    try:
        from saljax.cli.group import run

        return run(arguments)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in EXTRA:
            raise
        sys.stderr.write("saljax: the command needs its extra: pip install 'saljax[cli]'\n")
        return 2
