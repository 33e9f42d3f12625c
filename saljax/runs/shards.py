"""Which part of the work is this process's, where several share it."""

import os
import re
from collections.abc import Mapping

import jax

_KNOWN = (
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", ""),
    ("SLURM_PROCID", "SLURM_NTASKS", ""),
)
"""Variables with the number of a process, how many there are, and the number of the first."""


def parse(text: str, environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """Read what part of the work is meant.

    Args:
        text: `3/16`, the fourth of sixteen parts; or `auto`, from what started the process: an
            array or tasks of Slurm, an indexed job of Kubernetes (which tells the index;
            JOB_COMPLETIONS, the number of them, is for the job's description to set), or
            `jax.distributed`, where it was initialized.
        environment: variables.

    Returns:
        Number of the part, from 0 on, and how many there are.

    Raises:
        ValueError: it is no such text, or nothing says which part is meant.
    """
    if text == "auto":
        return _auto(environment)
    found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    which, of = (int(found[1]), int(found[2])) if found else (0, 0)
    if which >= of:
        raise ValueError(f"{text!r} is not I/N with I from 0 to N - 1, such as 0/16, nor auto")
    return which, of


def _auto(environment: Mapping[str, str]) -> tuple[int, int]:
    for which, of, first in _KNOWN:
        if which in environment:
            if of not in environment:
                raise ValueError(f"auto: {which} is set, but not {of}, how many there are")
            number = int(environment[which]) - int(environment.get(first, 0))
            return parse(f"{number}/{environment[of]}")
    if jax.process_count() > 1:
        return jax.process_index(), jax.process_count()
    names = ", ".join(which for which, _, _ in _KNOWN)
    raise ValueError(f"auto: none of {names} is set; give I/N, such as 0/16")
