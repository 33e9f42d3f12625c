"""The command `saljax`."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what follows `saljax`; those of the process if not given.

    Returns:
        Exit code: 0; 2 after bad input, named in one line on stderr; 130 after Ctrl-C.
    """
    try:
        from saljax.cli.group import run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("saljax"):
            raise
        sys.stderr.write("saljax: the command needs its extra: pip install 'saljax[cli]'\n")
        return 2
    return run(arguments)
