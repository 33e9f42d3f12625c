"""A table as text."""

import csv
import io

import numpy as np
import pytest

from saljax.evaluation.summary import Entry, _mean
from saljax.evaluation.tables import comma_separated, markdown

ENTRIES = [
    Entry("all", "hits", "higher", "a", 0.5, 0.25, 4, ""),
    Entry("all", "hits", "higher", "b", None, None, 0, ""),
    Entry("all", "error", "lower", "a", 0.123456789, None, 1, "alpha 0.5"),
    Entry("all", "error", "lower", "b", 1.0, 0.1, 2, ""),
    Entry("all", "percent", "", "a", 12.345, 1.0, 2, ""),
    Entry("all", "percent", "", "b", 3.0, 1.0, 2, ""),
    Entry("small", "hits", "higher", "a", 1.0, None, 1, ""),
    Entry("small", "hits", "higher", "b", None, None, 0, ""),
]


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_markdown():
    sizes, seconds = {"all": 4, "small": 1}, {"a": 0.0123, "b": None}
    page = markdown("Title", ["one", "two"], ENTRIES, sizes, seconds, ["x: is not there"])
    title, facts, first, second, heading, missing = page.split("\n\n")
    assert (title, facts) == ("# Title", "- one\n- two")
    assert (heading, missing) == ("## Missing", "- x: is not there\n")
    for table in (first, second):
        assert len({len(line) for line in table.splitlines()}) == 1  # aligned
    head, rule, *lines = cells(first)
    assert head == ["all images (4)", "a", "b"] and set("".join(rule)) == {"-"}
    assert lines == [
        ["hits ↑", "0.500 ± 0.250", "–"],
        ["error ↓", "0.123 (n = 1), alpha 0.5", "1.000 ± 0.100 (n = 2)"],
        ["percent (n = 2)", "12.3 ± 1.0", "3.0 ± 1.0"],
        ["seconds an image", "0.012", "–"],
    ]
    head, _, *lines = cells(second)
    assert head == ["small objects (1)", "a", "b"] and lines == [["hits ↑", "1.000", "–"]]
    assert "Missing" not in markdown("Title", [], ENTRIES, sizes, seconds, [])


def test_many_methods_go_below_each_other():
    names = [f"m{i}" for i in range(8)]
    entries = [
        Entry("all", "hits", "higher", name, i / 8, None, 4, "") for i, name in enumerate(names)
    ]
    _, facts, first, second = markdown(
        "Title", ["one"], entries, {"all": 4}, dict.fromkeys(names), []
    ).split("\n\n")
    assert cells(first)[0] == ["all images (4)", *names[:6]]
    assert cells(second)[0] == ["all images (4)", *names[6:]]
    assert cells(second)[2] == ["hits ↑", "0.750", "0.875"]


def test_comma_separated():
    lines = list(csv.DictReader(io.StringIO(comma_separated(ENTRIES))))
    assert len(lines) == len(ENTRIES)
    assert lines[2] == {
        "subset": "all", "metric": "error", "better": "lower", "method": "a",
        "mean": "0.123457", "standard_error": "", "images": "1", "note": "alpha 0.5",
    }  # fmt: skip


def test_mean_and_standard_error():
    assert _mean(np.asarray([1.0, np.nan, 4.0])) == (2.5, pytest.approx(1.5), 2)
    assert _mean(np.asarray([2.0, np.nan])) == (2.0, None, 1)
    assert _mean(np.asarray([np.nan])) == (None, None, 0)
