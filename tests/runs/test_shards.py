"""Parts of the work, by word or from the environment."""

import pytest

from saljax.runs.shards import parse


@pytest.mark.parametrize(
    ("environment", "part"),
    [
        ({"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4"}, (3, 4)),
        (
            {
                "SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_COUNT": "4",
                "SLURM_ARRAY_TASK_MIN": "1", "SLURM_PROCID": "0", "SLURM_NTASKS": "1",
            },
            (3, 4),
        ),
        ({"JOB_COMPLETION_INDEX": "0", "JOB_COMPLETIONS": "5"}, (0, 5)),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, (1, 2)),
    ],
)  # fmt: skip
def test_auto(environment, part):
    assert parse("auto", environment) == part


@pytest.mark.parametrize(
    ("text", "environment", "says"),
    [
        ("4/4", {}, "'4/4' is not I/N"),
        ("1", {}, "'1' is not I/N"),
        ("-1/4", {}, "is not I/N"),
        ("auto", {}, "none of SLURM_ARRAY_TASK_ID"),
        ("auto", {"JOB_COMPLETION_INDEX": "0"}, "but not JOB_COMPLETIONS"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_COUNT": "4"}, "'9/4' is not"),
    ],
)
def test_wrong_words(text, environment, says):
    with pytest.raises(ValueError, match=says):
        parse(text, environment)


def test_by_word():
    assert parse("0/1") == (0, 1) and parse(" 15/16 ") == (15, 16)
